"""Convolutions of the tower with their activation in one pass, where the processor's library can.

PyTorch's own convolution writes its bias first and its activation afterwards, and pads a copy of
its input: on large maps of few channels that costs as much as the multiplications.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def fused_available() -> bool:
    """Tells whether this build of PyTorch has oneDNN's convolution with an activation."""
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, '_convolution_pointwise'
    )


class FusedConvolution(nn.Module):
    """A convolution and the ReLU6 that may follow it; on a CPU, without gradients.

    Args:
        conv: The convolution, with a bias. One of timm's that pads as TensorFlow does ('same') is
            padded inside.
        activated: Whether ReLU6 follows.
    """

    def __init__(self, conv: nn.Conv2d, activated: bool) -> None:
        super().__init__()
        assert conv.bias is not None
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.register_buffer('weight', weight, persistent=False)
        self.register_buffer('bias', conv.bias.detach(), persistent=False)
        self._conv: Any = conv
        self._same = type(conv).__name__ == 'Conv2dSame'
        self._activation = ('hardtanh', [0.0, 6.0]) if activated else ('none', [])

    def forward(self, x: Float[Tensor, 'n c rows cols']) -> Float[Tensor, 'n c2 rows2 cols2']:
        """Returns the activated map."""
        conv = self._conv
        axes = [(int(each), 0) for each in conv.padding]
        if self._same:
            steps = zip(x.shape[2:], conv.kernel_size, conv.stride, strict=True)
            axes = [_same_padding(*axis) for axis in steps]
        padding, first = [each for each, _ in axes], [at for _, at in axes]
        y = torch.ops.mkldnn._convolution_pointwise(
            x,
            self.weight,
            self.bias,
            padding,
            list(conv.stride),
            list(conv.dilation),
            conv.groups,
            *self._activation,
            '',
        )
        if not any(first):
            return y
        sides = (-(-side // step) for side, step in zip(x.shape[2:], conv.stride, strict=True))
        rows, cols = (slice(at, at + side) for at, side in zip(first, sides, strict=True))
        return y[:, :, rows, cols]


def fuse_convolutions(module: nn.Module) -> None:
    """Replaces the convolutions of a network, and the ReLU6 right after them, in place."""
    children = list(module.named_children())
    for index, (name, child) in enumerate(children):
        if isinstance(child, nn.Conv2d):
            after, next_one = children[index + 1] if index + 1 < len(children) else ('', None)
            activated = isinstance(next_one, nn.ReLU6)
            setattr(module, name, FusedConvolution(child, activated))
            if activated:
                setattr(module, after, nn.Identity())
        else:
            fuse_convolutions(child)


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Returns equal padding for both ends of an axis, and the first output that is meant.

    'Same' padding has one more zero at the end where it is odd. A whole stride more at both ends
    gives the same outputs, and one before them.
    """
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return (total // 2, 0) if total % 2 == 0 else (total // 2 + stride, 1)
