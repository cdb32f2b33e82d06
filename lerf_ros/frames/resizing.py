"""Frames made smaller.

Colour is averaged. Depth is picked, since an average over an object's border is the depth of
neither side. A pixel is visible only if all that it was made from is, or as much as anywhere.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lerf_ros.config import KeyframeOptions
from lerf_ros.frames.frame import PosedFrame
from lerf_ros.frames.holes import without_holes


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


def limited(frame: PosedFrame, options: KeyframeOptions) -> PosedFrame:
    """Returns the frame as wide as it may be, holes in its depth closed, far depth unknown."""
    frame = narrowed(frame, options.max_width)
    if frame.depth is None:
        return frame
    depth_m = frame.depth
    if options.max_hole_m2:
        depth_m = without_holes(depth_m, frame.camera, options.max_hole_m2, frame.visible)
    return replace(
        frame, depth=np.where(depth_m > options.max_depth_m, np.float32(np.nan), depth_m)
    )


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
