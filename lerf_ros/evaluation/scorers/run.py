"""Scores a map by the protocols whose truth a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lerf_ros.evaluation.scorers.bounds import METHODS, Figures
from lerf_ros.evaluation.scorers.clio import task_objects
from lerf_ros.evaluation.scorers.hovsg import segmentation
from lerf_ros.evaluation.scorers.labelled_cloud import LabelledCloud, read_labelled_cloud
from lerf_ros.evaluation.scorers.object_boxes import OrientedBox
from lerf_ros.evaluation.scorers.openlex3d import open_labels
from lerf_ros.evaluation.scorers.openlex_files import OpenLexTruth, read_openlex
from lerf_ros.evaluation.scorers.task_boxes import read_task_boxes
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.submap import Submap


@dataclass(frozen=True, eq=False)
class SceneTruth:
    """What is true of a scene, as far as it is known.

    Attributes:
        hovsg: Classes of points.
        openlex3d: What the objects at points may be called.
        clio: Boxes of each task.
    """

    hovsg: LabelledCloud | None = None
    openlex3d: OpenLexTruth | None = None
    clio: dict[str, list[OrientedBox]] | None = None


def read_scene(folder: Path, replica: Path, protocols: Sequence[str] = ()) -> SceneTruth:
    """Reads the truth of a scene.

    Args:
        folder: The scene.
        replica: The scene in Replica, which OpenLex3D's labels are about.
        protocols: Which are wanted; empty for those whose files are there.

    Raises:
        ValueError: A file is malformed, or there is no truth of any kind.
        FileNotFoundError: The files of a protocol that is wanted are missing.
        OSError: A file cannot be read.
    """
    readers: dict[str, Callable[[], Any]] = {
        'hovsg': lambda: read_labelled_cloud(folder),
        'openlex3d': lambda: read_openlex(folder, replica),
        'clio': lambda: read_task_boxes(_tasks_file(folder)),
    }
    found: dict[str, Any] = {}
    missing: list[str] = []
    for protocol in protocols or readers:
        try:
            found[protocol] = readers[protocol]()
        except FileNotFoundError as error:
            if protocols:
                raise
            missing.append(str(error))
    if not found:
        raise FileNotFoundError(f'{folder}: expected a scene, got none: {"; ".join(missing)}')
    return SceneTruth(**found)


def _tasks_file(folder: Path) -> Path:
    files = sorted(folder.glob('tasks*.yaml'))
    if len(files) != 1:
        raise FileNotFoundError(f'{folder}: expected one tasks*.yaml of Clio, got {len(files)}')
    return files[0]


def evaluate_scene(live_map: Atlas | Submap, truth: SceneTruth, seed: int = 0) -> dict[str, Any]:
    """Returns what ``--json`` holds: a row for the map, the oracle and shuffled labels.

    Args:
        live_map: The map.
        truth: What is true.
        seed: Draws which label gets whose answers.

    Raises:
        ValueError: The map is empty or lies elsewhere, or a label holds no word.
        NotReadyError: The map has learnt nothing.
    """
    figures: dict[str, Figures] = {}
    class_iou: dict[str, float] = {}
    rng = np.random.default_rng(seed)
    if truth.hovsg is not None:
        figures['hovsg'], class_iou = segmentation(live_map, truth.hovsg, rng)
    if truth.openlex3d is not None:
        figures['openlex3d'] = open_labels(live_map, truth.openlex3d, rng)
    if truth.clio is not None:
        figures['clio'] = task_objects(live_map, truth.clio, rng)
    rows = [
        {'method': method, **{protocol: each[method] for protocol, each in figures.items()}}
        for method in METHODS
    ]
    return {'command': 'scene', 'rows': rows, 'class_iou': class_iou}
