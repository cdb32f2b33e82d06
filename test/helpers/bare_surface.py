"""A surface of which only the places are known."""

from __future__ import annotations

import numpy as np

from lerf_ros.surface.points import SurfacePoints


def bare_surface(positions: np.ndarray, voxel_m: float = 0.01) -> SurfacePoints:
    """Returns black points that one keyframe saw."""
    count = len(positions)
    return SurfacePoints(
        positions=positions,
        colours=np.zeros((count, 3), np.uint8),
        normals=np.zeros((count, 3), np.float32),
        views=np.ones(count, np.int64),
        confidence=np.ones(count, np.float32),
        visible_height_m=np.ones((count, 2), np.float32),
        seen_by=np.zeros((count, 1), np.int64),
        cameras_m=np.zeros((1, 3)),
        keys=np.arange(count),
        voxel_m=voxel_m,
    )
