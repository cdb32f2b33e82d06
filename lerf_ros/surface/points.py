"""The surface as it is handed out: points that do not change any more.

Positions have 32 bits near the world's origin, and 64 where 32 tell no tenths of a millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

Array = np.ndarray

# Farther than this along an axis, 32 bits tell no tenths of a millimetre.
FINE_M = 1000.0


def world_positions(positions: Float[Array, 'n 3']) -> Float[Array, 'n 3']:
    """Returns positions in 32 bits if these tell tenths of a millimetre, else in 64."""
    fine = np.abs(positions).max(initial=0.0) <= FINE_M
    return positions.astype(np.float32 if fine else np.float64)


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """A voxel-thinned cloud in the world frame.

    Attributes:
        positions: Mean position of each voxel, metres.
        colours: Mean RGB.
        normals: Unit normals towards the cameras that saw them; zero where unknown.
        views: Number of different keyframes that saw each point.
        confidence: Share of looks at the point that found it there, in (0, 1).
        visible_height_m: Least and greatest height, in metres, that an image spanned at the
            point's depth; with the tile shares this gives the scales that were trained there.
        seen_by: Rows of ``cameras_m`` whose keyframes saw the point, -1 for none.
        cameras_m: Camera centres of the keyframes.
        keys: Name of each point's voxel; stable while the map grows.
        voxel_m: Side of the voxels.
    """

    positions: Float[Array, 'n 3']
    colours: UInt8[Array, 'n 3']
    normals: Float32[Array, 'n 3']
    views: Int[Array, ' n']
    confidence: Float32[Array, ' n']
    visible_height_m: Float32[Array, 'n 2']
    seen_by: Int[Array, 'n r']
    cameras_m: Float[Array, 'm 3']
    keys: Int[Array, ' n']
    voxel_m: float

    def __len__(self) -> int:
        return len(self.positions)

    def viewpoints(self, indices: Int[Array, ' k'] | Bool[Array, ' n']) -> Float[Array, 'v 3']:
        """Returns the centres of the cameras that saw any of these points."""
        rows = np.unique(self.seen_by[indices])
        return self.cameras_m[rows[rows >= 0]]
