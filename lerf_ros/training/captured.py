"""Passes of the same shape again and again, as CUDA graphs.

An update of the language field is some hundred small kernels. A host launches them more slowly
than a GPU runs them; a graph launches them all at once. (Measured on an H200: docs/gpu.md.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)

# Passes as they are before one is recorded: kernels are compiled, scales and moments made.
_WARM_UP = 3
# Most shapes that are kept.
_MOST = 4

Pass = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class _Recording:
    """A graph, and the memory that it reads and writes each time."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    gradients: tuple[Tensor | None, ...]


class CapturedPass:
    """A forward and backward pass; on CUDA it is recorded once and then replayed.

    Args:
        parameters: What gets gradients.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = tuple(parameters)
        self._works = self._parameters[0].device.type == 'cuda'
        self.forget()

    def forget(self) -> None:
        """Drops what was recorded; to be called when the pass is to compute something else."""
        self._recordings: dict[tuple, _Recording] = {}
        self._seen: dict[tuple, int] = {}

    def __call__(self, run: Pass, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns what the pass returns, and leaves its gradients.

        Args:
            run: The pass, the same each time: of tensors, to tensors without gradient. It leaves
                gradients in the parameters, which have none before, and waits for nothing from
                the device. What it reads otherwise stays where it is in memory. (It is not kept:
                its owner owns this, and a circle of both would outlive a map that is dropped.)
            inputs: What it is given.
        """
        if not self._works:
            return run(*inputs)
        shape = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        recording = self._recordings.get(shape)
        if recording is None:
            self._seen[shape] = self._seen.get(shape, 0) + 1
            if self._seen[shape] <= _WARM_UP or len(self._recordings) == _MOST:
                return run(*inputs)
            recording = self._record(run, inputs)
            if recording is None:
                return run(*inputs)
            self._recordings[shape] = recording
        for own, new in zip(recording.inputs, inputs, strict=True):
            own.copy_(new)
        recording.graph.replay()
        for parameter, gradient in zip(self._parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        # The next replay writes over its outputs; a report may be read later.
        return tuple(output.clone() for output in recording.outputs)

    def _record(self, run: Pass, inputs: tuple[Tensor, ...]) -> _Recording | None:
        """Records the pass without running it; None where that does not work here."""
        own = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(graph, capture_error_mode='thread_local'):
                outputs = run(*own)
        except RuntimeError as error:
            self._works = False
            for parameter in self._parameters:
                parameter.grad = None
            _log.warning('no CUDA graph of the language update: %s', str(error).splitlines()[0])
            return None
        return _Recording(graph, own, outputs, tuple(p.grad for p in self._parameters))
