"""A network of one hidden layer, fast on the CPU.

On the CPU, in float32, it runs in C++: hidden values stay in the processor's cache, where torch
writes and reads them in memory six times. Everywhere else, and as the readable twin, it is the
``nn.Sequential`` that it looks like.
"""

from __future__ import annotations

import ctypes
import functools
import logging

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.field.native import NativeUnavailable, load_library, pointer
from lerf_ros.field.threads import native_threads

_log = logging.getLogger(__name__)


class OneHiddenLayer(nn.Sequential):
    """Two linear layers with a ReLU between them.

    Args:
        inputs: Number of inputs.
        hidden: Width of the hidden layer.
        outputs: Number of outputs.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs)
        )

    def forward(self, x: Float[Tensor, 'n inputs']) -> Float[Tensor, 'n outputs']:
        """Returns the outputs for each row."""
        first, _, last = self
        weights = first.weight, first.bias, last.weight, last.bias
        plain = all(tensor.dtype == torch.float32 for tensor in (x, *weights))
        if x.device.type == 'cpu' and plain and not _autocast() and native_is_fast():
            return _Native.apply(x, *weights)
        return super().forward(x)


def _autocast() -> bool:
    return torch.is_autocast_enabled('cpu')


@functools.cache
def native_is_fast() -> bool:
    """Tells whether the native code is there and this processor suits it."""
    try:
        fast = bool(load_library('network').lerf_network_fast())
    except NativeUnavailable as error:
        _log.warning('networks run in torch: %s', error)
        return False
    if not fast:
        _log.info('networks run in torch: the processor has no AVX2')
    return fast


def _arguments(x: Tensor, weights: tuple[Tensor, ...]) -> tuple:
    """Returns the arguments that both passes begin with."""
    hidden, inputs = weights[0].shape
    return (
        pointer(x),
        ctypes.c_int64(len(x)),
        *map(pointer, weights),
        *map(ctypes.c_int, (inputs, hidden, len(weights[2]))),
    )


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, *weights):
        x, *kept = (tensor.detach().contiguous() for tensor in (x, *weights))
        out = x.new_empty(len(x), len(kept[2]))
        load_library('network').lerf_network_forward(
            *_arguments(x, tuple(kept)), pointer(out), ctypes.c_int(native_threads())
        )
        ctx.save_for_backward(x, *kept)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out):
        x, *weights = ctx.saved_tensors
        grad_out = grad_out.float().contiguous()
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        flat = x.new_empty(sum(weight.numel() for weight in weights))
        load_library('network').lerf_network_backward(
            *_arguments(x, tuple(weights)),
            pointer(grad_out),
            None if grad_x is None else pointer(grad_x),
            pointer(flat),
            ctypes.c_int(native_threads()),
        )
        parts = flat.split([weight.numel() for weight in weights])
        grads = [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
        return grad_x, *grads
