"""The choice of frames worth keeping."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lerf_ros.config import KeyframeOptions
from lerf_ros.geometry import rotation_angle


class KeyframeSelector:
    """Chooses the frames that show something new: the camera has moved, turned or waited enough.

    Args:
        options: Thresholds.

    Attributes:
        options: Thresholds; they may be replaced at any time.
    """

    def __init__(self, options: KeyframeOptions) -> None:
        self.options = options
        self._last_pose: np.ndarray | None = None
        self._last_stamp_ns = 0

    def wants(self, camera_to_world: Float[np.ndarray, '4 4'], stamp_ns: int) -> bool:
        """Tells whether a frame with this pose and stamp is worth keeping; changes nothing."""
        if self._last_pose is not None and stamp_ns >= self._last_stamp_ns:
            options = self.options
            moved_m = float(np.linalg.norm(camera_to_world[:3, 3] - self._last_pose[:3, 3]))
            turned = rotation_angle(camera_to_world[:3, :3] @ self._last_pose[:3, :3].T)
            waited_s = (stamp_ns - self._last_stamp_ns) * 1e-9
            if waited_s < options.min_interval_s or (
                moved_m < options.min_translation_m
                and turned < math.radians(options.min_rotation_deg)
                and not 0 < options.max_interval_s <= waited_s
            ):
                return False
        return True

    def keep(self, camera_to_world: Float[np.ndarray, '4 4'], stamp_ns: int) -> None:
        """Remembers a frame that was kept: later ones have to differ from it."""
        self._last_pose, self._last_stamp_ns = camera_to_world.copy(), stamp_ns
