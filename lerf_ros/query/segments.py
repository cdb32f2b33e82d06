"""Pieces of surface that hang together: what geometry alone says belongs to one thing."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csgraph

from lerf_ros.surface.planes import Plane, Support
from lerf_ros.surface.points import SurfacePoints

Array = np.ndarray

# Points closer than this many voxels touch.
TOUCH_VOXELS = 1.8
# A piece whose points all lie higher than this many voxels above what it stands on hangs in the
# air, if it has as many points as this: smaller ones are noise.
FLOATING_VOXELS = 3.0
FLOATING_POINTS = 20
# A piece of fewer points is a speck: a thing as thin as a voxel (a fork, a pencil) lies within its
# supporting plane but for a few points here and there, of which none is the whole thing. In three
# flats, of 279 things asked for, the right room came first for 263 with specks as pieces, and for
# 268 without.
SPECK_POINTS = 8
# What has this share of its points below such a piece, within its outline, carries it.
CARRIER_SHARE = 0.75
# Share of a piece's points that may lie below what counts as its lower end.
END_SHARE = 0.05


def find_segments(
    surface: SurfacePoints, support: Support, pairs: Int[Array, 'p 2']
) -> Int[Array, ' n']:
    """Returns the number of the piece that each point belongs to, -1 on planes and in specks.

    Pieces are connected when the planes are taken away. Nothing hangs in the air: a piece that
    seems to (the bowl of a glass whose stem is thinner than a voxel) is one with what lies below
    it within its own outline.

    Args:
        surface: The points.
        support: Its supporting planes.
        pairs: Points that touch, each pair once.
    """
    segments = np.full(len(surface), -1)
    free = np.flatnonzero(~support.on_plane)
    positions = surface.positions[free].astype(np.float64)
    place = np.full(len(surface), -1)
    place[free] = np.arange(len(free))
    pieces = connected_components(len(free), place[pairs[~support.on_plane[pairs].any(axis=1)]])
    heights_m = {id(plane): plane.height_m(positions) for plane in support.planes}
    counts = np.bincount(pieces, minlength=1)
    for piece in np.argsort(-counts, kind='stable'):
        if counts[piece] < FLOATING_POINTS:
            break
        own = pieces == piece
        plane = support.below(positions[own].mean(axis=0)) if own.any() else None
        if plane is None:
            continue
        height_m = heights_m[id(plane)]
        if height_m[own].min() >= FLOATING_VOXELS * surface.voxel_m:
            for carrier in _carriers(positions, pieces, own, plane, height_m):
                pieces[pieces == carrier] = piece
    large = np.bincount(pieces, minlength=1) >= SPECK_POINTS
    segments[free] = np.where(large[pieces], pieces, -1)
    return segments


def _carriers(
    positions: Float[Array, 'n 3'],
    pieces: Int[Array, ' n'],
    own: Bool[Array, ' n'],
    plane: Plane,
    height_m: Float[Array, ' n'],
) -> Int[Array, ' k']:
    """Returns the pieces that carry one which hangs in the air.

    Args:
        positions: The points.
        pieces: The piece of each.
        own: Which are of the one in question.
        plane: What is below it.
        height_m: How high above that the points are.
    """
    away_m = _distance_from_axis(positions, positions[own].mean(axis=0), plane)
    bottom_m = float(np.quantile(height_m[own], END_SHARE))
    under = (away_m <= away_m[own].max()) & (height_m < bottom_m) & ~own
    below, total = (np.bincount(p, minlength=pieces.max() + 1) for p in (pieces[under], pieces))
    return np.flatnonzero((below > 0) & (below >= CARRIER_SHARE * total))


def _distance_from_axis(
    positions: Float[Array, 'n 3'], centre: Float[Array, '3'], plane: Plane
) -> Float[Array, ' n']:
    """Returns how far points are from the line through a centre that is upright on a plane."""
    normal = plane.normal / np.linalg.norm(plane.normal)
    offset = positions - centre
    return np.linalg.norm(offset - np.outer(offset @ normal, normal), axis=1)


def connected_components(count: int, pairs: Int[Array, 'p 2']) -> Int[Array, ' n']:
    """Returns the number of each point's component, where those of a pair join."""
    ones = np.ones(len(pairs), bool)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return csgraph.connected_components(graph, directed=False)[1]
