"""Supporting planes: the table and the floor, on which objects end.

An object on a table must not swallow the table. The planes are found once for a surface, by
RANSAC on points with normals, the largest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from lerf_ros.surface.points import SurfacePoints

Array = np.ndarray

TRIALS = 64
SAMPLE = 4000
MAX_PLANES = 4
# Points of a plane: this share of the cloud, and this area.
MIN_SHARE = 0.06
MIN_AREA_M2 = 0.04
# How far points may stray from a plane while it is searched.
SEARCH_TOLERANCE_M = 0.01
# Once it is found, its own noise decides: a knife is 3 mm high, and a good sensor shows it. The
# 90th percentile is hardly touched by flat things on the plane.
NOISE_QUANTILE = 0.9
NOISE_FACTOR = 3.0
TOLERANCE_M = (0.002, 0.01)
ALIGNED = 0.85


@dataclass(frozen=True, eq=False)
class Plane:
    """The points x with ``normal . x = offset_m``; the normal points to the side that was seen."""

    normal: Float[Array, '3']
    offset_m: float

    def height_m(self, positions: Float[Array, 'n 3']) -> Float[Array, ' n']:
        """Returns the signed distance above the plane."""
        return positions @ self.normal - self.offset_m


@dataclass(frozen=True, eq=False)
class Support:
    """The supporting planes of a surface.

    Attributes:
        planes: The largest first.
        on_plane: Points that belong to one of them.
    """

    planes: tuple[Plane, ...]
    on_plane: Bool[Array, ' n']

    def below(self, position: Float[Array, '3'], reach_m: float = 0.5) -> Plane | None:
        """Returns the horizontal plane closest below a position, if there is one in reach."""
        best, best_height = None, reach_m
        for plane in self.planes:
            height = float(plane.height_m(position[None])[0])
            if plane.normal[2] > 0.8 and -0.03 < height < best_height:
                best, best_height = plane, height
        return best


def find_support(surface: SurfacePoints, seed: int = 0) -> Support:
    """Returns the dominant planes of a surface; the same surface gives the same planes."""
    rng = np.random.default_rng(seed)
    positions, normals = surface.positions.astype(np.float64), surface.normals.astype(np.float64)
    oriented = surface.normals.any(axis=1)
    on_plane = np.zeros(len(positions), bool)
    planes: list[Plane] = []
    area_m2 = surface.voxel_m**2
    for _ in range(MAX_PLANES):
        free = np.flatnonzero(~on_plane & oriented)
        least = max(MIN_SHARE * len(positions), MIN_AREA_M2 / area_m2)
        if len(free) < least:
            break
        if len(free) > SAMPLE:
            free = rng.choice(free, SAMPLE, replace=False)
        # In single precision, which halves it: this is most of what an analysis takes.
        plane = _best_plane(surface.positions[free], surface.normals[free], rng)
        members = _members(plane, positions, normals) & ~on_plane
        if members.sum() < least:
            break
        plane = _refit(positions[members], plane)
        members = _members(plane, positions, normals) & ~on_plane
        heights = np.abs(plane.height_m(positions))
        noise_m = float(np.quantile(heights[members], NOISE_QUANTILE))
        # Whatever its normal, what lies within the noise is part of the plane.
        on_plane |= heights < np.clip(NOISE_FACTOR * noise_m, *TOLERANCE_M)
        planes.append(plane)
    return Support(planes=tuple(planes), on_plane=on_plane)


def _best_plane(
    positions: Float32[Array, 'n 3'], normals: Float32[Array, 'n 3'], rng: np.random.Generator
) -> Plane:
    """Returns the plane through one point, along its normal, that most points share."""
    trials = rng.choice(len(positions), min(TRIALS, len(positions)), replace=False)
    candidates = normals[trials]
    offsets = (candidates * positions[trials]).sum(axis=1)
    # One row a candidate, and in place.
    height = candidates @ positions.T
    height -= offsets[:, None]
    shared = np.abs(height, out=height) < SEARCH_TOLERANCE_M
    shared &= candidates @ normals.T > ALIGNED
    best = int(np.count_nonzero(shared, axis=1).argmax())
    return Plane(candidates[best].astype(np.float64), float(offsets[best]))


def _members(
    plane: Plane, positions: Float[Array, 'n 3'], normals: Float[Array, 'n 3']
) -> Bool[Array, ' n']:
    close = np.abs(plane.height_m(positions)) < SEARCH_TOLERANCE_M
    return close & (normals @ plane.normal > ALIGNED)


def _refit(positions: Float[Array, 'n 3'], plane: Plane) -> Plane:
    """Returns the least squares plane of the points, with the normal's side kept."""
    centre = positions.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((positions - centre).T))
    normal = vectors[:, int(values.argmin())]
    if normal @ plane.normal < 0:
        normal = -normal
    return Plane(normal, float(normal @ centre))
