"""Answers of several places as one: nothing twice, all in the world frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import transform_points
from lerf_ros.query.request import Maximum, QueryResult
from lerf_ros.surface.points import world_positions

# Maxima of two places closer than this, or than half the smaller one's size, are one thing.
SAME_M = 0.1


def in_world(result: QueryResult, submap_to_world: Float[np.ndarray, '4 4']) -> QueryResult:
    """Returns an answer in the world frame."""
    if np.array_equal(submap_to_world, np.eye(4)):
        return result
    rotation = submap_to_world[:3, :3]

    def moved(maximum: Maximum) -> Maximum:
        return replace(
            maximum,
            position_m=transform_points(submap_to_world, maximum.position_m[None])[0],
            normal=rotation @ maximum.normal,
            box_to_world=submap_to_world @ maximum.box_to_world,
            viewpoints=world_positions(transform_points(submap_to_world, maximum.viewpoints)),
        )

    return replace(
        result,
        maxima=tuple(moved(maximum) for maximum in result.maxima),
        positions=world_positions(transform_points(submap_to_world, result.positions)),
        object=None if result.object is None else in_world(result.object, submap_to_world),
    )


def merged(results: Sequence[QueryResult], max_maxima: int) -> QueryResult:
    """Returns one answer of several, all in the world frame and to the same phrase.

    The most confident one leads: its confidence weighs more than relevancy alone, whose height
    depends on what else is around.

    Args:
        results: At least one.
        max_maxima: Most maxima.
    """
    order = sorted(results, key=lambda result: (result.confidence, _top(result)), reverse=True)
    starts = np.cumsum([0] + [len(result.positions) for result in order[:-1]])
    best = order[0]
    offered = [
        (index > 0 or rank > 0, result, rank, int(start))
        for index, (result, start) in enumerate(zip(order, starts, strict=True))
        for rank in range(len(result.maxima))
    ]
    offered.sort(key=lambda each: (each[0], *_worth(each[1].maxima[each[2]])))
    kept: list[tuple[QueryResult, int, int]] = []
    for _, result, rank, start in offered:
        maximum = result.maxima[rank]
        if len(kept) < max_maxima and not any(
            _same(maximum, other.maxima[at]) for other, at, _ in kept
        ):
            kept.append((result, rank, start))
    whole = None
    if best.object is not None:
        # The object of each part, at the same place of the list.
        wholes = [
            (result.object.maxima[rank], start)
            for result, rank, start in kept
            if result.object is not None
        ]
        whole = _with_clouds(
            replace(best.object, maxima=tuple(_shifted(*each) for each in wholes)),
            [result.object or result for result in order],
        )
    answer = replace(
        best,
        maxima=tuple(_shifted(result.maxima[rank], start) for result, rank, start in kept),
        stamp_ns=max(result.stamp_ns for result in order),
        step=min(result.step for result in order),
        object=whole,
    )
    return _with_clouds(answer, order)


def displacing(results: Sequence[QueryResult], max_maxima: int) -> float:
    """Returns the relevancy from which a further maximum has a place in their merged answer.

    The first one of another result is to be found all the same: it may lead.

    Args:
        results: Those that are known so far, all in the world frame.
        max_maxima: Most maxima of the answer.
    """
    found = merged(results, max_maxima).maxima if results else ()
    if len(found) < max_maxima or any(maximum.sparse for maximum in found):
        return 0.0
    return min(maximum.relevancy for maximum in found)


def _with_clouds(answer: QueryResult, results: Sequence[QueryResult]) -> QueryResult:
    """Returns an answer with the clouds of several, one after the other."""
    return replace(
        answer,
        positions=np.concatenate([result.positions for result in results]),
        colours=np.concatenate([result.colours for result in results]),
        relevancy=np.concatenate([result.relevancy for result in results]),
        scale_m=np.concatenate([result.scale_m for result in results]),
    )


def _shifted(maximum: Maximum, start: int) -> Maximum:
    return replace(maximum, point_indices=maximum.point_indices + start)


def _top(result: QueryResult) -> float:
    return result.maxima[0].relevancy if result.maxima else 0.0


def _worth(maximum: Maximum) -> tuple[bool, float]:
    return maximum.sparse, -maximum.relevancy


def _same(a: Maximum, b: Maximum) -> bool:
    reach_m = max(SAME_M, float(min(a.box_size_m.max(), b.box_size_m.max())) / 2)
    return float(np.linalg.norm(a.position_m - b.position_m)) < reach_m
