"""Pictures and depth maps on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.geometry import PinholeCamera

Image = UInt8[np.ndarray, 'height width 3']
Depth = Float[np.ndarray, 'height width']


def read_rgb(path: Path) -> Image:
    """Returns a picture as RGB, as it is stored: EXIF orientation is not applied.

    Calibrations speak of the stored pixels, and so do the poses that came with them.

    Raises:
        ValueError: The file is absent or is no picture.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f'{path}: expected a picture, got a file that cannot be decoded')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_depth(path: Path, unit_m: float = 0.001) -> Depth:
    """Returns a 16-bit depth map in metres; 0 and 65535 mean no reading and become NaN.

    Raises:
        ValueError: The file is absent or holds no 16-bit picture with one channel.
    """
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.dtype != np.uint16 or depth.ndim != 2:
        raise ValueError(f'{path}: expected a 16-bit depth picture with one channel')
    return np.where((depth == 0) | (depth == 65535), np.nan, depth * unit_m).astype(np.float32)


def shrink(
    image: Image, depth: Depth | None, camera: PinholeCamera, factor: int
) -> tuple[Image, Depth | None, PinholeCamera]:
    """Returns the same view in an image that is ``factor`` times smaller each way.

    Colour is averaged. Depth is picked, since an average over an object's border is the depth of
    neither side.

    Raises:
        ValueError: The factor is below 1 or leaves no pixel.
    """
    width, height = camera.width // factor if factor >= 1 else 0, camera.height // max(factor, 1)
    if width < 1 or height < 1:
        raise ValueError(
            f'downscale: expected 1 to {min(camera.width, camera.height)}, got {factor}'
        )
    if factor == 1:
        return image, depth, camera
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if depth is not None:
        depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
    return image, depth, camera.resized(width, height)
