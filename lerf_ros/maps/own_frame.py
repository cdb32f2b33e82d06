"""The frame in which a map computes: the world's axes, and an origin where the robot is.

A world frame may have its origin thousands of kilometres away, as UTM's has. A number of 32 bits
tells half metres there, and all that learns computes with such numbers. So a map that begins far
from the world's origin has an origin of its own. It is taken off in 64 bits before anything is
learnt, and given back in 64 bits with all that leaves the map; whoever uses the map knows the
world frame alone.

The nanometre that 64 bits lose far from the origin is rounded away where poses enter the field and
the surface (`geometry.rounded_pose`): learning would magnify it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.config import LerfConfig
from lerf_ros.frames import Keyframe
from lerf_ros.maps.atlas_answer import in_world
from lerf_ros.query.region import Region
from lerf_ros.query.request import QueryRequest, QueryResult
from lerf_ros.surface.points import SurfacePoints, world_positions

Array = np.ndarray

# A map that begins farther than this from the world's origin has its own; 32 bits tell hundredths
# of a millimetre there.
FAR_M = 100.0
# Origins are multiples of this along each axis, which any grid of voxels divides.
STEP_M = 10.0
# Stands for no bound.
_NO_BOUND_M = 1e12


@dataclass(frozen=True, eq=False)
class OwnFrame:
    """The frame of one map.

    Attributes:
        origin_m: Its origin in the world.
    """

    origin_m: Float[Array, '3'] = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def around(cls, position_m: Float[Array, '3']) -> OwnFrame:
        """Returns the frame of a map that begins there: the world's own if that is near."""
        position_m = np.asarray(position_m, np.float64)
        if np.abs(position_m).max() <= FAR_M:
            return cls()
        return cls(np.round(position_m / STEP_M) * STEP_M)

    @classmethod
    def of_file(cls, metadata: dict[str, Any]) -> OwnFrame:
        """Returns the frame that the metadata of a map file tell; files of before had the world's.

        Raises:
            ValueError: It is no position.
        """
        origin_m = np.array(metadata.get('origin_m', (0.0, 0.0, 0.0)), np.float64)
        if origin_m.shape != (3,) or not np.isfinite(origin_m).all():
            raise ValueError(f'origin_m: expected a position in metres, got {origin_m.tolist()}')
        return cls(origin_m)

    @property
    def is_world(self) -> bool:
        """Whether it is the world's frame."""
        return not self.origin_m.any()

    # ---- into the map

    def poses(self, poses_world: Float[Array, '*n 4 4']) -> Float[Array, '*n 4 4']:
        """Returns poses of the world in this frame."""
        return poses_world if self.is_world else _shifted(poses_world, -self.origin_m)

    def keyframe(self, keyframe: Keyframe) -> Keyframe:
        """Returns a keyframe of the world in this frame."""
        return keyframe if self.is_world else _with_pose(keyframe, self.poses)

    def request(self, request: QueryRequest) -> QueryRequest:
        """Returns a question about the world as one about this frame."""
        if self.is_world or request.region is None:
            return request
        box = _shifted(request.region.box_to_world, -self.origin_m)
        return replace(request, region=Region(box, request.region.size_m))

    def config(self, config: LerfConfig) -> LerfConfig:
        """Returns the options with the places that they name in this frame.

        Bounds that were left at their defaults are none here: they speak of a world near zero.
        """
        if self.is_world:
            return config
        changes: dict[str, Any] = {}
        values, usual = config.flat(), LerfConfig().flat()
        for axis, offset_m in zip('xyz', self.origin_m, strict=True):
            changes[f'field.centre_{axis}_m'] = values[f'field.centre_{axis}_m'] - float(offset_m)
            for bound, none_m in (('min', -_NO_BOUND_M), ('max', _NO_BOUND_M)):
                name = f'query.region_{bound}_{axis}_m'
                kept = values[name] == usual[name]
                changes[name] = none_m if kept else values[name] - float(offset_m)
        return config.replace(changes)

    def surface(self, points_world: SurfacePoints) -> SurfacePoints:
        """Returns a surface of the world in this frame."""
        return self._moved_surface(points_world, -self.origin_m)

    def results(self, results_world: Sequence[QueryResult]) -> list[QueryResult]:
        """Returns answers of the world in this frame."""
        return self._moved_results(results_world, _shifted(np.eye(4), -self.origin_m))

    # ---- out of the map

    def world_poses(self, poses: Float[Array, '*n 4 4']) -> Float[Array, '*n 4 4']:
        """Returns poses of this frame in the world."""
        return poses if self.is_world else _shifted(poses, self.origin_m)

    def world_keyframe(self, keyframe: Keyframe) -> Keyframe:
        """Returns a keyframe of this frame in the world."""
        return keyframe if self.is_world else _with_pose(keyframe, self.world_poses)

    def world_surface(self, points: SurfacePoints) -> SurfacePoints:
        """Returns a surface of this frame in the world, in 64 bits where it needs them."""
        return self._moved_surface(points, self.origin_m)

    def world_results(self, results: Sequence[QueryResult]) -> list[QueryResult]:
        """Returns answers of this frame in the world."""
        return self._moved_results(results, self.world_poses(np.eye(4)))

    def _moved_surface(self, points: SurfacePoints, by_m: Float[Array, '3']) -> SurfacePoints:
        if self.is_world:
            return points
        return replace(
            points,
            positions=world_positions(points.positions + by_m),
            cameras_m=world_positions(points.cameras_m + by_m),
        )

    def _moved_results(
        self, results: Sequence[QueryResult], move: Float[Array, '4 4']
    ) -> list[QueryResult]:
        if self.is_world:
            return list(results)
        return [in_world(result, move) for result in results]


def _shifted(poses: Float[Array, '*n 4 4'], by_m: Float[Array, '3']) -> Float[Array, '*n 4 4']:
    moved = np.array(poses, np.float64)
    moved[..., :3, 3] += by_m
    return moved


def _with_pose(keyframe: Keyframe, move: Callable[[Array], Array]) -> Keyframe:
    frame = keyframe.frame
    moved = replace(frame, camera_to_world=move(frame.camera_to_world))
    return replace(keyframe, frame=moved)
