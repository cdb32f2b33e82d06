"""Crops around the objects and parts of rendered views, kept on disk with what they show."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
from tabletop_colours import recolour, without_colours
from tabletop_processes import run_all
from tabletop_truth import Seen, Truth, label_names, look, visible_instances, window_truth
from tabletop_views import Views

CROP_PX = 60
_MIN_PIXELS = {True: 40, False: 60}  # of parts, of objects
_LOGGER = logging.getLogger(__name__)


def _crops_of(
    view: tuple, rng: np.random.Generator, recoloured: float
) -> tuple[list[np.ndarray], list[Seen], list[tuple]]:
    image, labels, objects = view
    height, width = labels.shape
    visible, names = np.bincount(labels.ravel(), minlength=256), label_names(objects)
    if rng.random() < recoloured:
        image, names = recolour(image, labels, rng), without_colours(names)
    instances = [t for t in visible_instances(labels) if t.pixels >= _MIN_PIXELS[t.part >= 0]]
    pictures, seen, own = [], [], []
    for instance in instances:
        if instance.part >= 0 and (
            len(objects[instance.object]['parts']) == 1 or rng.random() < 0.2
        ):
            continue
        left, top, right, bottom = instance.box
        side = max(right - left, bottom - top) * 1.25 * rng.uniform(0.9, 1.25)
        side = int(np.clip(round(side), 14, height))
        left = min(max(round((left + right - side) / 2), 0), width - side)
        top = min(max(round((top + bottom - side) / 2), 0), height - side)
        patch = image[top : top + side, left : left + side]
        method = cv2.INTER_AREA if side > CROP_PX else cv2.INTER_CUBIC
        pictures.append(cv2.resize(patch, (CROP_PX, CROP_PX), interpolation=method))
        # Training cuts four fifths out of it, somewhere: the truth is that of the middle.
        inner = np.array([[0.08, 0.08, 0.92, 0.92]], np.float32) * side
        corner = np.array([left, top, left, top], np.float32)
        seen.append(look(labels, visible, names, inner + corner))
        category, colour, _, part = names[16 * instance.object + instance.part]
        own.append((category, colour, part) if instance.part >= 0 else (-1, -1, -1))
    return pictures, seen, own


def _cut_share(views: Path, folder: Path, worker: int, workers: int, recoloured: float) -> None:
    cv2.setNumThreads(1)
    all_views = Views(views)
    rng = np.random.default_rng([len(all_views), worker])
    pictures, truths, owned = [], [], []
    for index in range(worker, len(all_views), workers):
        images, seen, own = _crops_of(all_views[index], rng, recoloured)
        if images:
            pictures.append(np.stack(images))
            truths.append(window_truth(seen))
            owned += own
    np.save(folder / f'pictures{worker}.npy', np.concatenate(pictures))
    columns = {
        name: np.concatenate([getattr(truth, name) for truth in truths])
        for name in Truth.__dataclass_fields__
    }
    own_parts = np.array(owned, np.int16)
    np.savez(folder / f'truth{worker}.npz', own_parts=own_parts, **columns)  # type: ignore[arg-type]
    _LOGGER.info('%d crops', len(columns['surroundings']))


def cut(views: list[Path], folder: Path, workers: int, recoloured: float = 0.0) -> None:
    """Cuts the crops of all views; each folder of views makes a folder of crops.

    In a share of the views all things are recoloured.
    """
    for number, each in enumerate(views):
        target = folder / str(number)
        target.mkdir(parents=True)
        run_all(
            _cut_share, [(each, target, worker, workers, recoloured) for worker in range(workers)]
        )


class Crops:
    """All crops of a folder.

    Args:
        folder: What :func:`cut` filled.
    """

    def __init__(self, folder: Path) -> None:
        self._pictures = []
        parts = []
        for path in sorted(folder.glob('*/pictures*.npy')):
            self._pictures.append(np.load(path, mmap_mode='r'))
            name = path.name.replace('pictures', 'truth').replace('.npy', '.npz')
            parts.append(np.load(path.with_name(name)))
        self._truth = {
            name: np.concatenate([part[name] for part in parts])
            for name in Truth.__dataclass_fields__
        }
        self._own_parts = np.concatenate([part['own_parts'] for part in parts])
        self._starts = np.cumsum([0, *(len(pictures) for pictures in self._pictures)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batch(
        self, size: int, side: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, Truth, np.ndarray]:
        """Returns random crops, shifted, mirrored, lit and spoilt by noise, and their truth.

        The last is (size, 3) category, colour and part of the part that a crop was cut around, or
        -1 where it was cut around an object.
        """
        chosen = rng.integers(len(self), size=size)
        out = np.empty((size, side, side, 3), np.float32)
        for row, index in enumerate(chosen):
            block = int(np.searchsorted(self._starts, index, side='right')) - 1
            picture = self._pictures[block][index - self._starts[block]]
            top, left = rng.integers(CROP_PX - side + 1, size=2)
            patch = picture[top : top + side, left : left + side]
            out[row] = patch[:, ::-1] if rng.random() < 0.5 else patch
        gain = 2 ** rng.normal(0, 0.18, (size, 1, 1, 1)) * (
            1 + rng.normal(0, 0.03, (size, 1, 1, 3))
        )
        out *= gain.astype(np.float32)
        noise = rng.standard_normal((size, side // 2, side // 2, 3), dtype=np.float32)
        noise = noise.repeat(2, axis=1).repeat(2, axis=2)
        out += noise * rng.uniform(0, 5, (size, 1, 1, 1)).astype(np.float32)
        truth = Truth(**{name: column[chosen] for name, column in self._truth.items()})
        return np.clip(out, 0, 255).astype(np.uint8), truth, self._own_parts[chosen]
