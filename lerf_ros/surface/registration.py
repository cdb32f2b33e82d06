"""A keyframe's depth against the surface that is there: where the camera really was.

A mediocre tracker is off by some millimetres and tenths of a degree at each keyframe. The surface,
a mean over many of them, is not; so each keyframe is turned and moved until its depth lies on it
(generalised ICP, Segal et al. 2009, by small_gicp). Only a share of that is believed: were it all
of it, the first keyframe's error would stay for good and the world would drift with each further
one, while with a share the surface stays the mean of what the tracker says.
"""

from __future__ import annotations

import logging
from types import ModuleType

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import PinholeCamera, inside_box, rotation_angle
from lerf_ros.surface.depth_view import view_pixels
from lerf_ros.surface.points import SurfacePoints

logger = logging.getLogger(__name__)

Array = np.ndarray

# Share of a correction that is believed.
_GAIN = 0.75
# Points of the two clouds lie this many voxels apart after thinning.
_SURFACE_VOXELS, _DEPTH_VOXELS = 0.8, 1.2
_NEIGHBOURS = 12
# Points further apart than this many voxels are no pair; of the keyframe's points this share must
# find one.
_REACH_VOXELS = 1.5
_LEAST_PAIRED = 0.5
_LEAST_POINTS = 500
# A camera that turns by this much moves what it sees by as much as the limit.
_LEVER_M = 0.5


class DepthRegistration:
    """Corrects the poses of keyframes by their depth.

    Args:
        limit_m: Greatest correction; what would need more is left as it came.
        max_range_m: Depth beyond this is not looked at.

    Attributes:
        corrected: Number of keyframes that were moved.
        refused: Number of keyframes whose pose was left as it came.

    Raises:
        ValueError: The package small_gicp is missing.
    """

    def __init__(self, limit_m: float, max_range_m: float) -> None:
        self._limit_m, self._max_range_m = limit_m, max_range_m
        self._gicp = _small_gicp()
        self.corrected = self.refused = 0

    def correct(
        self,
        surface: SurfacePoints,
        depth_m: Float[Array, 'height width'],
        camera: PinholeCamera,
        camera_to_world: Float[Array, '4 4'],
    ) -> Float[Array, '4 4']:
        """Returns the pose of a keyframe, better where its depth says so.

        Args:
            surface: What the map holds before this keyframe.
            depth_m: Depth, NaN where unknown.
            camera: Intrinsics.
            camera_to_world: Pose as it came.
        """
        usable = np.isfinite(depth_m) & (depth_m > 0) & (depth_m <= self._max_range_m)
        near = np.where(usable, depth_m, 0).astype(np.float32)
        seen = view_pixels(near, camera, camera_to_world, surface.voxel_m, 0).positions
        if min(len(surface), len(seen)) < _LEAST_POINTS:
            return camera_to_world
        world_to_world = self._align(surface, seen)
        better = None if world_to_world is None else world_to_world @ camera_to_world
        if better is None or not self._believable(camera_to_world, better):
            self.refused += 1
            logger.debug('a keyframe keeps its pose: its depth does not fit to the surface')
            return camera_to_world
        self.corrected += 1
        return _partly(camera_to_world, better)

    def _align(
        self, surface: SurfacePoints, seen: Float[Array, 'n 3']
    ) -> Float[Array, '4 4'] | None:
        """Returns what moves the seen points onto the surface, None where nothing does."""
        voxel_m = surface.voxel_m
        reach_m = _REACH_VOXELS * voxel_m + self._limit_m
        low, high = seen.min(axis=0) - reach_m, seen.max(axis=0) + reach_m
        around = surface.positions[inside_box(surface.positions, low, high)]
        if len(around) < _LEAST_POINTS:
            return None
        target, tree = self._gicp.preprocess_points(
            around.astype(np.float64),
            downsampling_resolution=_SURFACE_VOXELS * voxel_m,
            num_neighbors=_NEIGHBOURS,
            num_threads=1,
        )
        source, _ = self._gicp.preprocess_points(
            np.asarray(seen, np.float64),
            downsampling_resolution=_DEPTH_VOXELS * voxel_m,
            num_neighbors=_NEIGHBOURS,
            num_threads=1,
        )
        result = self._gicp.align(
            target,
            source,
            tree,
            registration_type='GICP',
            max_correspondence_distance=_REACH_VOXELS * voxel_m,
            num_threads=1,
        )
        paired = result.num_inliers >= _LEAST_PAIRED * source.size()
        return np.array(result.T_target_source) if result.converged and paired else None

    def _believable(self, before: Float[Array, '4 4'], after: Float[Array, '4 4']) -> bool:
        moved_m = float(np.linalg.norm(after[:3, 3] - before[:3, 3]))
        turned = float(rotation_angle(after[:3, :3] @ before[:3, :3].T))
        return moved_m <= self._limit_m and turned * _LEVER_M <= self._limit_m


def _partly(before: Float[Array, '4 4'], after: Float[Array, '4 4']) -> Float[Array, '4 4']:
    """Returns a pose between two, nearer to the second."""
    turn, _ = cv2.Rodrigues(after[:3, :3] @ before[:3, :3].T)
    pose = np.array(before, np.float64)
    pose[:3, :3] = cv2.Rodrigues(_GAIN * turn)[0] @ before[:3, :3]
    pose[:3, 3] += _GAIN * (after[:3, 3] - before[:3, 3])
    return pose


def _small_gicp() -> ModuleType:
    try:
        import small_gicp
    except ImportError as error:
        raise ValueError(
            'training.registration_limit_m: above 0 it needs the package small_gicp: '
            "pip install 'lerf_ros[registration]', or set it to 0"
        ) from error
    return small_gicp
