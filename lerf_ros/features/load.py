"""The encoder that the options name."""

from __future__ import annotations

import torch

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.open_clip.encoder import load_clip_encoder
from lerf_ros.features.photo.encoder import PHOTO, load_photo_encoder
from lerf_ros.features.tabletop.encoder import TABLETOP, load_tabletop_encoder


def load_encoder(options: FeatureOptions, device: torch.device | str = 'cpu') -> LanguageEncoder:
    """Returns the encoder that the options name.

    Args:
        options: `encoder` is 'tabletop', 'photo' or a model of open_clip; `pretrained` says which
            weights.
        device: Where it runs; half precision on a GPU.

    Raises:
        ValueError: The name is unknown, or the weights are missing, damaged or of another model.
    """
    device = torch.device(device)
    if options.encoder == TABLETOP:
        return load_tabletop_encoder(options, device)
    if options.encoder == PHOTO:
        return load_photo_encoder(options, device)
    return load_clip_encoder(options, device)
