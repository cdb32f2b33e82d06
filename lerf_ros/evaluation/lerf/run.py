"""LERF's own protocol and that of LERF-OVS on a folder with labelled pictures.

The map learns from all pictures that carry no labels; at each labelled picture every phrase of
its labels is looked for in a rendered relevancy picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.config import LerfConfig
from lerf_ros.drawing.heat_maps import heat_overlay
from lerf_ros.evaluation import metrics
from lerf_ros.evaluation.answer_panels import write
from lerf_ros.evaluation.lerf.labels import Label, LabelledFrame
from lerf_ros.evaluation.lerf.protocol import mask_iou, ovs_mask, peak_in_boxes, smoothed
from lerf_ros.evaluation.report import Picture, picture
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryRequest
from lerf_ros.scheduling.pieces import finish
from lerf_ros.sources.nerfstudio import NerfstudioFolder

Array = np.ndarray


def evaluate_lerf(
    frames: NerfstudioFolder,
    labelled: Sequence[LabelledFrame],
    absent: Sequence[str],
    config: LerfConfig,
    encoder: LanguageEncoder,
    *,
    seconds: Sequence[float],
    advance: Callable[[float, str], None],
) -> tuple[dict[str, Any], list[Picture]]:
    """Learns, and answers by both protocols after given seconds of training.

    Args:
        frames: All pictures.
        labelled: Those with labels, which are not learned from.
        absent: Phrases for things that are not in the scene.
        config: Options of the map.
        encoder: The language encoder.
        seconds: Seconds of training at which to look, ascending.
        advance: Told of each second of training that is done.

    Returns:
        What ``--json`` holds, and pictures of the first labelled frame.

    Raises:
        ValueError: Every picture is labelled, so that none is left to learn from.
    """
    tested = {frame.index for frame in labelled}
    learned = [index for index in range(len(frames)) if index not in tested]
    if not learned:
        raise ValueError('labels: expected pictures without labels to learn from, got none')
    live_map = Submap(config, encoder)
    for index in learned:
        live_map.ingest(frames[index], 'recording')
    if not live_map.ready():
        live_map.fix_scene_box()
    rows, trained_s = [], 0.0
    pictures: list[Picture] = []
    for goal_s in seconds:
        before_s = trained_s
        while trained_s < goal_s:
            started = time.perf_counter()
            live_map.step()
            trained_s += time.perf_counter() - started
        if not len(live_map.surface()):
            raise ValueError(
                f'seconds: expected enough training for a surface, got {goal_s:g} s; pictures '
                'without depth need longer'
            )
        pictures = []
        rows.append(
            {
                'seconds': goal_s,
                **_pictures_row(live_map, frames, labelled, pictures),
                **_existence_row(live_map, labelled, absent),
                'steps': live_map.step_count,
                'steps_per_s': live_map.step_count / trained_s,
            }
        )
        advance(trained_s - before_s, f'{goal_s:g} s')
    return {'command': 'lerf', 'rows': rows}, pictures


def _pictures_row(
    live_map: Submap,
    frames: NerfstudioFolder,
    labelled: Sequence[LabelledFrame],
    pictures: list[Picture],
) -> dict[str, Any]:
    """Judges every phrase in every labelled picture by both protocols."""
    lerf_hits, ovs_hits, ious, times_ms = [], [], [], []
    for number, labels in enumerate(labelled):
        frame = frames[labels.index]
        panels: list[Array] = []
        for phrase in labels.phrases:
            started = time.perf_counter()
            relevancy = relevancy_picture(live_map, phrase, frame.camera, frame.camera_to_world)
            times_ms.append((time.perf_counter() - started) * 1e3)
            true = labels.of(phrase)
            boxes = [label.box_uv for label in true]
            lerf_hits.append(peak_in_boxes(relevancy, boxes))
            ovs_hits.append(peak_in_boxes(smoothed(relevancy), boxes))
            if all(label.exact for label in true):
                size = (frame.camera.height, frame.camera.width)
                truth = np.any([label.mask(*size) for label in true], axis=0)
                ious.append(mask_iou(ovs_mask(relevancy), truth))
            if number == 0 and len(panels) < 4:
                panels.append(_panel(frame.image, relevancy, true))
        if panels:
            caption = f'Relevancy in {frames.paths[labels.index].name}; green: true outlines.'
            pictures.append(picture('relevancy', caption, np.concatenate(panels, axis=1)))
    return {
        'lerf_localisation': metrics.mean(lerf_hits),
        'ovs_localisation': metrics.mean(ovs_hits),
        'ovs_miou': metrics.mean(ious),
        'labels': len(lerf_hits),
        'query_ms': float(np.median(times_ms)) if times_ms else None,
    }


def relevancy_picture(
    live_map: Submap,
    phrase: str,
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
) -> Float[Array, 'height width']:
    """Returns the relevancy of what the map shows at each pixel of a view, 0 where it is clear.

    The field is read where the rendered depth lies, at the best scale of the surface there.

    Raises:
        NotReadyError: There is no map to read yet.
    """
    view = finish(live_map.view_pieces(camera, camera_to_world, phrase))
    assert view.relevancy is not None
    return np.nan_to_num(view.relevancy, nan=0.0).astype(np.float64)


def _existence_row(
    live_map: Submap, labelled: Sequence[LabelledFrame], absent: Sequence[str]
) -> dict[str, Any]:
    """Asks once for every labelled phrase and every absent one."""
    present = list(dict.fromkeys(phrase for labels in labelled for phrase in labels.phrases))
    truth = [True] * len(present) + [False] * len(absent)
    results = [
        live_map.query(QueryRequest(positives=(phrase,), with_points=False))[0]
        for phrase in [*present, *absent]
    ]
    said = metrics.existence(truth, [result.exists for result in results])
    confidence = [result.confidence for result in results]
    return {
        'existence_precision': said.precision,
        'existence_recall': said.recall,
        'absent_refused': said.absent_refused,
        'present_refused': said.present_refused,
        'average_precision': metrics.average_precision(truth, confidence) if absent else None,
    }


def _panel(
    image: Array, relevancy: Float[Array, 'height width'], labels: Sequence[Label]
) -> Array:
    panel = heat_overlay(image, relevancy)
    for label in labels:
        outline = np.round(label.outline_uv - 0.5).astype(np.int32)
        cv2.polylines(panel, [outline], True, (40, 220, 40), 1)
    write(panel, labels[0].phrase)
    return panel
