"""The grid that a world is cut by into submaps, and which of its cubes a keyframe looks into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array, backproject, pixel_centres, transform_points

Cell = tuple[int, int, int]

# Pixels of a keyframe that tell what it looks at.
_PIXELS = 2000


@dataclass(frozen=True)
class CellGrid:
    """A grid of cubes.

    Attributes:
        origin_m: Middle of the cube (0, 0, 0).
        side_m: Side of the cubes.
        overlap_m: How far the box of a submap reaches beyond its cube.
    """

    origin_m: tuple[float, float, float]
    side_m: float
    overlap_m: float

    def indices_of(self, points: Float[Array, 'n 3']) -> Int[Array, 'n 3']:
        """Returns the cube of each point."""
        return np.floor((points - np.array(self.origin_m)) / self.side_m + 0.5).astype(int)

    def centre(self, cell: Cell) -> Float[Array, '3']:
        """Returns the middle of a cube."""
        return np.array(self.origin_m) + self.side_m * np.array(cell, dtype=np.float64)

    @property
    def half_m(self) -> float:
        """Half the side of a submap's box, overlap included."""
        return self.side_m / 2 + self.overlap_m


def seen_points(frame: PosedFrame, range_m: float) -> Float[Array, 'n 3']:
    """Returns points of the world that a frame sees within a range.

    Without depth these are points ahead of the camera, half as far as the range.
    """
    camera = frame.camera
    stride = max(1, round((camera.width * camera.height / _PIXELS) ** 0.5))
    uv = pixel_centres(camera)[::stride, ::stride].reshape(-1, 2)
    if frame.depth is None:
        depth_m = np.full(len(uv), range_m / 2)
    else:
        depth_m = frame.depth[::stride, ::stride].reshape(-1)
        near = np.isfinite(depth_m) & (depth_m > 0) & (depth_m <= range_m)
        uv, depth_m = uv[near], depth_m[near]
    return transform_points(frame.camera_to_world, backproject(camera, uv, depth_m))


def cell_shares(grid: CellGrid, points: Float[Array, 'n 3']) -> dict[Cell, float]:
    """Returns the share of the points in each cube, the largest first."""
    cells, first, counts = np.unique(
        grid.indices_of(points), axis=0, return_index=True, return_counts=True
    )
    # Among equals the one seen first comes first.
    order = np.lexsort((first, -counts))
    total = max(len(points), 1)
    return {
        (int(i), int(j), int(k)): int(count) / total
        for (i, j, k), count in zip(cells[order], counts[order], strict=True)
    }
