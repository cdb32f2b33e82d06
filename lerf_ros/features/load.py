"""The encoder that the options name."""

from __future__ import annotations

from pathlib import Path

import torch

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import ExistenceCalibration, LanguageEncoder
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
        ValueError: The name is unknown, the weights are missing, damaged or of another model, or
            the existence calibration is of another encoder.
    """
    encoder = _load(options, torch.device(device))
    if options.existence:
        calibration = ExistenceCalibration.load(Path(options.existence).expanduser())
        if calibration.encoder_fingerprint != encoder.fingerprint:
            raise ValueError(
                f'existence: {options.existence} was fitted for another encoder than '
                f'{encoder.name!r} as it is now; fit it again by `lerf_ros calibrate`'
            )
        encoder.existence = calibration
    return encoder


def _load(options: FeatureOptions, device: torch.device) -> LanguageEncoder:
    if options.encoder == TABLETOP:
        return load_tabletop_encoder(options, device)
    if options.encoder == PHOTO:
        return load_photo_encoder(options, device)
    return load_clip_encoder(options, device)
