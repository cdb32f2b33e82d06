"""Dense features of an image: self-supervised patches that follow object borders.

Pixels are ``(u, v)`` of the keyframe's image, edges at integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import LanguageEncoder, WindowEncoder

# LERF: DINO sees the image with its short side at 500 px.
SHORT_SIDE_PX = 500


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Dense features of one image.

    Attributes:
        width: Width of the image, pixels.
        height: Height of the image, pixels.
        features: Feature of each cell of a regular grid over the image.
    """

    width: int
    height: int
    features: Float[Tensor, 'rows cols c']

    def lookup(self, uv: Float[Tensor, 'n 2']) -> Float[Tensor, 'n c']:
        """Returns features bilinear among cell centres; pixels beyond them are clamped."""
        size = torch.tensor([self.width, self.height], device=self.features.device)
        grid = (2 * uv.to(self.features.device) / size - 1).float()[None, None]
        table = self.features.float().permute(2, 0, 1)[None]
        found = F.grid_sample(table, grid, padding_mode='border', align_corners=False)
        return found[0, :, 0].T


class DenseExtractor(Protocol):
    """Makes the feature map of an image.

    Attributes:
        size: Length c of a feature.
    """

    size: int

    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        """Returns the dense features of an RGB image."""
        ...


class EncoderPatches:
    """The language encoder's own feature map.

    Args:
        encoder: An encoder with a convolutional tower.
    """

    def __init__(self, encoder: WindowEncoder) -> None:
        self._encoder = encoder
        self.size = encoder.patch_features(torch.zeros(3, 32, 32)).shape[-1]

    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        """Returns the dense features of an RGB image."""
        features = self._encoder.patch_features(_unit_image(image))
        return FeatureMap(image.shape[1], image.shape[0], features)


class TimmPatches:
    """Patch tokens of a vision transformer, such as DINO's ViT-S/8.

    Args:
        model: A timm vision transformer without its classifier.
        device: Where it runs.
    """

    def __init__(self, model: torch.nn.Module, device: torch.device | str) -> None:
        import timm

        self._model = model.eval().to(device)
        self._device = torch.device(device)
        config = timm.data.resolve_model_data_config(model)
        self._mean = torch.tensor(config['mean'], device=device)[:, None, None]
        self._std = torch.tensor(config['std'], device=device)[:, None, None]
        self._patch_px = int(model.patch_embed.patch_size[0])
        self.size = int(model.num_features)

    @torch.no_grad()
    def extract(self, image: UInt8[np.ndarray, 'height width 3']) -> FeatureMap:
        """Returns the dense features of an RGB image."""
        height, width = image.shape[:2]
        scale = SHORT_SIDE_PX / min(height, width)
        rows, cols = (max(1, round(side * scale / self._patch_px)) for side in (height, width))
        picture = _unit_image(image).to(self._device)
        picture = F.interpolate(
            picture[None],
            (rows * self._patch_px, cols * self._patch_px),
            mode='bilinear',
            antialias=True,
        )
        tokens = self._model.forward_features((picture - self._mean) / self._std)
        patches = tokens[0, tokens.shape[1] - rows * cols :]
        return FeatureMap(width, height, patches.reshape(rows, cols, -1))


def load_dense_extractor(
    options: FeatureOptions, encoder: LanguageEncoder, device: torch.device | str
) -> DenseExtractor | None:
    """Returns the extractor the options name, or None for 'none'.

    Raises:
        ValueError: The model is unknown, not of this kind, or its weights are not on this machine.
    """
    if options.dense == 'none':
        return None
    if options.dense == 'encoder':
        if not isinstance(encoder, WindowEncoder):
            raise ValueError(
                f"dense: expected a convolutional encoder for 'encoder', got {encoder.name!r}; "
                "name a timm model such as 'vit_small_patch8_224.dino', or 'none'"
            )
        return EncoderPatches(encoder)
    return TimmPatches(_load_timm(options), device)


def _load_timm(options: FeatureOptions) -> torch.nn.Module:
    # Beside a CPU build of torch, timm imports torchvision only after this has mended it.
    from lerf_ros.features.open_clip_module import open_clip

    open_clip()
    import timm

    if not timm.is_model(options.dense):
        near = ', '.join(timm.list_models(f'*{options.dense.split(".")[0][:12]}*')[:5]) or 'none'
        raise ValueError(f'dense: timm has no model {options.dense!r}; near names: {near}')
    path = Path(options.dense_pretrained).expanduser() if options.dense_pretrained else None
    if path is None and not options.allow_download:
        raise ValueError(
            f'dense_pretrained: name the local weights file of {options.dense!r}, or set '
            "features.allow_download; 'none' and 'encoder' work without weights"
        )
    if path is not None and not path.is_file():
        raise ValueError(f'dense_pretrained: there is no file {path}')
    size = 8 * math.ceil(SHORT_SIDE_PX / 8)
    settings = {'num_classes': 0, 'dynamic_img_size': True, 'img_size': size}
    try:
        if path is None:
            model = timm.create_model(options.dense, pretrained=True, **settings)
        else:
            model = timm.create_model(options.dense, checkpoint_path=str(path), **settings)
    except TypeError as error:
        raise ValueError(f'dense: {options.dense!r} is no vision transformer ({error})') from error
    except (RuntimeError, OSError) as error:
        raise ValueError(f'dense_pretrained: {path or options.dense}: {error}') from error
    return model
