"""Pictures of simulated tabletops with their truth, kept on disk for training.

A label is one byte: ``16 * object + part`` on an object (at most 14 objects of at most 16 parts),
``TABLE`` on the table, ``ELSEWHERE`` on floor and walls.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
from tabletop_processes import run_all

from lerf_ros.geometry import camera_directions, pixel_centres
from lerf_ros.simulation import HELD_OUT_SEED, SceneObject, TabletopScene

TABLE, ELSEWHERE = 240, 241
WIDTH, HEIGHT = 320, 240
_KINDS = ('orbit', 'handheld', 'wrist')
_LOGGER = logging.getLogger(__name__)


def render_scene(seed: int, views: int) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Returns images, labels and the objects of one scene.

    Raises:
        ValueError: The seed belongs to the evaluation.
    """
    if seed >= HELD_OUT_SEED:
        raise ValueError(f'seed: expected less than {HELD_OUT_SEED}, got {seed}')
    rng = np.random.default_rng([seed, 1])
    images = np.empty((views, HEIGHT, WIDTH, 3), np.uint8)
    labels = np.empty((views, HEIGHT, WIDTH), np.uint8)
    with TabletopScene(seed) as scene:
        directions = camera_directions(scene.camera, pixel_centres(scene.camera))
        paths = {kind: scene.path(kind, 20.0, 4.0) for kind in _KINDS}
        for view in range(views):
            path = paths[_KINDS[view % 3]]
            pose = path[rng.integers(len(path))]
            picture = scene.render(pose)
            world_z = (directions @ pose[2, :3]) * picture.depth + pose[2, 3]
            images[view] = picture.image
            labels[view] = np.where(np.abs(world_z) < 0.006, TABLE, ELSEWHERE)
            on = (picture.objects >= 0) & (picture.objects < 14)
            labels[view][on] = (16 * picture.objects + np.minimum(picture.parts, 15))[on]
        objects = [described(obj) for obj in scene.objects[:14]]
    return images, labels, objects


def described(obj: SceneObject) -> dict:
    """Returns what is kept on disk of an object of a scene."""
    return {
        'category': obj.category,
        'colour': obj.colour,
        'texture': obj.texture,
        'parts': [part.name for part in obj.parts],
    }


def _render_share(folder: Path, seeds: list[int], views: int, worker: int) -> None:
    shape = (len(seeds) * views, HEIGHT, WIDTH)
    images = np.lib.format.open_memmap(folder / f'images{worker}.npy', 'w+', np.uint8, (*shape, 3))
    labels = np.lib.format.open_memmap(folder / f'labels{worker}.npy', 'w+', np.uint8, shape)
    start = time.perf_counter()
    with (folder / f'scenes{worker}.jsonl').open('w', encoding='utf-8') as stream:
        for index, seed in enumerate(seeds):
            at = slice(index * views, (index + 1) * views)
            images[at], labels[at], objects = render_scene(seed, views)
            stream.write(json.dumps({'seed': seed, 'objects': objects}) + '\n')
            stream.flush()
            if (index + 1) % 50 == 0:
                rate = (index + 1) / (time.perf_counter() - start)
                _LOGGER.info('worker %d: %d scenes, %.2f a second', worker, index + 1, rate)


def render(folder: Path, first_seed: int, scenes: int, views: int, workers: int) -> None:
    """Renders scenes to a folder, in as many processes as asked."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'views.json').write_text(json.dumps({'views': views, 'workers': workers}))
    seeds = list(range(first_seed, first_seed + scenes))
    run_all(
        _render_share,
        [(folder, seeds[worker::workers], views, worker) for worker in range(workers)],
    )


class Views:
    """All pictures of some folders, in the order of their scenes.

    Scenes still being rendered by another process are left out.

    Args:
        folders: What :func:`render` filled, or `tabletop_rooms.render_rooms`.
    """

    def __init__(self, *folders: Path) -> None:
        self._arrays: list[list[np.ndarray]] = []
        self._objects: list[list[dict]] = []
        # (arrays, index) of each view.
        self._where: list[tuple[int, int]] = []
        for folder in folders:
            self._add(folder)

    def _add(self, folder: Path) -> None:
        layout = json.loads((folder / 'views.json').read_text())
        views = layout['views']
        for worker in range(layout['workers']):
            lines = (folder / f'scenes{worker}.jsonl').read_text(encoding='utf-8').splitlines()
            arrays = [
                np.load(folder / f'{name}{worker}.npy', mmap_mode='r')
                for name in ('images', 'labels')
            ]
            self._arrays.append(arrays)
            for index, line in enumerate(lines):
                self._objects += [json.loads(line)['objects']] * views
                number = len(self._arrays) - 1
                self._where += [(number, index * views + view) for view in range(views)]

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, view: int) -> tuple[np.ndarray, np.ndarray, list[dict]]:
        number, at = self._where[view]
        images, labels = self._arrays[number]
        return images[at], labels[at], self._objects[view]
