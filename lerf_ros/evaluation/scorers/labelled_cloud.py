"""Clouds whose points have a true class: Replica's semantic meshes and ScanNet's labelled ones.

As HOV-SG reads them, see :mod:`lerf_ros.evaluation.scorers.semantic_segmentation`. World frame of
the data set, metres.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from lerf_ros.evaluation.scorers.clouds import ply_positions, read_ply, write_quads

Array = np.ndarray

MESH, INFO = Path('habitat/mesh_semantic.ply'), Path('habitat/info_semantic.json')
SCANNET_ENDING = '_vh_clean_2.labels.ply'
BACKGROUND = 0
# Classes of Replica whose names hold one of these are ignored, 'wall-cabinet' among them.
IGNORED_WORDS = ('wall', 'floor', 'ceiling', 'door', 'window', 'background')
# Name and colour of ScanNet's 20 classes and of what has none, by id.
SCANNET = (
    ('wall', (174, 199, 232)),
    ('floor', (152, 223, 138)),
    ('cabinet', (31, 119, 180)),
    ('bed', (255, 187, 120)),
    ('chair', (188, 189, 34)),
    ('sofa', (140, 86, 75)),
    ('table', (255, 152, 150)),
    ('door', (214, 39, 40)),
    ('window', (197, 176, 213)),
    ('bookshelf', (148, 103, 189)),
    ('picture', (196, 156, 148)),
    ('counter', (23, 190, 207)),
    ('desk', (247, 182, 210)),
    ('curtain', (219, 219, 141)),
    ('refrigerator', (255, 127, 14)),
    ('shower curtain', (158, 218, 229)),
    ('toilet', (44, 160, 44)),
    ('sink', (112, 128, 144)),
    ('bathtub', (227, 119, 194)),
    ('furniture', (82, 84, 163)),
    ('background', (0, 0, 0)),
)
SCANNET_IGNORED = frozenset({0, 1, 7, 8, 20})


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """A cloud with the truth about its points.

    Attributes:
        positions: Of the points; of a mesh, the corners of its faces, each as often as it comes.
        class_ids: Class of each point.
        object_ids: Object of each point, 0 where the file describes none; all -1 without objects.
        classes: Names of the classes that are asked for, by id.
        ignored: Classes that figures are not about.
    """

    positions: Float[Array, 'n 3']
    class_ids: Int[Array, ' n']
    object_ids: Int[Array, ' n']
    classes: dict[int, str]
    ignored: frozenset[int]

    def __post_init__(self) -> None:
        if not len(self.positions):
            raise ValueError('the true cloud is empty')
        if not len(self.positions) == len(self.class_ids) == len(self.object_ids):
            raise ValueError(
                f'labels: expected one for each of {len(self.positions)} points, '
                f'got {len(self.class_ids)} classes and {len(self.object_ids)} objects'
            )


def read_labelled_cloud(folder: Path) -> LabelledCloud:
    """Reads a scene of Replica or of ScanNet.

    Raises:
        ValueError: A file is malformed or empty, or an object has an unknown class.
        FileNotFoundError: The folder holds neither.
        OSError: A file cannot be read.
    """
    if (folder / MESH).is_file() and (folder / INFO).is_file():
        return _read_replica(folder)
    scans = sorted(folder.glob(f'*{SCANNET_ENDING}'))
    if not scans:
        raise FileNotFoundError(
            f'{folder}: expected {MESH} and {INFO} of Replica, or a *{SCANNET_ENDING} of ScanNet'
        )
    return _read_scannet(scans[0])


def _read_replica(folder: Path) -> LabelledCloud:
    path = folder / INFO
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        classes = {int(each['id']): str(each['name']) for each in content['classes']}
        class_of = {int(each['id']): int(each['class_id']) for each in content['objects']}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path}: expected classes and objects of Replica, got {error!r}'
        ) from error
    classes[BACKGROUND] = 'background'
    for number, class_id in class_of.items():
        if class_id not in classes and class_id != -1:
            raise ValueError(f'{path}: object {number} is of the unknown class {class_id}')
    mesh = read_ply(folder / MESH)
    try:
        faces, owner = mesh['face']['vertex_indices'], mesh['face']['object_id']
        corners = ply_positions(mesh['vertex'])[faces]
    except (KeyError, IndexError) as error:
        raise ValueError(
            f'{folder / MESH}: expected vertices, and faces with object_id, got {error!r}'
        ) from error
    known, index = np.unique(owner, return_inverse=True)
    class_ids = np.array([class_of.get(int(each), BACKGROUND) for each in known], int)[index]
    object_ids = np.array([each if int(each) in class_of else 0 for each in known], int)[index]
    return LabelledCloud(
        corners.reshape(-1, 3),
        np.repeat(class_ids, faces.shape[1]),
        np.repeat(object_ids, faces.shape[1]),
        classes,
        frozenset({-1, BACKGROUND}).union(
            number
            for number, name in classes.items()
            if any(word in name for word in IGNORED_WORDS)
        ),
    )


def _read_scannet(path: Path) -> LabelledCloud:
    vertices = read_ply(path).get('vertex', {})
    try:
        positions = ply_positions(vertices)
        colours = np.stack([vertices[name] for name in ('red', 'green', 'blue')], axis=1)
    except KeyError as error:
        raise ValueError(
            f'{path}: expected vertices with a colour, got none of {error}'
        ) from error
    # Few colours: the class whose colour is closest is found once for each.
    shades, index = np.unique(colours.astype(int), axis=0, return_inverse=True)
    palette = np.array([colour for _, colour in SCANNET])
    closest = np.abs(shades[:, None] - palette).sum(axis=2).argmin(axis=1)
    return LabelledCloud(
        positions,
        closest[index.reshape(-1)],
        np.full(len(positions), -1),
        {number: name for number, (name, _) in enumerate(SCANNET)},
        SCANNET_IGNORED,
    )


def write_replica(
    folder: Path,
    corners: Float[Array, 'q 4 3'],
    object_ids: Int[Array, ' q'],
    names: Mapping[int, str],
) -> None:
    """Writes a scene as Replica has them.

    Args:
        folder: Where to.
        corners: Faces of four corners.
        object_ids: Object of each face.
        names: Name of the class of each object.
    """
    (folder / MESH).parent.mkdir(parents=True, exist_ok=True)
    write_quads(folder / MESH, corners, object_ids)
    number_of = {name: number for number, name in enumerate(sorted(set(names.values())), 1)}
    content = {
        'classes': [{'id': number, 'name': name} for name, number in number_of.items()],
        'objects': [
            {'id': each, 'class_id': number_of[name], 'class_name': name}
            for each, name in names.items()
        ],
    }
    (folder / INFO).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
