"""The multiresolution hash grid: one module, several implementations.

Positions lie in [0, 1]^3. Every implementation reads the same table (see ``layout``), so a map
trained with one loads with another.
"""

from __future__ import annotations

import functools
import importlib
import logging

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.native import NativeUnavailable, load_library

_log = logging.getLogger(__name__)

BACKENDS = ('torch', 'native', 'tinycudann', 'triton')


class HashGrid(nn.Module):
    """A hash grid with trainable entries.

    Args:
        layout: Levels of the grid.
        backend: Implementation, one of ``BACKENDS`` or ``'auto'`` for the fastest that works.
        device: Device of the table.
        generator: Source of the first entries, on the CPU.
        drawn: Whether there are first entries; without, they are whatever memory held.

    Raises:
        ValueError: The backend is unknown or does not work here; the text says what is missing.
    """

    def __init__(
        self,
        layout: GridLayout,
        backend: str = 'auto',
        device: torch.device | str = 'cpu',
        generator: torch.Generator | None = None,
        drawn: bool = True,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.backend, self.reason = choose_backend(backend, torch.device(device))
        _log.info('hash grid: %s (%s)', self.backend, self.reason)
        table = torch.empty(layout.entries, layout.features)
        if drawn:  # Müller et al. 2022, section 4: entries start uniform within 1e-4.
            table = torch.rand(table.shape, generator=generator) * 2e-4 - 1e-4
        self.table = nn.Parameter(table.to(device))
        self._encode = _load(self.backend)
        self._sink: list[tuple[Tensor, Tensor]] | None = None

    def send_gradients_to(self, sink: list[tuple[Tensor, Tensor]]) -> None:
        """Keeps positions and gradients of features in ``sink`` from now on.

        ``table.grad`` stays empty.

        Raises:
            ValueError: The backend cannot.
        """
        if self.backend != 'native':
            raise ValueError(f'sink: the backend {self.backend} has none')
        self._sink = sink

    def take_gradient(
        self, positions: Float[Tensor, 'n 3'], gradient: Float[Tensor, 'n width']
    ) -> None:
        """Keeps a gradient of features that was computed without autograd.

        Raises:
            ValueError: Nobody has asked for gradients by :meth:`send_gradients_to`.
        """
        if self._sink is None:
            raise ValueError('gradient: expected a sink to send it to, there is none')
        self._sink.append((positions.float().contiguous(), gradient.float().contiguous()))

    def forward(self, positions: Float[Tensor, 'n 3']) -> Float[Tensor, 'n width']:
        """Returns the features of each position in [0, 1]^3, level after level."""
        if self._sink is not None:
            return self._encode(positions, self.table, self.layout, self._sink)
        return self._encode(positions, self.table, self.layout)


def choose_backend(backend: str, device: torch.device) -> tuple[str, str]:
    """Returns the backend to use on a device and the reason for it.

    Raises:
        ValueError: The backend is unknown or does not work here.
    """
    if backend != 'auto':
        if backend not in BACKENDS:
            raise ValueError(f'backend: expected auto or one of {BACKENDS}, got {backend!r}')
        problem = _problem(backend, device)
        if problem:
            raise ValueError(f'backend: {backend} does not work here: {problem}')
        return backend, 'as configured'
    # Triton is the one that was seen to work on a GPU.
    candidates = ('native',) if device.type == 'cpu' else ('triton', 'tinycudann')
    problems: list[str] = []
    for name in candidates:
        problem = _problem(name, device)
        if problem is None:
            return name, '; '.join([*problems, f'the first that works on {device.type}'])
        problems.append(f'no {name}: {problem}')
    reason = '; '.join(problems)
    _log.warning('hash grid: slow torch fallback on %s: %s', device, reason)
    return 'fallback', reason


def _problem(backend: str, device: torch.device) -> str | None:
    """Returns why a backend cannot work on a device, None if it can."""
    if backend == 'native':
        if device.type != 'cpu':
            return f'it runs on the CPU, not on {device.type}'
        try:
            load_library()
        except NativeUnavailable as error:
            return str(error)
    if backend in ('tinycudann', 'triton'):
        if device.type != 'cuda':
            return f'it runs on CUDA, not on {device.type}'
        return _import_problem(backend)
    return None


@functools.cache
def _import_problem(package: str) -> str | None:
    """Returns why a package cannot be imported, None if it can; it is tried once a process.

    That it is there is not enough: tinycudann raises where it was built for another GPU or torch.
    """
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            return f'the package {package} is not installed'
        return f'the package {package} cannot be imported: {error}'
    except Exception as error:  # whatever a compiled extension raises
        return f'the package {package} cannot be imported: {error}'
    return None


# Option -> module with its `encode`.
_MODULES = {
    'native': 'cpu',
    'tinycudann': 'tcnn',
    'triton': 'triton_kernels',
    'fallback': 'fallback',
    'torch': 'twin',
}


def _load(backend: str):
    """Returns the encode function of a backend; optional packages are imported only here."""
    return importlib.import_module(f'lerf_ros.field.encoding.{_MODULES[backend]}').encode
