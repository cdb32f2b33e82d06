"""The figures of a flat's answers: one row a method, and by room, distance, size and support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lerf_ros.evaluation.flat.truth import FlatAnswer, FlatTruth, Sightings
from lerf_ros.evaluation.metrics import existence, mean, percentile, refused_at
from lerf_ros.simulation import FlatObject

# Bounds of the classes of objects.
DISTANCES_M = (1.0, 1.5, 2.0)
SIZES_M = (0.08, 0.12, 0.18)


def shuffled(
    truth: FlatTruth, answers: Sequence[FlatAnswer], rng: np.random.Generator
) -> list[FlatAnswer]:
    """Returns the same answers judged against other questions: what chance would score."""
    present = [answer for answer in answers if answer.question.objects]
    turned = [present[i] for i in rng.permutation(len(present))]
    result = [
        truth.judge(
            asked.question,
            given.said_present,
            given.confidence,
            None if given.position_m is None else np.array(given.position_m),
            given.query_ms,
        )
        for asked, given in zip(present, turned, strict=True)
    ]
    others = [answer for answer in answers if not answer.question.objects]
    # Who does not look at the phrase refuses absent ones as often as any.
    drawn = [answers[row] for row in rng.permutation(len(answers))[: len(others)]]
    return result + [
        replace(answer, said_present=each.said_present, confidence=each.confidence)
        for answer, each in zip(others, drawn, strict=True)
    ]


def figures(answers: Sequence[FlatAnswer]) -> dict[str, float | None]:
    """Returns the shares that are right, the error and what is refused."""
    present = [answer for answer in answers if answer.question.objects]
    said = existence(
        [bool(answer.question.objects) for answer in answers],
        [answer.said_present for answer in answers],
    )
    return {
        'room': mean([answer.room for answer in present]),
        'within_25cm': mean([answer.within for answer in present]),
        'median_error_m': percentile([answer.error_m for answer in present], 50),
        'absent_refused': said.absent_refused,
        'present_refused': said.present_refused,
        'absent_refused_at_5': refused_at(
            [answer.confidence for answer in present],
            [answer.confidence for answer in answers if not answer.question.objects],
            0.05,
        ),
    }


def forgotten_points(before: Sequence[FlatAnswer], after: Sequence[FlatAnswer]) -> float | None:
    """Returns how many points of a hundred are lost since the same questions were asked before."""
    late = {answer.question.phrase: answer for answer in after}
    pairs = [
        (answer.within, late[answer.question.phrase].within)
        for answer in before
        if answer.question.objects and answer.question.phrase in late
    ]
    if not pairs:
        return None
    first, last = np.array(pairs, dtype=float).mean(axis=0)
    return float(100 * (first - last))


def by_class(
    truth: FlatTruth, sightings: Sightings, answers: Sequence[FlatAnswer]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the figures of objects by room, distance of the nearest view, size and support."""

    def distance(each: FlatObject) -> str:
        return _class_of(sightings.nearest_m.get(each.obj.index, np.inf), DISTANCES_M)

    def size(each: FlatObject) -> str:
        return _class_of(float(each.obj.box_size_m.max()), SIZES_M)

    def room(each: FlatObject) -> str:
        return truth.plan.rooms[each.room].name

    kinds: dict[str, Callable[[FlatObject], str]] = {
        'room': room,
        'distance': distance,
        'size': size,
        'support': lambda each: each.support,
    }
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, name_of in kinds.items():
        groups: dict[str, list[FlatAnswer]] = {}
        for answer in answers:
            if answer.question.objects:
                name = name_of(truth.objects[answer.question.objects[0]])
                groups.setdefault(name, []).append(answer)
        result[kind] = {
            name: {
                'questions': len(group),
                'room': mean([answer.room for answer in group]),
                'within_25cm': mean([answer.within for answer in group]),
            }
            for name, group in sorted(groups.items())
        }
    return result


def _class_of(value: float, bounds: Sequence[float]) -> str:
    names = [f'to {bound:g} m' for bound in bounds]
    for bound, name in zip(bounds, names, strict=True):
        if value <= bound:
            return name
    return f'over {bounds[-1]:g} m'
