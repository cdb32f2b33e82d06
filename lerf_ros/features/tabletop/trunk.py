"""The convolutional image tower of the shipped encoder, registered with timm.

A cell of the feature map covers exactly ``STRIDE`` x ``STRIDE`` pixels of the input: the stem has
an even kernel with padding 1, and later reductions do not overlap, so nothing is shifted.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lerf_ros.features.open_clip.module import timm

STRIDE = 8
CONTEXT_PX = 96
"""More than the radius of the receptive field of a cell, pixels, in whole cells."""
_CHANNELS = (32, 64, 128, 256)
_BLOCKS = (1, 3)


def _central_weights(count: int) -> Float[Tensor, ' count']:
    """Returns weights, of sum 1, of the cells of a row by their share in its middle half."""
    edges = torch.arange(count + 1.0)
    shares = (edges[1:].clamp(max=0.75 * count) - edges[:-1].clamp(min=0.25 * count)).clamp(min=0)
    return shares / shares.sum()


class _Block(nn.Module):
    """Two 3x3 convolutions around which the input passes unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, 'n c h w']) -> Float[Tensor, 'n c h w']:
        y = torch.relu_(self.norm1(self.conv1(x)))
        return torch.relu_(self.norm2(self.conv2(y)) + x)


class _Transition(nn.Module):
    """A convolution between stages; with stride 2 it halves height and width."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 2) -> None:
        super().__init__()
        padding = (kernel - stride) // 2
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Float[Tensor, 'n c h w']) -> Float[Tensor, 'n c2 h2 w2']:
        return torch.relu_(self.norm(self.conv(x)))


class TabletopTrunk(nn.Module):
    """Residual convolutions from an image to a map of one cell per 8x8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, last = _CHANNELS
        self.num_features = last
        self.default_cfg = {'pool_size': (8, 8), 'input_size': (3, 64, 64)}
        self.layers = nn.Sequential(
            _Transition(3, first, 4),
            _Transition(first, second, 2),
            *[_Block(second) for _ in range(_BLOCKS[0])],
            _Transition(second, third, 2),
            *[_Block(third) for _ in range(_BLOCKS[1])],
            _Transition(third, last, 1, stride=1),  # many features to average, each plain
        )

    def reset_classifier(self, num_classes: int, global_pool: str = 'avg') -> None:
        """Accepts what timm's adapter asks for: no classifier, and the pooling built in."""
        if num_classes or global_pool != 'avg':
            raise ValueError(
                f'trunk: expected no classifier and avg pooling, got {num_classes}, {global_pool}'
            )

    def forward_features(self, x: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n c rows cols']:
        """Returns the feature map; h and w are multiples of 8."""
        return self.layers(x)

    def forward(self, x: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n c']:
        """Returns the centre-weighted mean over the whole image."""
        cells = self.forward_features(x).float()
        down, across = (_central_weights(size).to(cells) for size in cells.shape[2:])
        middle = torch.einsum('nchw,h,w->nc', cells, down, across)
        return (cells.mean(dim=(2, 3)) + middle) / 2

    def fold(self) -> None:
        """Folds the normalisation into the convolutions: the same function, faster."""
        for layer in self.layers:
            pairs = [('conv', 'norm')] if isinstance(layer, _Transition) else []
            if isinstance(layer, _Block):
                pairs = [('conv1', 'norm1'), ('conv2', 'norm2')]
            for conv, norm in pairs:
                fused = fuse_conv_bn_eval(getattr(layer, conv), getattr(layer, norm))
                setattr(layer, conv, fused)
                setattr(layer, norm, nn.Identity())


def register_trunk() -> None:
    """Makes the trunk known to timm as ``lerf_tabletop``; calling it again changes nothing."""
    if not timm().is_model('lerf_tabletop'):
        timm().models.register_model(lerf_tabletop)


def lerf_tabletop(pretrained: bool = False, **_: object) -> TabletopTrunk:
    """Makes the trunk; timm calls this with arguments that only its own models read."""
    if pretrained:
        raise ValueError('lerf_tabletop: the trunk has no weights of its own')
    return TabletopTrunk()


__all__ = ['lerf_tabletop']  # timm reads the public names of a module that registers a model
