"""A simulated table or flat as a scene of each public format, and a map of it.

The truth is what perfect pictures on the camera's way show within the range of the map's surface:
faces between neighbouring pixels, thinned to one a voxel and object. Furniture, walls and floor
have their nouns. Nothing in the simulator depicts anything; what has an object's category in
another colour looks like it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.flat.run import CAMERA_HZ, SECONDS_PER_M2, shots
from lerf_ros.evaluation.flat.truth import Sightings
from lerf_ros.evaluation.scorers.label_categories import ObjectLabels
from lerf_ros.evaluation.scorers.labelled_cloud import write_replica
from lerf_ros.evaluation.scorers.object_boxes import OrientedBox, box_iou
from lerf_ros.evaluation.scorers.openlex_files import write_openlex
from lerf_ros.evaluation.scorers.task_boxes import write_task_boxes
from lerf_ros.evaluation.stream import Shot, Stream, shots_of
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.geometry import (
    Array,
    PinholeCamera,
    backproject,
    pixel_centres,
    transform_points,
)
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.simulation import (
    HELD_OUT_SEED,
    FlatOptions,
    FlatScene,
    SceneObject,
    TabletopScene,
    View,
    absent_phrases,
)
from lerf_ros.simulation.layout import TABLE_SIZE_M
from lerf_ros.surface.depth_view import voxel_keys

TASKS_FILE = 'tasks.yaml'
# Where the map is: an atlas is a folder, a single map a file.
ATLAS_NAME, MAP_NAME = 'map', 'map.lerf'
TABLE_SECONDS = 20.0
# Pixels between the corners of a face, and voxels that hold one of an object.
STRIDE_PX = 3
TABLE_VOXEL_M, FLAT_VOXEL_M = 0.005, 0.02
# Neighbouring pixels whose depths differ by more than this share belong to two surfaces.
LEAST_JUMP_SHARE = 0.05
# An object of fewer faces has not been seen.
LEAST_FACES = 20
FLOOR_M = 0.02
# Corners of faces, and the thing that each is of, -1 for none.
Faces = tuple[Float[Array, 'q 4 3'], Int[Array, ' q']]


def duration_s(area_m2: float) -> float:
    """Returns how long the camera usually goes: 6.4 s a square metre, on a table 20 s."""
    return SECONDS_PER_M2 * area_m2 or TABLE_SECONDS


def make_scene(
    folder: Path,
    seed: int,
    config: LerfConfig,
    encoder: LanguageEncoder,
    *,
    area_m2: float,
    seconds: float,
    steps_per_second: float,
    advance: Callable[[float, str], None],
) -> None:
    """Writes the truth about a simulated scene in all formats, and a map that has learnt it.

    Args:
        folder: Where to; made if absent.
        seed: The scene.
        config: Options of the map.
        encoder: Its encoder.
        area_m2: Floor area of a flat; 0 takes a table.
        seconds: How long the camera goes.
        steps_per_second: Training steps for each second of the camera.
        advance: Told of each second that is done.

    Raises:
        OSError: The folder cannot be written, or there is no off-screen OpenGL.
    """
    folder.mkdir(parents=True, exist_ok=True)
    range_m = config.query.max_range_m
    if area_m2 > 0:
        with FlatScene(seed, FlatOptions(area_m2=area_m2)) as flat:
            path = flat.path(seconds, CAMERA_HZ)
            views = (_faces(flat.render(pose), flat.camera, pose, range_m) for pose in path[::10])
            faces = _thinned(views, FLAT_VOXEL_M)
            things = [each.obj for each in flat.objects]
            _write_truth(folder, seed, things, faces, *_flat_structure(flat, faces))
            frames: Iterable[Shot] = shots(flat, path, 'usual', Sightings())
            _learn(folder, config, encoder, frames, seconds, steps_per_second, advance)
        return
    with TabletopScene(seed) as scene:
        path = scene.path('handheld', seconds, CAMERA_HZ)
        views = (_faces(scene.render(pose), scene.camera, pose, range_m) for pose in path[::5])
        faces = _thinned(views, TABLE_VOXEL_M)
        _write_truth(folder, seed, scene.objects, faces, *_table_structure(faces))
        frames = shots_of(scene.frames('handheld', seconds, CAMERA_HZ))
        _learn(folder, config, encoder, frames, seconds, steps_per_second, advance)


def _learn(
    folder: Path,
    config: LerfConfig,
    encoder: LanguageEncoder,
    frames: Iterable[Shot],
    seconds: float,
    steps_per_second: float,
    advance: Callable[[float, str], None],
) -> None:
    """Maps what the camera saw, and saves the map."""
    live_map = make_map(config, encoder)
    stream = Stream(live_map, frames, config.keyframes, steps_per_second=steps_per_second)
    done_s = 0.0
    for time_s in stream.run([*np.arange(1.0, seconds), seconds]):
        advance(time_s - done_s, 'mapping')
        done_s = time_s
    live_map.save(folder / (ATLAS_NAME if isinstance(live_map, Atlas) else MAP_NAME))
    live_map.close()


def _faces(
    view: View, camera: PinholeCamera, camera_to_world: Float[Array, '4 4'], range_m: float
) -> Faces:
    """Returns the faces between neighbouring pixels of a perfect picture, as far as the range."""
    every = np.s_[::STRIDE_PX, ::STRIDE_PX]
    depth_m, uv = view.depth[every].astype(np.float64), pixel_centres(camera)[every]
    points = transform_points(camera_to_world, backproject(camera, uv, depth_m))
    depths_m, owners = _fours(depth_m), _fours(view.objects[every])
    least_m, most_m = depths_m.min(axis=2), depths_m.max(axis=2)
    whole = (owners == owners[..., :1]).all(axis=2) & (most_m <= range_m)
    whole &= most_m <= (1 + LEAST_JUMP_SHARE) * least_m
    return _fours(points)[whole], owners[whole][:, 0].astype(int)


def _fours(grid: Array) -> Array:
    """Returns the four neighbours around each crossing of a grid, in turn."""
    return np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)


def _thinned(views: Iterable[Faces], voxel_m: float) -> Faces:
    """Joins faces, and keeps one of each object in a voxel."""
    corners, owners = np.zeros((0, 4, 3)), np.zeros(0, int)
    for more, theirs in views:
        corners, owners = np.concatenate([corners, more]), np.concatenate([owners, theirs])
        voxels = np.stack([voxel_keys(corners.mean(axis=1), voxel_m), owners], axis=1)
        first = np.sort(np.unique(voxels, axis=0, return_index=True)[1])
        corners, owners = corners[first], owners[first]
    return corners, owners


def _table_structure(faces: Faces) -> tuple[list[str], Int[Array, ' q']]:
    """Returns what there is besides things, and which of that each face would belong to."""
    low, high = faces[0].min(axis=1), faces[0].max(axis=1)
    inside = (np.abs(faces[0].mean(axis=1)[:, :2]) <= np.array(TABLE_SIZE_M) / 2).all(axis=1)
    top = inside & (np.abs(low[:, 2]) < FLOOR_M) & (np.abs(high[:, 2]) < FLOOR_M)
    return ['floor', 'table'], top.astype(int)


def _flat_structure(flat: FlatScene, faces: Faces) -> tuple[list[str], Int[Array, ' q']]:
    """Returns what there is besides things, and which of that each face would belong to."""
    x, y, z = faces[0].mean(axis=1).T
    pieces = [stand for stand in flat.furniture if stand.piece is not None]
    owner = np.where(z < FLOOR_M, 0, 1)
    for number, stand in enumerate(pieces, 2):
        x0, y0, x1, y1 = stand.footprint
        within = (x >= x0 - FLOOR_M) & (x <= x1 + FLOOR_M) & (y >= y0 - FLOOR_M)
        owner[within & (y <= y1 + FLOOR_M) & (z >= FLOOR_M)] = number
    return ['floor', 'wall', *(stand.name for stand in pieces)], owner


def _write_truth(
    folder: Path,
    seed: int,
    things: Sequence[SceneObject],
    faces: Faces,
    structure: Sequence[str],
    structure_of: Int[Array, ' q'],
) -> None:
    """Writes the truth about what was seen in all formats; ids are 1 and up, things first."""
    corners, thing_of = faces
    ids = 1 + np.where(thing_of >= 0, thing_of, len(things) + structure_of)
    numbers, counts = np.unique(ids, return_counts=True)
    seen = numbers[counts >= LEAST_FACES].tolist()
    there = {thing.index + 1: thing for thing in things if thing.index + 1 in seen}
    nouns = dict(enumerate(structure, len(things) + 1))
    nouns = {number: noun for number, noun in nouns.items() if number in seen}
    known = np.isin(ids, seen)
    classes = {number: thing.category for number, thing in there.items()}
    write_replica(folder, corners[known], ids[known], classes | nouns)
    pairs = [(thing.colour, thing.category) for thing in there.values()]
    absent = absent_phrases(
        pairs, len(pairs), np.random.default_rng([seed, 1]), with_excluded=seed >= HELD_OUT_SEED
    )
    objects, labels = _object_labels(there, nouns, [phrase.text for phrase in absent])
    write_openlex(folder, corners[known].mean(axis=1), objects, labels)
    tasks: dict[str, list[OrientedBox]] = {}
    for thing in there.values():
        tasks.setdefault(thing.name, []).append(_box(thing))
    write_task_boxes(folder / TASKS_FILE, tasks)


def _object_labels(
    things: Mapping[int, SceneObject], nouns: Mapping[int, str], absent: Sequence[str]
) -> tuple[dict[int, ObjectLabels], list[str]]:
    """Returns what everything may be called, by id, and all labels, absent ones among them."""
    said = {number: (noun,) for number, noun in nouns.items()}
    said |= {number: (*each.names, *each.category_names) for number, each in things.items()}
    labels = sorted({*absent, *(text for texts in said.values() for text in texts)})
    objects = {}
    for number, own in said.items():
        alike, near = [], []
        if number in things:
            endings = tuple(f' {noun}' for noun in things[number].category_names)
            alike = [text for text in labels if text.endswith(endings) and text not in own]
            box = _box(things[number])
            near = [
                other
                for other, thing in things.items()
                if other != number and box_iou(_box(thing), box) > 0
            ]
        names = {'synonyms': own, 'depictions': (), 'vis_sim': tuple(alike)}
        objects[number] = ObjectLabels(names, tuple(near))
    return objects, labels


def _box(thing: SceneObject) -> OrientedBox:
    return OrientedBox(thing.box_to_world, thing.box_size_m)
