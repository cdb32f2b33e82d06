"""The image tower: EfficientNet-Lite0, trained on the photographs of ImageNet-1k.

A cell of the feature map covers exactly ``STRIDE`` x ``STRIDE`` pixels of the picture: the
network's own padding shifts its map by nearly half a cell, and ``PAD_PX`` more pixels on every
side undo that. Its classifier is a matrix of one row a class; classes are in ImageNet's order.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lerf_ros.features.open_clip.module import timm
from lerf_ros.features.photo.convolution import fuse_convolutions, fused_available

ARCHITECTURE = 'tf_efficientnet_lite0'
STRIDE = 32
PAD_PX = 16
# Stages that tell how things look rather than what kind they are: the second, of colours and
# edges, and the sixth, of which the last ones make kinds. Their features keep their own lengths.
LOOK_STAGES = (1, 5)
# As the network was trained: (255 x - 127) / 128.
_MEAN, _STD = 127 / 255, 128 / 255
# Pairs of a convolution and the normalisation after it, by the names of timm's blocks.
_SEPARABLE = (('conv_dw', 'bn1'), ('conv_pw', 'bn2'))
_INVERTED = (('conv_pw', 'bn1'), ('conv_dw', 'bn2'), ('conv_pwl', 'bn3'))


class PhotoTower(nn.Module):
    """Pictures to maps of cells.

    Args:
        network: timm's network, with its weights.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network.eval().requires_grad_(False)
        means = [_mean_output(network.blocks[number]) for number in LOOK_STAGES]
        self.look_means: Tensor
        self.register_buffer('look_means', torch.cat(means), persistent=False)

    @classmethod
    def load(cls, path: Path) -> PhotoTower:
        """Returns the tower with the weights of a file; nothing in the file is executed.

        Raises:
            ValueError: The file is damaged or holds another architecture.
        """
        network = timm().create_model(ARCHITECTURE)
        try:
            stored = torch.load(path, map_location='cpu', weights_only=True)
        except Exception as error:
            raise ValueError(f'{path}: the weights file is damaged ({error})') from error
        own, stored = _counters_left_out(network.state_dict()), _counters_left_out(stored)
        # Both list the same layers from the stem to the classifier, under other names.
        if [tuple(value.shape) for value in own.values()] != [
            tuple(value.shape) for value in stored.values()
        ]:
            raise ValueError(f'{path}: these are no weights of {ARCHITECTURE}')
        network.load_state_dict(dict(zip(own, stored.values(), strict=True)), strict=False)
        return cls(network)

    @property
    def classifier(self) -> Float[Tensor, 'classes c']:
        """One row a class."""
        return self.network.classifier.weight

    def fold(self) -> None:
        """Folds normalisation, and on a CPU activations, into convolutions: the same, faster."""
        net = self.network
        _fuse(net, 'conv_stem', 'bn1')
        for stage in net.blocks:
            for block in stage:
                for conv, norm in _INVERTED if hasattr(block, 'conv_pwl') else _SEPARABLE:
                    _fuse(block, conv, norm)
        _fuse(net, 'conv_head', 'bn2')
        net.to(memory_format=torch.channels_last)
        if net.conv_stem.weight.device.type == 'cpu' and fused_available():
            fuse_convolutions(net)

    def logits(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n classes']:
        """Returns what the network was trained for; for tests."""
        return self.network((images - _MEAN) / _STD)

    def forward(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n c rows cols']:
        """Returns the cells of pictures whose sides are multiples of ``STRIDE``.

        First what the classifier reads, then the looks.
        """
        rows, cols = images.shape[2] // STRIDE, images.shape[3] // STRIDE
        x = F.pad((images - _MEAN) / _STD, (PAD_PX,) * 4, mode='replicate')
        x = x.contiguous(memory_format=torch.channels_last)
        net, looks = self.network, []
        x = net.bn1(net.conv_stem(x))
        for number, stage in enumerate(net.blocks):
            x = stage(x)
            if number in LOOK_STAGES:
                looks.append(_in_cells(x, rows, cols))
        x = net.bn2(net.conv_head(x))[:, :, :rows, :cols]
        look = torch.cat(looks, dim=1) - self.look_means[:, None, None].to(x)
        return torch.cat([x, look], dim=1)


def _in_cells(x: Float[Tensor, 'n c h w'], rows: int, cols: int) -> Float[Tensor, 'n c rows cols']:
    """Returns the mean of a stage's map over each cell of ``STRIDE`` pixels."""
    finer = x.shape[2] // (rows + 1)
    # The padding is half a cell, and the finer a map, the less it is shifted by the network's own.
    first = finer // 2
    x = x[:, :, first : first + finer * rows, first : first + finer * cols]
    return x if finer == 1 else F.avg_pool2d(x, finer)


def _mean_output(stage: Iterable[Any]) -> Float[Tensor, ' c']:
    """Returns the mean of what a stage makes of the pictures that the network was trained on.

    It ends in normalisations, whose means are known: one, and one for each block that adds to it.
    """
    total: Any = 0
    for block in stage:
        total = (total if block.has_skip else 0) + block.bn3.bias.detach()
    return total


def _fuse(owner: nn.Module, conv: str, norm: str) -> None:
    layer = getattr(owner, norm)
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), layer))
    setattr(owner, norm, layer.act)  # timm's normalisation holds the activation as well


def _counters_left_out(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if 'num_batches' not in name}
