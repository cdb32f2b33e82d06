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
from lerf_ros.maps.submap import NotReadyError, Submap
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
        (Question(picture.name, 'picture', object_index=thing.index), picture)
        for thing, picture in present
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
    )


def ask_baselines(
    truth: SceneTruth,
    questions: Sequence[Question],
    surface: SurfacePoints,
    labels: Array,
    fusion: FusionField,
    config: LerfConfig,
    encoder: LanguageEncoder,
) -> dict[str, list[Answer]]:
    """Puts the same questions to the baselines, over the same surface cloud."""
    engine = QueryEngine(encoder, config.query, config.features)
    fused = []
    for question in questions:
        if not len(surface) or not len(fusion):
            fused.append(_judge_place(truth, question, NOWHERE, labels))
            continue
        (result,) = engine.query(
            QueryRequest(positives=(question.phrase,)),
            field=fusion,
            surface=surface,
            step=0,
            stamp_ns=0,
        )
        fused.append(_judge(truth, question, result, labels))
    colours = _colour_words()
    return {
        'chance': [
            _judge_place(truth, q, chance(q.phrase, truth.seed, surface), labels)
            for q in questions
        ],
        'colour': [
            _judge_place(truth, q, brightest_colour(q.phrase, colours, surface), labels)
            for q in questions
        ],
        'fusion': fused,
    }


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
