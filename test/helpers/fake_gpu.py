"""A GPU that is not there: tensors that know their shape and device, and hold no numbers.

On it every operator checks that its operands lie on one device, and whatever needs a number on the
host is seen: reading one, finding where something is true, copying from or to the host. A step
that runs here uses its device as a step on CUDA must.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

NAME = 'fakegpu'
# Operators whose result the host needs: each waits until the device has done all before it.
_READS = {
    '_local_scalar_dense', '_unique2', 'bincount', 'equal', 'masked_select', 'nonzero',
    'repeat_interleave', 'unique_dim',
}  # fmt: skip
# Given a mask, these look where it is true.
_INDEXING = {'_index_put_impl_', 'index', 'index_put', 'index_put_'}


class Generator(torch.Generator):
    """A generator that says it belongs to another device."""

    def __new__(cls, device: torch.device | str = 'cpu') -> Generator:
        made = super().__new__(cls)
        made.belongs_to = torch.device(device).type
        return made


class HostTraffic(TorchDispatchMode):
    """Counts what passes between host and device.

    Args:
        answer: What the host reads as a whole number.

    Attributes:
        counts: How often each read and each copy took place.
    """

    def __init__(self, answer: int = 0) -> None:
        super().__init__()
        self.answer = answer
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        if name in _READS:
            self.counts[name] += 1
            if name == '_local_scalar_dense':
                dtype = inputs[0].dtype
                if dtype.is_floating_point:
                    return float(self.answer)
                return True if dtype == torch.bool else self.answer
        if name in _INDEXING and any(x.dtype in (torch.bool, torch.uint8) for x in inputs[1:]):
            self.counts['mask as index'] += 1
        result = func(*args, **kwargs)
        outputs = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        for made in outputs:
            for given in inputs:
                if given.device != made.device:
                    self.counts[f'{given.device.type} to {made.device.type}'] += 1
            if not inputs and made.device.type == 'cpu':
                self.counts['made on the host'] += 1
        if name == 'copy_' and inputs[0].device != inputs[1].device:
            self.counts[f'{inputs[1].device.type} to {inputs[0].device.type}'] += 1
        return result


class _Calls(TorchFunctionMode):
    """Sees what operators do not show: numbers from the host, and whose generator is used.

    ``torch.tensor(numbers, device=...)`` becomes two operators, so that its copy is counted.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.tensor:
            device = kwargs.pop('device', None)
            made = func(*args, **kwargs)
            if device is None:
                return made
            # A single number would be worked out for real, on a device that cannot.
            made.constant = None
            return made.to(device)
        if func is torch.Tensor.new_tensor:
            like, *rest = args
            return torch.tensor(*rest, dtype=like.dtype).to(like.device)
        result = func(*args, **kwargs)
        generator = kwargs.get('generator')
        if isinstance(generator, Generator) and isinstance(result, torch.Tensor):
            here = result.device.type
            if generator.belongs_to != here:
                raise RuntimeError(
                    f'{func.__name__}: expected a generator of {here}, '
                    f'got one of {generator.belongs_to}'
                )
        return result


class _Module:
    """What torch asks of a device's module."""

    def __getattr__(self, name: str):
        raise AttributeError(name)

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


def _register() -> None:
    from torch.utils import backend_registration

    if torch._C._get_privateuse1_backend_name() != NAME:
        backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())


def _overwriting_apply(module: torch.nn.Module, change, recurse: bool = True) -> torch.nn.Module:
    """Does what ``Module._apply`` does; torch cannot swap tensors without numbers."""
    for child in module.children():
        _overwriting_apply(child, change)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = torch.nn.Parameter(
                change(parameter.detach()), parameter.requires_grad
            )
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = change(buffer)
    return module


@contextlib.contextmanager
def fake_gpu(monkeypatch, answer: int = 0) -> Iterator[HostTraffic]:
    """Gives a device called ``fakegpu``; torch's own wish for CUDA is answered by it.

    Args:
        monkeypatch: Pytest's.
        answer: What the host reads as a whole number.
    """
    _register()
    with monkeypatch.context() as patch:
        patch.setattr(torch, 'Generator', Generator)
        patch.setattr(torch.nn.Module, '_apply', _overwriting_apply)
        traffic = HostTraffic(answer)
        # Torch begins its threads for devices with the first backward pass, before this one is
        # known: all is done in the calling thread.
        alone = torch.autograd.set_multithreading_enabled(False)
        with alone, FakeTensorMode(allow_non_fake_inputs=True), traffic, _Calls():
            yield traffic
