"""Frames made smaller.

Colour is averaged. Depth is picked, since an average over an object's border is the depth of
neither side. A pixel is visible only if all that it was made from is, or as much as anywhere.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lerf_ros.frames.frame import PosedFrame


def shrunk(frame: PosedFrame, factor: int) -> PosedFrame:
    """Returns the same view in a picture that is ``factor`` times smaller each way.

    Raises:
        ValueError: The factor is below 1 or leaves no pixel.
    """
    camera = frame.camera
    if not 1 <= factor <= min(camera.width, camera.height):
        raise ValueError(
            f'downscale: expected 1 to {min(camera.width, camera.height)}, got {factor}'
        )
    return _resized(frame, camera.width // factor, camera.height // factor)


def limited(frame: PosedFrame, max_width: int, max_depth_m: float) -> PosedFrame:
    """Returns the frame at most so wide, with depth beyond a limit unknown."""
    if frame.depth is not None:
        depth_m = np.where(frame.depth > max_depth_m, np.float32(np.nan), frame.depth)
        frame = replace(frame, depth=depth_m)
    return narrowed(frame, max_width)


def narrowed(frame: PosedFrame, max_width: int) -> PosedFrame:
    """Returns the frame at most so wide."""
    camera = frame.camera
    if camera.width <= max_width:
        return frame
    return _resized(frame, max_width, max(1, round(camera.height * max_width / camera.width)))


def _resized(frame: PosedFrame, width: int, height: int) -> PosedFrame:
    size = (width, height)
    if size == (frame.camera.width, frame.camera.height):
        return frame
    depth_m, visible = frame.depth, frame.visible
    if depth_m is not None:
        depth_m = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST)
    if visible is not None:
        hidden = np.where(visible, np.uint8(0), np.uint8(255))
        share = cv2.resize(hidden, size, interpolation=cv2.INTER_AREA)
        visible = share == share.min()
    return replace(
        frame,
        image=cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA),
        depth=depth_m,
        camera=frame.camera.resized(width, height),
        visible=visible,
    )
