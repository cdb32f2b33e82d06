"""Questions put to a map of rooms, as a robot would put them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lerf_ros.evaluation.flat.truth import FlatAnswer, FlatQuestion, FlatTruth
from lerf_ros.geometry import Array, transform_points
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryRequest


def ask(
    live_map: Atlas | Submap,
    truth: FlatTruth,
    questions: Sequence[FlatQuestion],
    map_to_truth: Float[Array, '4 4'] | None = None,
) -> list[FlatAnswer]:
    """Asks one phrase a request and trains a step between two of them.

    Args:
        live_map: The map.
        truth: Judges.
        questions: What is asked.
        map_to_truth: Takes places of the map to the truth's frame, where its poses were corrected.
    """
    answers = []
    for question in questions:
        if live_map.ready():
            live_map.step()
        started = time.perf_counter()
        try:
            request = QueryRequest(positives=(question.phrase,), with_points=False)
            (result,) = live_map.query(request)
        except NotReadyError:
            answers.append(truth.judge(question, False, 0.0, None))
            continue
        query_ms = (time.perf_counter() - started) * 1e3
        place = np.asarray(result.maxima[0].position_m) if result.maxima else None
        if place is not None and map_to_truth is not None:
            (place,) = transform_points(map_to_truth, place[None])
        answers.append(truth.judge(question, result.exists, result.confidence, place, query_ms))
    return answers
