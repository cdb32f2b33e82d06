"""Clio's protocol on a map: the boxes that answer each task."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from lerf_ros.evaluation.metrics import inside_oriented_box
from lerf_ros.evaluation.scorers.bounds import ELSEWHERE, Figures, another
from lerf_ros.evaluation.scorers.object_boxes import OrientedBox, box_score
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.submap import Submap
from lerf_ros.query.objects import oriented_box
from lerf_ros.query.request import MAX_MAXIMA, QueryRequest

# Places of a phrase that become objects, or as many as it has true boxes.
LEAST_MAXIMA = 8
# Fewer surface points than this make no box.
FEW_POINTS = 8


def task_objects(
    live_map: Atlas | Submap,
    truth: dict[str, list[OrientedBox]],
    rng: np.random.Generator,
) -> Figures:
    """Scores the boxes that answer each task as Clio does.

    Each place that an answer shows is an object. Its similarity to the task that it answers is its
    relevancy, to the others 0: a map that is asked has no objects before, nor one for two tasks.

    Args:
        live_map: The map.
        truth: True boxes of each task.
        rng: Draws which task gets whose answers.

    Raises:
        ValueError: A task is no phrase, or no true box holds any of the surface.
        NotReadyError: The map has learnt nothing.
    """
    surface = live_map.whole_surface() if isinstance(live_map, Atlas) else live_map.surface()
    surface_m = surface.positions.astype(np.float64)
    boxes: list[OrientedBox] = []
    relevancy: list[float] = []
    tasks: list[int] = []
    held: list[OrientedBox] = []
    held_tasks: list[int] = []
    for task, (phrase, true_boxes) in enumerate(truth.items()):
        most = min(max(LEAST_MAXIMA, len(true_boxes)), MAX_MAXIMA)
        request = QueryRequest(positives=(phrase,), max_maxima=most, with_points=False)
        for found in live_map.query(request)[0].shown:
            boxes.append(OrientedBox(found.box_to_world, found.box_size_m))
            relevancy.append(found.relevancy)
            tasks.append(task)
        for box in true_boxes:
            inside = inside_oriented_box(surface_m, box.box_to_world, box.size_m)
            if inside.sum() >= FEW_POINTS:
                held.append(OrientedBox(*oriented_box(surface_m[inside], None)))
                held_tasks.append(task)
    if not held:
        raise ValueError(ELSEWHERE)
    turned = another(len(truth), rng)
    answers = {
        'field': (boxes, relevancy, np.array(tasks, int)),
        'oracle': (held, [1.0] * len(held), np.array(held_tasks, int)),
        'shuffled': (boxes, relevancy, turned[np.array(tasks, int)]),
    }
    figures: Figures = {}
    for method, (own, fits, columns) in answers.items():
        similarity = np.zeros((len(own), len(truth)))
        similarity[np.arange(len(own)), columns] = fits
        figures[method] = asdict(box_score(own, similarity, truth))
    return figures
