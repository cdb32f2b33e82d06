"""Clio's ground truth: a YAML file with the boxes of what each task needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from lerf_ros.evaluation.scorers.object_boxes import OrientedBox


def read_task_boxes(path: Path) -> dict[str, list[OrientedBox]]:
    """Reads the true boxes of each task.

    Raises:
        ValueError: The file is malformed, or names no box.
        OSError: It cannot be read.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        tasks = {str(task): [_box(each) for each in boxes] for task, boxes in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        words = ' '.join(str(error).split())
        raise ValueError(f'{path}: expected tasks with boxes of Clio, got {words}') from error
    if not any(tasks.values()):
        raise ValueError(f'{path}: expected a box for at least one task, got none')
    return tasks


def _box(values: Mapping) -> OrientedBox:
    rotation = values['rotation']
    if isinstance(rotation, Mapping):
        rotation = [rotation[name] for name in 'wxyz']
    w, x, y, z = (float(value) for value in rotation)
    box_to_world = np.eye(4)
    box_to_world[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    box_to_world[:3, 3] = np.array(values['center'], np.float64).reshape(3)
    return OrientedBox(box_to_world, np.array(values['extents'], np.float64).reshape(3))


def write_task_boxes(path: Path, tasks: Mapping[str, Sequence[OrientedBox]]) -> None:
    """Writes the true boxes of each task."""
    content = {task: [_as_plain(box) for box in boxes] for task, boxes in tasks.items()}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding='utf-8')


def _as_plain(box: OrientedBox) -> dict[str, object]:
    x, y, z, w = Rotation.from_matrix(box.box_to_world[:3, :3]).as_quat().tolist()
    return {
        'center': box.centre_m.tolist(),
        'extents': np.asarray(box.size_m).tolist(),
        'rotation': {'w': w, 'x': x, 'y': y, 'z': z},
    }
