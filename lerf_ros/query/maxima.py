"""3D maxima of relevancy: peaks, one for each object that looks like the phrase."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logit, softmax

from lerf_ros.query.objects import DenseReader, Grown, grow, oriented_box, robust_centre
from lerf_ros.query.request import Maximum
from lerf_ros.query.scene_graph import SceneGraph

Array = np.ndarray

# Points this close in relevancy to a peak are the same height: the peak is their middle.
PLATEAU = 0.005
# Points belong to a peak's object by their relevancy above this quantile of the scene's.
BASE_QUANTILE = 0.02
# A picture is a little like everything: what has nothing to do with it is the scene's middle.
FRAMED_BASE_QUANTILE = 0.5
# Maxima with fewer points come after all others; where voxels are coarse, those with fewer than
# cover this area: a key is three points of 2 cm.
MIN_SUPPORT, MIN_SUPPORT_M2 = 8, 8e-4
LEAST_SUPPORT = 2
# What a frame has cut off counts by this power of the odds of its relevancy where its middle is
# looked for (docs/experiments.md); odds are no smaller and no greater than those of this share.
SHARPNESS, LEAST_SHARE = 8, 1e-6
# Peaks looked at for each maximum that is asked for.
ATTEMPTS = 4


def find_maxima(
    graph: SceneGraph,
    scores: Float[Array, 'n s'],
    scales_m: Float[Array, ' s'],
    allowed: Bool[Array, ' n'],
    *,
    max_maxima: int,
    min_relevancy: float,
    inside: Bool[Array, ' n'] | None = None,
    dense: DenseReader | None = None,
    peaks: Float[Array, ' n'] | None = None,
    further_relevancy: float = 0.0,
    framed: bool = False,
) -> list[Maximum]:
    """Returns the maxima, those with the highest peak first; those on very few points come last.

    Args:
        graph: The surface.
        scores: Relevancy of each point at each scale.
        scales_m: The scales.
        allowed: Points that may be a peak.
        max_maxima: Most maxima.
        min_relevancy: Least relevancy of a maximum.
        inside: Points that may belong to a peak's object; all if None.
        dense: Reads dense features of points; None where the field has none.
        peaks: What peaks are looked for in; the greatest relevancy of each point if None.
        further_relevancy: Once there is a maximum on enough points, others are only looked for
            where relevancy is at least this.
        framed: Whether the scale at a peak is the size of the thing, as that of a box drawn around
            it is, and not that of any picture in which it is seen best.
    """
    surface = graph.surface
    hottest = scores.max(axis=1)
    best_of_all = graph.smooth(hottest)
    heights = best_of_all if peaks is None else graph.smooth(peaks)
    best = np.where(allowed & (best_of_all >= min_relevancy), heights, -np.inf)
    base = float(np.quantile(best_of_all, FRAMED_BASE_QUANTILE if framed else BASE_QUANTILE))
    taken = np.zeros(len(surface), bool)
    maxima: list[tuple[float, Maximum]] = []
    for _ in range(ATTEMPTS * max_maxima):
        top = float(best.max(initial=-np.inf))
        if len(maxima) == max_maxima or top <= 0:
            break
        peak = _middle(surface.positions, best >= top - PLATEAU, int(best.argmax()))
        scale = int(scores[graph.neighbours[peak]].mean(axis=0).argmax())
        reach_m = max(0.5 * float(scales_m[scale]), 3 * surface.voxel_m)
        grown = grow(graph, peak, best_of_all, base, reach_m, dense, allowed)
        whole = len(grown.points)
        if framed:
            grown = _within_frame(graph, grown, peak, reach_m)
        cut_off = len(grown.points) < whole
        points = grown.points if inside is None else grown.points[inside[grown.points]]
        best[graph.tree.query_ball_point(surface.positions[peak], reach_m)] = -np.inf
        best[points] = -np.inf
        # Language is blurred: around an object there are peaks that lead to it again.
        if len(points) == 0 or taken[points].mean() > 0.5:
            continue
        points = points[~taken[points]]
        taken[points] = True
        core = np.intersect1d(points, grown.core)
        core = core if len(core) else points
        # The scale that suits the whole core, not the one hottest point.
        scale = int(scores[core].mean(axis=0).argmax())
        maximum = describe(
            graph, points, scores[points, scale], float(scales_m[scale]), core, cut_off
        )
        if maximum.relevancy >= min_relevancy:
            maxima.append((top, maximum))
            if not maximum.sparse:
                # Points are smoothed, maxima are not.
                best[hottest < further_relevancy] = -np.inf
    maxima.sort(key=lambda each: (not each[1].sparse, each[0]), reverse=True)
    return [maximum for _, maximum in maxima]


def describe(
    graph: SceneGraph,
    points: Int[Array, ' k'],
    relevancy: Float[Array, ' k'],
    scale_m: float,
    core: Int[Array, ' c'] | None = None,
    cut_off: bool = False,
) -> Maximum:
    """Returns the maximum made of an object's points.

    Args:
        graph: The surface.
        points: All of them.
        relevancy: Relevancy of each at that scale.
        scale_m: The scale at which it was read.
        core: Those that say where it is; all if None.
        cut_off: Whether a frame has cut them off from what they hang together with.
    """
    surface = graph.surface
    positions = surface.positions[points].astype(np.float64)
    centre = robust_centre(positions)
    normal = surface.normals[points].astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(normal))
    box_to_world, box_size_m = oriented_box(positions, graph.support.below(centre))
    # What no camera saw, such as the underside, pulls the mean of the points away from it; the
    # middle of the box errs the other way on things that are thick at one end.
    position_m = (centre + box_to_world[:3, 3]) / 2
    own = np.ones(len(points), bool) if core is None else np.isin(points, core)
    if cut_off:
        position_m = hot_centre(positions, relevancy)
    elif not own.all():
        position_m = robust_centre(positions[own])
    return Maximum(
        position_m=position_m,
        normal=normal / length if length > 0.1 else np.zeros(3),
        relevancy=float(relevancy[own].mean()),
        scale_m=scale_m,
        box_to_world=box_to_world,
        box_size_m=box_size_m,
        point_indices=points,
        views=int(np.median(surface.views[points])),
        viewpoints=surface.viewpoints(points),
        sparse=len(points) < least_support(surface.voxel_m),
    )


def hot_centre(positions: Float[Array, 'k 3'], relevancy: Float[Array, ' k']) -> Float[Array, '3']:
    """Returns the mean of points, each weighed by a power of the odds of its relevancy.

    What a frame has cut off has no middle of its own: that of its points is drawn to whatever else
    is in the frame.
    """
    share = np.clip(relevancy.astype(np.float64), LEAST_SHARE, 1 - LEAST_SHARE)
    return np.average(positions, axis=0, weights=softmax(SHARPNESS * logit(share)))


def least_support(voxel_m: float) -> int:
    """Returns how many points a maximum must have not to be taken for noise."""
    return min(MIN_SUPPORT, max(LEAST_SUPPORT, round(MIN_SUPPORT_M2 / voxel_m**2)))


def _within_frame(graph: SceneGraph, grown: Grown, peak: int, half_side_m: float) -> Grown:
    """Returns the part of an object that a square frame around a peak can hold, corners included.

    Where geometry does not bound an object, as on a floor of things that touch, half a room may be
    nearly as relevant as the peak, and its middle is elsewhere.
    """
    position = graph.surface.positions[peak]
    near = graph.tree.query_ball_point(position, math.sqrt(2) * half_side_m)
    points = np.intersect1d(grown.points, near)
    core = np.intersect1d(grown.core, near)
    return Grown(points, core if len(core) else points) if len(points) else grown


def _middle(positions: Float[Array, 'n 3'], level: Bool[Array, ' n'], peak: int) -> int:
    """Returns the point in the middle of the plateau around a peak."""
    members = np.flatnonzero(level)
    close = members[np.linalg.norm(positions[members] - positions[peak], axis=1) < 0.1]
    centre = positions[close].mean(axis=0)
    return int(close[np.linalg.norm(positions[close] - centre, axis=1).argmin()])
