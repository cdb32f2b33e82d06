"""What lies behind a browser's scene: nothing, the rendered view, or a keyframe's picture."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from viser import ClientHandle

from lerf_ros.geometry import PinholeCamera

Array = np.ndarray
Picture = UInt8[Array, 'height width 3']

# viser's depth of a background reaches so far.
FAR_M = 160.0
JPEG_QUALITY = 85


class Backdrop:
    """The background of one browser.

    Args:
        client: The browser.
    """

    def __init__(self, client: ClientHandle) -> None:
        self._client = client
        self._drawn = False

    def clear(self) -> None:
        """Shows the plain background."""
        if self._drawn:
            self._client.scene.set_background_image(None)
            self._drawn = False

    def show(self, picture: Picture, depth_m: Float[Array, 'height width'] | None = None) -> None:
        """Shows a picture; with depth, what stands behind it is hidden."""
        if depth_m is not None:
            depth_m = np.nan_to_num(depth_m, nan=FAR_M)
        self._client.scene.set_background_image(
            picture, 'jpeg', jpeg_quality=JPEG_QUALITY, depth=depth_m
        )
        self._drawn = True


def fitted(
    picture: Picture, aspect: float
) -> tuple[UInt8[Array, 'high wide 3'], Float[Array, '2 2']]:
    """Returns a picture in a window of another shape, black beside or above it.

    Args:
        picture: The picture.
        aspect: Width of the window over its height.

    Returns:
        The window, and the (u, v) of its corners in pixels of the picture: first top left.
    """
    height, width = picture.shape[:2]
    wide = max(width, round(height * aspect))
    high = max(height, round(width / aspect))
    if wide / high > aspect:
        wide = max(width, round(high * aspect))
    left, top = (wide - width) // 2, (high - height) // 2
    window = cv2.copyMakeBorder(
        picture, top, high - height - top, left, wide - width - left, cv2.BORDER_CONSTANT
    )
    return window, np.array([[-left, -top], [wide - left, high - top]], np.float64)


def window_camera(camera: PinholeCamera, corners_uv: Float[Array, '2 2']) -> PinholeCamera:
    """Returns the camera of the window around a picture."""
    left, top = -corners_uv[0]
    width, height = corners_uv[1] - corners_uv[0]
    return PinholeCamera(
        camera.fx, camera.fy, camera.cx + left, camera.cy + top, round(width), round(height)
    )
