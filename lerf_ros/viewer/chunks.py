"""The surface in chunks of space, so that a growing map is sent as differences.

A chunk is a cube of voxels. It gets a new version only when a person would see the difference: a
running mean moves each of its points a little whenever a camera looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from lerf_ros.surface.points import SurfacePoints

Array = np.ndarray
Cell = tuple[int, int, int]

# Sides of a chunk, in voxels: a plane through it has about a thousand points.
CHUNK_VOXELS = 32
# A point has moved when it is this part of a voxel away, and is coloured anew from this on.
MOVED_VOXELS = 0.5
RECOLOURED = 24
# So large a part of a chunk's points may have come or gone before it is sent again.
COME_AND_GONE = 0.02


@dataclass(frozen=True, eq=False)
class Chunk:
    """The points of one cube.

    Attributes:
        version: Grows whenever the chunk looks different.
        centre_m: Its middle in the world.
        rows: Which of the surface's points they are.
        positions: The points, world frame.
        colours: Their RGB.
        keys: Names of their voxels.
        confidence: Share of looks at each point that found it there.
    """

    version: int
    centre_m: Float[Array, '3']
    rows: Int[Array, ' n']
    positions: Float32[Array, 'n 3']
    colours: UInt8[Array, 'n 3']
    keys: Int[Array, ' n']
    confidence: Float32[Array, ' n']

    def looks_like(self, other: Chunk, voxel_m: float) -> bool:
        """Tells whether nobody would see the difference."""
        mine, theirs, shared = self._shared(other)
        different = len(self.keys) + len(other.keys) - 2 * shared
        if different > COME_AND_GONE * len(self.keys):
            return False
        moved = np.abs(self.positions[mine] - other.positions[theirs]).max(initial=0)
        before, after = (c.astype(np.int16) for c in (self.colours[mine], other.colours[theirs]))
        recoloured = np.abs(before - after).max(initial=0)
        return bool(moved <= MOVED_VOXELS * voxel_m and recoloured <= RECOLOURED)

    def _shared(self, other: Chunk) -> tuple[Array, Array, int] | tuple[slice, slice, int]:
        """Returns the rows of the points that both have, and how many those are."""
        if np.array_equal(self.keys, other.keys):
            return slice(None), slice(None), len(self.keys)
        _, mine, theirs = np.intersect1d(
            self.keys, other.keys, assume_unique=True, return_indices=True
        )
        return mine, theirs, len(mine)


class ChunkedSurface:
    """The chunks of the newest surface.

    Attributes:
        chunks: By their cell.
        surface: The surface they were cut from; None before the first.
    """

    def __init__(self) -> None:
        self.chunks: dict[Cell, Chunk] = {}
        self.surface: SurfacePoints | None = None
        self._version = 0

    def update(self, surface: SurfacePoints) -> bool:
        """Cuts a newer surface; tells whether a chunk came, went or changed."""
        if surface is self.surface:
            return False
        before, after = self.chunks, self._cut(surface)
        for cell, new in after.items():
            old = before.get(cell)
            if old is not None and old.looks_like(new, surface.voxel_m):
                # What is kept is what was sent: small changes add up to one that is seen.
                after[cell] = old
        # Browsers read them in threads of their own: they see the old ones or the new ones.
        self.chunks, self.surface = after, surface
        return before.keys() != after.keys() or any(
            after[cell] is not chunk for cell, chunk in before.items()
        )

    def _cut(self, surface: SurfacePoints) -> dict[Cell, Chunk]:
        if len(surface) == 0:
            return {}
        side_m = CHUNK_VOXELS * surface.voxel_m
        cells = np.floor(surface.positions / side_m).astype(np.int64)
        group = (cells - cells.min(axis=0)) @ _strides(cells)
        # By chunk, and by voxel in it: the same points come in the same order.
        order = np.lexsort((surface.keys, group))
        bounds = np.flatnonzero(np.diff(group[order])) + 1
        self._version += 1
        chunks = {}
        for rows in np.split(order, bounds):
            x, y, z = (int(index) for index in cells[rows[0]])
            chunks[x, y, z] = Chunk(
                self._version,
                (cells[rows[0]] + 0.5) * side_m,
                rows,
                surface.positions[rows],
                surface.colours[rows],
                surface.keys[rows],
                surface.confidence[rows],
            )
        return chunks


def _strides(cells: Int[Array, 'n 3']) -> Int[Array, '3']:
    """Returns the strides that make one number of each cell."""
    counts = np.ptp(cells, axis=0) + 1
    return np.array([counts[1] * counts[2], counts[2], 1])
