"""Pictures of simulated rooms with their truth, kept on disk beside those of tabletops.

A robot sees things smaller, from the side, on shelves and before other furniture. Each picture
is a piece of one that its camera would take on its walk, as large as those of tabletops. It counts
as a scene of its own: its labels number the objects that are in it.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
from tabletop_processes import run_all
from tabletop_views import ELSEWHERE, HEIGHT, WIDTH, described

from lerf_ros.geometry import camera_directions, pixel_centres
from lerf_ros.simulation import HELD_OUT_SEED, FlatOptions, FlatScene

# Walls and furniture: captions of tables and of floors are neither meant nor excluded by them.
UNNAMED = 242
_MOST_OBJECTS = 14
# Pieces of one picture, each around another of its objects.
_PIECES = 2
# Pictures for a view: three of four show something, most of them more than one thing.
_STOPS = 0.72
# An object is worth a picture from so many pixels on, and no farther than this.
_LEAST_PIXELS, _FAR_M = 40, 3.0
_WALK_S, _RATE_HZ = 480.0, 2.0
_FLOOR_M = 0.02
_LOGGER = logging.getLogger(__name__)


def render_flat(seed: int, views: int) -> tuple[np.ndarray, np.ndarray, list[list[dict]]]:
    """Returns images, labels, and the objects of each view, from a walk through one flat.

    The last list may be a little shorter than what was asked for: so many views there are.

    Raises:
        ValueError: The seed belongs to the evaluation.
    """
    if seed >= HELD_OUT_SEED:
        raise ValueError(f'seed: expected less than {HELD_OUT_SEED}, got {seed}')
    rng = np.random.default_rng([seed, 3])
    images = np.zeros((views, HEIGHT, WIDTH, 3), np.uint8)
    labels = np.full((views, HEIGHT, WIDTH), UNNAMED, np.uint8)
    objects: list[list[dict]] = []
    with FlatScene(seed, FlatOptions(width=2 * WIDTH, height=2 * HEIGHT)) as scene:
        directions = camera_directions(scene.camera, pixel_centres(scene.camera))
        path = scene.path(_WALK_S, _RATE_HZ)
        # From all of the walk, in its order: a room's model is made once.
        stops = min(round(_STOPS * views), len(path))
        for index in np.sort(rng.choice(len(path), stops, replace=False)):
            if len(objects) == views:
                break
            picture = scene.render(path[index])
            near = np.where(picture.depth < _FAR_M, picture.objects, -1)
            shown, pixels = np.unique(near[near >= 0], return_counts=True)
            shown = shown[pixels >= _LEAST_PIXELS]
            if not len(shown):
                continue
            world_z = directions @ path[index][2, :3] * picture.depth + path[index][2, 3]
            pieces = min(_PIECES, len(shown), views - len(objects))
            for middle in rng.choice(shown, pieces, replace=False):
                rows, columns = np.nonzero(near == middle)
                left, top = (
                    int(np.clip(rng.normal(at, 40) - side / 2, 0, side))
                    for at, side in ((columns.mean(), WIDTH), (rows.mean(), HEIGHT))
                )
                piece = slice(top, top + HEIGHT), slice(left, left + WIDTH)
                at = len(objects)
                images[at] = picture.image[piece]
                labels[at][world_z[piece] < _FLOOR_M] = ELSEWHERE
                named = _label(labels[at], picture.objects[piece], picture.parts[piece])
                objects.append([described(scene.objects[name].obj) for name in named])
    return images, labels, objects


def _label(labels: np.ndarray, objects: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Writes the labels of a view's objects; returns which they are, in order of their labels."""
    named, counts = np.unique(objects[objects >= 0], return_counts=True)
    named = named[np.argsort(-counts)][:_MOST_OBJECTS]
    for number, name in enumerate(named):
        on = objects == name
        labels[on] = 16 * number + np.minimum(parts[on], 15)
    return named


def _render_share(folder: Path, seeds: list[int], views: int, worker: int) -> None:
    shape = (len(seeds) * views, HEIGHT, WIDTH)
    images = np.lib.format.open_memmap(folder / f'images{worker}.npy', 'w+', np.uint8, (*shape, 3))
    labels = np.lib.format.open_memmap(folder / f'labels{worker}.npy', 'w+', np.uint8, shape)
    at = 0
    with (folder / f'scenes{worker}.jsonl').open('w', encoding='utf-8') as stream:
        for seed in seeds:
            pictures, truths, objects = render_flat(seed, views)
            count = len(objects)
            images[at : at + count], labels[at : at + count] = pictures[:count], truths[:count]
            at += count
            stream.writelines(
                json.dumps({'seed': seed, 'objects': each}) + '\n' for each in objects
            )
            stream.flush()
    _LOGGER.info('worker %d: %d pictures of %d flats', worker, at, len(seeds))


def render_rooms(folder: Path, first_seed: int, flats: int, views: int, workers: int) -> None:
    """Renders flats to a folder that `tabletop_views.Views` reads, one view a scene."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'views.json').write_text(json.dumps({'views': 1, 'workers': workers}))
    seeds = list(range(first_seed, first_seed + flats))
    run_all(
        _render_share,
        [(folder, seeds[worker::workers], views, worker) for worker in range(workers)],
    )
