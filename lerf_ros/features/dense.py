"""Dense features of an image: one vector per patch, which sharpen the borders of objects.

They come from the language encoder's own tower, or from a self-supervised model of timm such as
DINO (``vit_small_patch8_224.dino``) or DINOv2 (``vit_small_patch14_dinov2.lvd142m``). Pixels are
``(u, v)`` of the image, edges at integers.
"""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import LanguageEncoder, WindowEncoder
from lerf_ros.features.open_clip.encoder import ClipEncoder
from lerf_ros.features.open_clip.module import timm

_LOGGER = logging.getLogger(__name__)
# LERF shrinks images to this short side for DINO.
_SHORT_SIDE_PX = 500
_RANDOM = 'random'


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Dense features of one image.

    Attributes:
        features: Unit vector of each patch; the patches tile the image evenly.
        width: Width of the image, pixels.
        height: Height of the image, pixels.
    """

    features: Float[Tensor, 'rows cols c']
    width: int
    height: int

    def lookup(self, uv: Float[Tensor, 'n 2']) -> Float[Tensor, 'n c']:
        """Returns features bilinear among patch centres; pixels outside are clamped."""
        size = uv.new_tensor([self.width, self.height])
        grid = (uv / size * 2 - 1).to(self.features)[None, :, None]
        sampled = F.grid_sample(
            self.features.permute(2, 0, 1)[None],
            grid,
            mode='bilinear',
            padding_mode='border',
            align_corners=False,
        )
        return sampled[0, :, :, 0].T.float()


@runtime_checkable
class DenseExtractor(Protocol):
    """Images to feature maps.

    Attributes:
        size: Length c of a feature vector.
    """

    size: int

    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        """Returns the feature map of an image."""
        ...


def load_dense_extractor(
    options: FeatureOptions, encoder: LanguageEncoder, device: torch.device | str = 'cpu'
) -> DenseExtractor | None:
    """Returns what the options name, or None for 'none'.

    Raises:
        ValueError: The name is unknown, the weights are missing or of another model, or the
            encoder's tower has no patches.
    """
    device = torch.device(device)
    if options.dense == 'none':
        return None
    if options.dense == 'encoder':
        if isinstance(encoder, WindowEncoder):
            return _WindowExtractor(encoder, device)
        if isinstance(encoder, ClipEncoder) and hasattr(
            encoder.model.visual, 'forward_intermediates'
        ):
            return _PatchExtractor(
                encoder.model.visual, 'image_intermediates', encoder.input_size, encoder.pixels_in
            )
        raise ValueError(f"dense: the tower of {encoder.name} has no patches; use 'none'")
    return _load_timm(options, device)


class _WindowExtractor:
    """The cells of a convolutional language encoder."""

    def __init__(self, encoder: WindowEncoder, device: torch.device) -> None:
        self._encoder, self._device = encoder, device
        self.size = self._encoder.patch_features(torch.zeros(3, 64, 64)).shape[-1]

    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        pixels = _pixels(image).to(self._device)
        features = self._encoder.patch_features(pixels).to(_storage(self._device))
        return FeatureMap(features, image.shape[1], image.shape[0])


class _PatchExtractor:
    """The last patches of a transformer that takes square input."""

    def __init__(self, tower: Any, key: str, side_px: int, pixels_in) -> None:
        self._tower, self._key, self._side_px = tower, key, side_px
        self._pixels_in = pixels_in
        self._device = next(tower.parameters()).device
        self.size = self._patches(torch.zeros(1, 3, side_px, side_px)).shape[0]

    @torch.no_grad()
    def _patches(self, images: Float[Tensor, '1 3 h w']) -> Float[Tensor, 'c rows cols']:
        out = self._tower.forward_intermediates(
            self._pixels_in(images), indices=1, intermediates_only=True
        )
        return (out[self._key] if isinstance(out, dict) else out)[-1][0].float()

    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        images = F.interpolate(
            _pixels(image)[None],
            (self._side_px, self._side_px),
            mode='bicubic',
            antialias=True,
        ).clamp(0, 1)
        features = F.normalize(self._patches(images), dim=0).permute(1, 2, 0)
        return FeatureMap(
            features.to(_storage(self._device)).contiguous(), image.shape[1], image.shape[0]
        )


class _TimmExtractor:
    """The last patches of a model of timm, at the shape of the image."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model.eval().requires_grad_(False).to(device, _storage(device))
        self._device = device
        config = model.pretrained_cfg
        self._mean = torch.tensor(config['mean'], device=device).view(3, 1, 1)
        self._std = torch.tensor(config['std'], device=device).view(3, 1, 1)
        self._patch = model.patch_embed.patch_size[0]
        self.size = int(model.num_features)

    @torch.no_grad()
    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        height, width = image.shape[:2]
        scale = min(1.0, _SHORT_SIDE_PX / min(height, width))
        sides = [
            max(1, round(side * scale / self._patch)) * self._patch for side in (height, width)
        ]
        pixels = F.interpolate(
            _pixels(image)[None].to(self._device), sides, mode='bilinear', antialias=True
        )
        patches = self._model.forward_intermediates(
            ((pixels - self._mean) / self._std).to(_storage(self._device)),
            indices=1,
            intermediates_only=True,
        )[-1][0]
        features = F.normalize(patches.float(), dim=0).permute(1, 2, 0)
        return FeatureMap(features.to(_storage(self._device)).contiguous(), width, height)


def _load_timm(options: FeatureOptions, device: torch.device) -> _TimmExtractor:
    name = options.dense
    if not timm().is_model(name.split('.')[0]):
        near = difflib.get_close_matches(name, timm().list_models('vit*'), n=5, cutoff=0.3)
        raise ValueError(
            f'dense: no model is called {name!r}; near names: '
            f'{", ".join(near) or "none"}, encoder, none'
        )
    try:
        model = timm().create_model(name, num_classes=0, dynamic_img_size=True)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f'dense: {name} is no vision transformer ({error})') from error
    if options.dense_pretrained == _RANDOM:
        _LOGGER.warning('%s has random weights: good for timing only', name)
        return _TimmExtractor(model, device)
    path = Path(options.dense_pretrained or f'{options.weights_dir}/{name}.safetensors')
    path = path.expanduser()
    if not path.is_file():
        if options.allow_download and not options.dense_pretrained:
            model = timm().create_model(
                name, pretrained=True, num_classes=0, dynamic_img_size=True
            )
            return _TimmExtractor(model, device)
        raise ValueError(
            f'dense_pretrained: the weights of {name} are not on this machine: put the file timm '
            f'publishes at {path}, or set features.allow_download; without them dense = '
            "'encoder' or 'none' works"
        )
    try:
        timm().models.load_checkpoint(model, str(path), strict=False)
        _require_loaded(model, path)
    except ValueError:
        raise
    except Exception as error:
        detail = str(error).strip().splitlines()[0][:200]
        raise ValueError(f'{path}: these are no weights of {name} ({detail})') from error
    return _TimmExtractor(model, device)


def _require_loaded(model: nn.Module, path: Path) -> None:
    """Raises unless the file holds every tensor of the model: strict loading would also refuse
    files that hold more, such as a classifier, which does no harm."""
    from timm.models import load_state_dict

    missing = set(model.state_dict()) - set(load_state_dict(str(path)))
    if missing:
        raise ValueError(f'{path}: {len(missing)} tensors are missing, such as {min(missing)!r}')


def _pixels(image: np.ndarray) -> Float[Tensor, '3 h w']:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255


def _storage(device: torch.device) -> torch.dtype:
    return torch.float16 if device.type == 'cuda' else torch.float32
