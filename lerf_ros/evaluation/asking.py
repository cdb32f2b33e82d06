"""Puts the questions about a scene to a map and to the baselines."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence

import numpy as np

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.baselines import NOWHERE, FusionField, Place, brightest_colour, chance
from lerf_ros.evaluation.truth import SceneTruth
from lerf_ros.evaluation.verdicts import Answer, Question
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.geometry import Array
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import Exemplar, QueryEngine, QueryRequest, QueryResult
from lerf_ros.simulation import COLOURS, SceneObject, colour_names
from lerf_ros.surface.points import SurfacePoints


def ask_map(
    live_map: Submap, truth: SceneTruth, questions: Sequence[Question], labels: Array
) -> tuple[list[Answer], float | None, dict[str, QueryResult]]:
    """Asks one phrase a request, as a robot would; returns answers, median ms and raw results.

    What a map that is not ready yet says counts: it found nothing.
    """
    answers, times_ms, results = [], [], {}
    for question in questions:
        started = time.perf_counter()
        try:
            (result,) = live_map.query(QueryRequest(positives=(question.phrase,)))
        except NotReadyError:
            answers.append(_judge_place(truth, question, NOWHERE, labels))
            continue
        times_ms.append((time.perf_counter() - started) * 1e3)
        answers.append(_judge(truth, question, result, labels))
        results[question.phrase] = result
    return answers, float(np.median(times_ms)) if times_ms else None, results


def ask_pictures(
    live_map: Submap,
    truth: SceneTruth,
    present: Sequence[tuple[SceneObject, Exemplar]],
    absent: Sequence[Exemplar],
    labels: Array,
) -> list[Answer]:
    """Asks where the things in pictures are, one a request."""
    asked = [
        (Question(picture.name, 'picture', object_index=obj.index), picture)
        for obj, picture in present
    ]
    asked += [(Question(picture.name, 'absent picture'), picture) for picture in absent]
    answers = []
    for question, picture in asked:
        try:
            (result,) = live_map.query(QueryRequest(exemplars=(picture,), with_points=False))
        except NotReadyError:
            answers.append(_judge_place(truth, question, NOWHERE, labels))
            continue
        answers.append(_judge(truth, question, result, labels))
    return answers


def _judge(truth: SceneTruth, question: Question, result: QueryResult, labels: Array) -> Answer:
    best = result.maxima[0] if result.maxima else None
    return truth.judge(
        question,
        said_present=result.exists,
        confidence=result.confidence,
        position_m=None if best is None else np.asarray(best.position_m),
        point_indices=np.zeros(0, np.int64) if best is None else best.point_indices,
        labels=labels,
        places_m=[np.asarray(maximum.position_m) for maximum in result.maxima],
    )


def ask_baselines(
    truth: SceneTruth,
    questions: Sequence[Question],
    surface: SurfacePoints,
    labels: Array,
    fusion: FusionField,
    limit_bytes: int,
    config: LerfConfig,
    encoder: LanguageEncoder,
) -> dict[str, list[Answer]]:
    """Puts the same questions to the baselines, over the same surface cloud.

    Args:
        truth: The scene.
        questions: What is asked.
        surface: Where answers can lie.
        labels: What the truth says of its points.
        fusion: Fusion without a field, with all the memory it wants.
        limit_bytes: Memory of the language field, for a fusion as large.
        config: Options of the map.
        encoder: The language encoder.
    """
    colours = _colour_words()
    oracle = [truth.oracle(question, surface.positions, labels) for question in questions]
    answers = {
        'chance': [chance(q.phrase, truth.seed, surface) for q in questions],
        'colour': [brightest_colour(q.phrase, colours, surface) for q in questions],
        'oracle': [_place_of(points, surface) for points in oracle],
        'shuffled': [_place_of(points, surface) for points in _shuffled(questions, oracle)],
    }
    judged = {
        name: [
            _judge_place(truth, question, place, labels)
            for question, place in zip(questions, places, strict=True)
        ]
        for name, places in answers.items()
    }
    for name, field in (('fusion', fusion), ('fusion_as_large', fusion.within(limit_bytes))):
        engine = QueryEngine(encoder, config.query, config.features)
        judged[name] = []
        for question in questions:
            if not len(surface) or not len(field):
                judged[name].append(_judge_place(truth, question, NOWHERE, labels))
                continue
            (result,) = engine.query(
                QueryRequest(positives=(question.phrase,)),
                field=field,
                surface=surface,
                step=0,
                stamp_ns=0,
            )
            judged[name].append(_judge(truth, question, result, labels))
    return judged


def _place_of(points: Array, surface: SurfacePoints) -> Place:
    """Returns the answer that consists of these surface points."""
    if not len(points):
        return NOWHERE
    return Place(surface.positions[points].mean(axis=0).astype(np.float64), 1.0, points)


def _shuffled(questions: Sequence[Question], points: Sequence[Array]) -> list[Array]:
    """Returns the oracle's answers, each given to the next question of its kind.

    This is what a map would score that finds things but knows no words.
    """
    kinds: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        kinds.setdefault(question.kind, []).append(index)
    given = list(points)
    for indices in kinds.values():
        for index, other in zip(indices, indices[1:] + indices[:1], strict=True):
            given[index] = points[other]
    return given


def _judge_place(truth: SceneTruth, question: Question, place: Place, labels: Array) -> Answer:
    return truth.judge(
        question,
        said_present=place.confidence >= 0.5,
        confidence=place.confidence,
        position_m=place.position_m,
        point_indices=place.point_indices,
        labels=labels,
    )


@functools.cache
def _colour_words() -> dict[str, Array]:
    """Returns a typical RGB of each colour word."""
    return dict(_typical_colours())


def _typical_colours() -> Iterator[tuple[str, Array]]:
    for name, colour in COLOURS.items():
        generator = np.random.default_rng(0)
        rgb = np.mean([colour.sample(generator) for _ in range(100)], axis=0)
        for word in colour_names(name):
            yield word, rgb
