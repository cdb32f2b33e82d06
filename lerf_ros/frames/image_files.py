"""Pictures, depth maps and masks on disk, by the decoder of live messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from lerf_ros.frames.compressed import decode_alpha, decode_depth, decode_mask, decode_rgb
from lerf_ros.frames.encodings import metric_depth

Image = UInt8[np.ndarray, 'height width 3']
Depth = Float[np.ndarray, 'height width']
Visible = Bool[np.ndarray, 'height width']

# What sensors write where they have no reading, besides 0.
NO_READING = 65535


def read_rgb(path: Path) -> Image:
    """Returns a picture as RGB, as it is stored: EXIF orientation is not applied.

    Calibrations speak of the stored pixels, and so do the poses that came with them.

    Raises:
        ValueError: The file is absent, is no picture or is damaged.
    """
    try:
        return decode_rgb(_bytes(path), path.name)
    except ValueError as error:
        raise ValueError(f'{path}: expected a picture: {error}') from error


def read_depth(path: Path, unit_m: float = 0.001) -> Depth:
    """Returns a 16-bit depth map in metres; 0 and 65535 mean no reading and become NaN.

    Raises:
        ValueError: The file is absent, damaged or holds no 16-bit picture with one channel.
    """
    try:
        values = decode_depth(_bytes(path), path.name)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return metric_depth(np.where(values == NO_READING, np.uint16(0), values), unit_m)


def read_alpha(path: Path) -> Visible | None:
    """Returns where a PNG with an alpha channel is opaque; None without one.

    Raises:
        ValueError: The file is absent or damaged.
    """
    return decode_alpha(_bytes(path)) if path.suffix.lower() == '.png' else None


def read_mask(path: Path) -> Visible:
    """Returns where a mask is not black.

    Raises:
        ValueError: The file is absent or is no picture.
    """
    try:
        return decode_mask(_bytes(path), path.name)
    except ValueError as error:
        raise ValueError(f'{path}: expected a mask: {error}') from error


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f'{path}: cannot be read: {error.strerror or error}') from error
    if not data:
        raise ValueError(f'{path}: expected a picture, got an empty file')
    return data
