"""The image tower: EfficientNet-Lite0, trained on the photographs of ImageNet-1k.

A cell of the feature map covers exactly ``STRIDE`` x ``STRIDE`` pixels of the picture: the
network's own padding shifts its map by nearly half a cell, and ``PAD_PX`` more pixels on every
side undo that. Its classifier is a matrix of one row a class; classes are in ImageNet's order.
"""

from __future__ import annotations

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
        """Returns the cells of pictures whose sides are multiples of ``STRIDE``."""
        rows, cols = images.shape[2] // STRIDE, images.shape[3] // STRIDE
        pixels = F.pad((images - _MEAN) / _STD, (PAD_PX,) * 4, mode='replicate')
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self.network.forward_features(pixels)[:, :, :rows, :cols]


def _fuse(owner: nn.Module, conv: str, norm: str) -> None:
    layer = getattr(owner, norm)
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), layer))
    setattr(owner, norm, layer.act)  # timm's normalisation holds the activation as well


def _counters_left_out(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if 'num_batches' not in name}
