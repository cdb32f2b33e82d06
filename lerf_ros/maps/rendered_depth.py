"""The surface of keyframes that came without depth, from depth that the map renders itself."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import rounded_pose
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.trainer import Trainer

# One keyframe each so many steps, as soon as the geometry has settled.
EVERY_STEPS = 25
FIRST_STEP = 300
WIDTH_PX = 160
# Depth counts where at least this much of the ray's light comes from the map.
OPAQUE = 0.9


class RenderedDepth:
    """Takes turns among keyframes without depth.

    Their pictures stay in the store; here are only their names.

    Args:
        ids: The keyframes so far.
    """

    def __init__(self, ids: Iterable[KeyframeId] = ()) -> None:
        self._rendered_at = dict.fromkeys(ids, -1)

    def add(self, id_: KeyframeId) -> None:
        """Adds a keyframe; it is the next."""
        self._rendered_at[id_] = -1

    def renew(self, trainer: Trainer, surface_map: SurfaceMap) -> None:
        """Renews the surface that the keyframe whose turn it is sees, if this step is for it."""
        step = trainer.step_count
        if not self._rendered_at or step < FIRST_STEP or step % EVERY_STEPS:
            return
        id_ = min(self._rendered_at, key=self._rendered_at.__getitem__)
        frame = trainer.store.keyframe(id_).frame
        width = min(WIDTH_PX, frame.camera.width)
        height = max(1, round(frame.camera.height * width / frame.camera.width))
        camera = frame.camera.resized(width, height)
        view = trainer.render(camera, frame.camera_to_world)
        depth_m = np.where(view.accumulation > OPAQUE, view.depth_m, np.nan).astype(np.float32)
        if frame.visible is not None:
            seen = cv2.resize(
                frame.visible.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
            )
            depth_m[seen == 0] = np.nan
        pose = rounded_pose(frame.camera_to_world)
        surface_map.integrate(id_, depth_m, view.image, camera, pose)
        self._rendered_at[id_] = step
