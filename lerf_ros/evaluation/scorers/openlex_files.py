"""The ground truth of OpenLex3D: what objects may be called, and the labels that are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from lerf_ros.evaluation.scorers.clouds import read_pcd, write_pcd
from lerf_ros.evaluation.scorers.label_categories import NAMED, REACH_M, ObjectLabels, bare
from lerf_ros.evaluation.scorers.labelled_cloud import read_labelled_cloud

Array = np.ndarray

CATEGORIES_FILE, PROMPTS_FILE = 'gt_categories.json', 'prompt_list.txt'
VISIBLE_FILE = 'gt_visible_cloud.pcd'


@dataclass(frozen=True, eq=False)
class OpenLexTruth:
    """The truth about one scene.

    Attributes:
        positions: True points: those that were visible, where the folder says so.
        ids: Object of each, -1 for none.
        objects: What objects may be called, by id.
        labels: The labels that are asked for.
    """

    positions: Float[Array, 'n 3']
    ids: Int[Array, ' n']
    objects: dict[int, ObjectLabels]
    labels: list[str]


def read_openlex(folder: Path, replica: Path) -> OpenLexTruth:
    """Reads a scene.

    Args:
        folder: Holds ``gt_categories.json`` and, where there is one, ``gt_visible_cloud.pcd``; it
            or the folder above, ``prompt_list.txt``.
        replica: The scene in Replica, whose objects the labels are about.

    Raises:
        ValueError: A file is malformed or empty.
        FileNotFoundError: One is missing.
        OSError: One cannot be read.
    """
    objects = read_object_labels(folder / CATEGORIES_FILE)
    prompts = folder / PROMPTS_FILE
    if not prompts.is_file():
        prompts = folder.absolute().parent / PROMPTS_FILE
    labels = [line.strip() for line in prompts.read_text(encoding='utf-8').splitlines()]
    if not any(labels):
        raise ValueError(f'{prompts}: expected a label in each line, got none')
    cloud = read_labelled_cloud(replica)
    positions, ids = cloud.positions, cloud.object_ids
    if (folder / VISIBLE_FILE).is_file():
        positions = read_pcd(folder / VISIBLE_FILE)
        distance_m, closest = cKDTree(cloud.positions).query(positions)
        ids = np.where(distance_m < REACH_M, ids[closest], -1)
    return OpenLexTruth(positions, ids, objects, [label for label in labels if label])


def read_object_labels(path: Path) -> dict[int, ObjectLabels]:
    """Reads what objects may be called, by id.

    Raises:
        ValueError: The file is malformed.
        OSError: It cannot be read.
    """
    objects: dict[int, ObjectLabels] = {}
    try:
        for sample in json.loads(path.read_text(encoding='utf-8'))['dataset']['samples']:
            said = sample['labels']['image_attributes']
            names = {name: tuple(bare(label) for label in said[name]) for name in NAMED}
            clutter = tuple(int(each) for each in said.get('clutter', ()))
            objects[int(sample['object_id'])] = ObjectLabels(names, clutter)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: expected labels of OpenLex3D, got {error!r}') from error
    return objects


def write_openlex(
    folder: Path,
    visible: Float[Array, 'n 3'],
    objects: Mapping[int, ObjectLabels],
    labels: Sequence[str],
) -> None:
    """Writes a scene; its objects are those of the Replica scene in the same folder.

    Args:
        folder: Where to.
        visible: True points.
        objects: What objects may be called, by id.
        labels: The labels that are asked for.
    """
    samples = [
        {
            'name': f'object_{number}',
            'object_id': number,
            'labels': {
                'image_attributes': {
                    **{name: list(each.names[name]) for name in NAMED},
                    'clutter': [str(other) for other in each.clutter],
                }
            },
        }
        for number, each in objects.items()
    ]
    content = json.dumps({'dataset': {'samples': samples}}, indent=1)
    (folder / CATEGORIES_FILE).write_text(content + '\n', encoding='utf-8')
    (folder / PROMPTS_FILE).write_text('\n'.join(labels) + '\n', encoding='utf-8')
    write_pcd(folder / VISIBLE_FILE, visible)
