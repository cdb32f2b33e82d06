"""From a peak to the object's own points, and the box around them.

The surface graph joins points that touch. A peak's object is what can be reached from it without
crossing a supporting plane, as far as relevancy stays like that of the peak. Where it touches
others, relevancy is first evened out among neighbours that look alike, in colour and, where the
field has them, in dense features: their borders are sharper than those of language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import cKDTree

from lerf_ros.query.scene_graph import LEAST_LIKENESS, SceneGraph, reached_from
from lerf_ros.surface.planes import Plane

Array = np.ndarray
# Dense unit features of the points with these indices.
DenseReader = Callable[[Int[Array, ' k']], Float[Array, 'k c']]

# Points belong to a peak's object from this share of its relevancy over the scene's base on.
HOT_SHARE = 0.6
# A component that is hot in this share of its points, and no larger than this, is the object as a
# whole: its edges are better than those of language.
WHOLE_SHARE = 0.7
WHOLE_SIZE_M = 0.6
# Where only language tells where an object ends, its place is that of the points that have this
# share: the rest may be its neighbour of the same kind.
CORE_SHARE = 0.9
# A peak on a supporting plane belongs to a thing beside it that is nearly as hot: language spills
# over the edges of things, and few questions are about the table beside them.
BESIDE_SHARE = 0.8
BESIDE_M = 0.1
# A point is a stray if its closest neighbours, itself included, reach this many times as far as
# those of the median point.
STRAY_NEIGHBOURS = 5
STRAY_GAPS = 3.0
# How often values pass between neighbours that look alike, and how much a point's own value weighs
# against the sum of its neighbours' likenesses. On four piles of things (98 phrases) answers had
# 3D mIoU .54 without, and .62 so; weights from 0.15 to 1 gave the same within .02.
ALIKE_ROUNDS = 12
OWN_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Grown:
    """The points of an object, sorted.

    Attributes:
        points: All of them.
        core: Those that are surely its own: all where geometry bounds it, else the hottest.
    """

    points: Int[Array, ' k']
    core: Int[Array, ' c']


def grow(
    graph: SceneGraph,
    peak: int,
    relevancy: Float[Array, ' n'],
    base: float,
    reach_m: float,
    dense: DenseReader | None = None,
    allowed: Bool[Array, ' n'] | None = None,
) -> Grown:
    """Returns the points of the object that holds a peak.

    Args:
        graph: The surface.
        peak: Index of the peak.
        relevancy: Relevancy of every point at its best scale.
        base: Relevancy of what has nothing to do with the phrase.
        reach_m: How far from the peak its object may begin, as language is blurred.
        dense: Reads dense features; None where the field has none.
        allowed: Points that may be a peak; what has none of them is no object. All if None.
    """
    positions = graph.surface.positions
    top = float(relevancy[peak])
    share = (relevancy - base) / max(top - base, 1e-6)
    start = peak
    if graph.segments[peak] < 0:
        near = np.array(graph.tree.query_ball_point(positions[peak], max(reach_m, BESIDE_M)))
        near = near[(graph.segments[near] >= 0) & (share[near] >= BESIDE_SHARE)]
        if allowed is not None:
            near = near[np.isin(graph.segments[near], graph.segments[allowed])]
        if len(near):
            start = int(near[share[near].argmax()])
    segment = int(graph.segments[start])
    whole = members = np.flatnonzero(graph.segments == segment)
    if segment < 0:
        members = whole[np.linalg.norm(positions[whole] - positions[start], axis=1) < 1.0]
    own = share[members]
    size_m = float(np.ptp(positions[members], axis=0).max())
    hot = (own >= HOT_SHARE).mean()
    if segment >= 0 and hot >= WHOLE_SHARE and size_m <= WHOLE_SIZE_M:
        return Grown(members, members)
    # What a question reads of a room is smaller than that: often its planes are all there.
    all_of_it = len(members) == len(whole)
    alike = graph.alike_in_segment(segment) if all_of_it else graph.alike_among(members)
    if dense is not None:
        alike = alike_in_dense(alike, dense(members))
    own = spread_among_alike(own, alike)
    at_start = int(np.searchsorted(members, start))
    own = own / max(float(own[at_start]), 1e-6)

    def around_start(chosen: Bool[Array, ' n']) -> Int[Array, ' k']:
        chosen[at_start] = True
        return members[reached_from(alike, at_start, chosen)]

    return Grown(around_start(own >= HOT_SHARE), around_start(own >= CORE_SHARE))


def spread_among_alike(values: Float[Array, ' n'], alike: csr_matrix) -> Float[Array, ' n']:
    """Returns values evened out between neighbours, the more the likelier they are one thing.

    A random walk on the surface graph that begins anew with its own value's weight, as in
    segmentation by random walks (Grady, 2006).

    Args:
        values: What is known of each point.
        alike: How alike points that touch look, in [0, 1]; n x n, symmetric.
    """
    total = OWN_WEIGHT + np.asarray(alike.sum(axis=1))[:, 0]
    spread = values
    for _ in range(ALIKE_ROUNDS):
        spread = (OWN_WEIGHT * values + alike @ spread) / total
    return spread


def alike_in_dense(alike: csr_matrix, features: Float[Array, 'n c']) -> csr_matrix:
    """Returns likenesses times those in dense features.

    Those are ``exp(-u / m)``, where u is one minus the cosine of a pair and m the median of u over
    all pairs, so that the kind of features does not matter.

    Args:
        alike: How alike points that touch look otherwise, in [0, 1]; n x n, symmetric.
        features: Dense unit features of the points.
    """
    edges = alike.tocoo()
    unlike = 1 - (features[edges.row] * features[edges.col]).sum(axis=1)
    usual = float(np.median(unlike)) if len(unlike) else 1.0
    likeness = np.exp(-np.maximum(unlike, 0) / max(usual, 1e-6))
    both = np.maximum(edges.data * likeness, LEAST_LIKENESS)
    return coo_matrix((both, (edges.row, edges.col)), shape=alike.shape).tocsr()


def robust_centre(positions: Float[Array, 'k 3']) -> Float[Array, '3']:
    """Returns the mean of the points without those far from the median."""
    median = np.median(positions, axis=0)
    distance = np.linalg.norm(positions - median, axis=1)
    close = distance <= 3 * np.median(distance) + 1e-9
    return positions[close].mean(axis=0)


def oriented_box(
    positions: Float[Array, 'k 3'], plane: Plane | None
) -> tuple[Float[Array, '4 4'], Float[Array, '3']]:
    """Returns the smallest box around points that stands upright on a plane.

    Args:
        positions: The points.
        plane: The plane below them; None for the horizontal.

    Returns:
        The box's pose in the world, z along the plane's normal, x along its longer side; and its
        sides in metres.
    """
    up = (
        np.array([0.0, 0.0, 1.0]) if plane is None else plane.normal / np.linalg.norm(plane.normal)
    )
    across = np.eye(3)[int(np.abs(up).argmin())]
    x_axis = _cross(_cross(up, across), up)
    x_axis /= np.linalg.norm(x_axis)
    y_axis = _cross(up, x_axis)
    flat = np.stack([positions @ x_axis, positions @ y_axis], axis=1)
    angle = _smallest_rectangle(flat)
    turned = np.cos(angle) * x_axis + np.sin(angle) * y_axis
    axes = np.stack([turned, _cross(up, turned), up], axis=1)
    local = positions @ axes
    # Single stray points must not stretch the box.
    low, high = np.quantile(local, [0.005, 0.995], axis=0)
    if plane is not None and low[2] - plane.offset_m < 0.03:
        low[2] = min(low[2], plane.offset_m)
    size = np.maximum(high - low, 1e-3)
    if size[0] < size[1]:
        axes = np.stack([axes[:, 1], -axes[:, 0], axes[:, 2]], axis=1)
        low, high = (
            np.array([low[1], -high[0], low[2]]),
            np.array([high[1], -low[0], high[2]]),
        )
        size = size[[1, 0, 2]]
    box_to_world = np.eye(4)
    box_to_world[:3, :3] = axes
    box_to_world[:3, 3] = axes @ ((low + high) / 2)
    return box_to_world, size


def _cross(a: Float[Array, '3'], b: Float[Array, '3']) -> Float[Array, '3']:
    """Returns the cross product; NumPy's own takes ten times as long for two vectors."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _smallest_rectangle(flat: Float[Array, 'k 2']) -> float:
    """Returns the angle at which the rectangle around 2D points has the least area, in radians."""
    # Points that lie apart from all others would turn it.
    gaps = cKDTree(flat).query(flat, k=min(STRAY_NEIGHBOURS, len(flat)))[0].reshape(len(flat), -1)
    apart = gaps[:, -1] > STRAY_GAPS * np.median(gaps[:, -1])
    _, _, angle_deg = cv2.minAreaRect(flat[~apart].astype(np.float32))
    return float(np.deg2rad(angle_deg))
