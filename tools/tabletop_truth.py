"""What windows of simulated views show.

It is counted on the label map with the weights of the encoder's own pooling: half over the window,
half over its central quarter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tabletop_captions import CATEGORY_LIST, COLOUR_LIST, PART_LIST, TEXTURE_LIST
from tabletop_views import ELSEWHERE, TABLE

SLOTS = 5
_GRID = 14


@dataclass
class Truth:
    """What windows show, best first in each of ``SLOTS`` slots; a score of 0 is an empty slot.

    Attributes:
        objects: (n, slots, 3) category, colour, texture.
        object_scores: (n, slots) how much the window is of that object, in [0, 1].
        parts: (n, slots, 3) category, colour, part.
        part_scores: (n, slots).
        surroundings: (n, 2) how much it is of the table, and of what lies beyond.
    """

    objects: np.ndarray
    object_scores: np.ndarray
    parts: np.ndarray
    part_scores: np.ndarray
    surroundings: np.ndarray


@dataclass
class Instance:
    """A visible object (part -1) or part: its label range, its box and its pixels."""

    object: int
    part: int
    box: tuple[int, int, int, int]
    pixels: int


def visible_instances(labels: np.ndarray) -> list[Instance]:
    """Returns the objects and parts of a view; boxes are (left, top, right, bottom)."""
    flat = labels.ravel()
    order = np.argsort(flat, kind='stable')
    order = order[: np.searchsorted(flat[order], TABLE)]
    if not len(order):
        return []
    values = flat[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    v, u = np.divmod(order, labels.shape[1])
    columns = (
        np.minimum.reduceat(u, starts),
        np.minimum.reduceat(v, starts),
        np.maximum.reduceat(u, starts) + 1,
        np.maximum.reduceat(v, starts) + 1,
        np.diff(np.r_[starts, len(order)]),
    )
    instances: list[Instance] = []
    whole: dict[int, Instance] = {}
    for label, *box, pixels in zip(
        values[starts].tolist(), *(c.tolist() for c in columns), strict=True
    ):
        index, part = divmod(label, 16)
        instances.append(Instance(index, part, tuple(box), pixels))
        if index in whole:
            other = whole[index]
            low = [min(a, b) for a, b in zip(box[:2], other.box[:2], strict=True)]
            high = [max(a, b) for a, b in zip(box[2:], other.box[2:], strict=True)]
            other.box, other.pixels = (*low, *high), other.pixels + pixels
        else:
            whole[index] = Instance(index, -1, tuple(box), pixels)
    return [*whole.values(), *instances]


@dataclass
class Seen:
    """What was read from the label maps at a grid of points in each of n windows.

    Attributes:
        labels: (2, n, points) over the window, and over its central quarter.
        area_px: (n,) area of the window in the view.
        visible: (n, 256) pixels of each label in the whole view.
        names: (n, 240, 4) category, colour, texture and part of each label; -1 for none.
    """

    labels: np.ndarray
    area_px: np.ndarray
    visible: np.ndarray
    names: np.ndarray


def look(labels: np.ndarray, visible: np.ndarray, names: np.ndarray, boxes: np.ndarray) -> Seen:
    """Returns what windows, (n, 4) in pixels of a view, hold of its label map."""
    height, width = labels.shape
    ticks = (np.arange(_GRID) + 0.5) / _GRID
    seen = np.empty((2, len(boxes), _GRID * _GRID), np.uint8)
    for half, inset in enumerate((0.0, 0.25)):
        at = inset + (1 - 2 * inset) * ticks
        u = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * at
        v = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * at
        u, v = u.astype(int).clip(0, width - 1), v.astype(int).clip(0, height - 1)
        seen[half] = labels[v[:, :, None], u[:, None, :]].reshape(len(boxes), -1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    count = len(boxes)
    return Seen(seen, area, np.stack([visible] * count), np.stack([names] * count))


def label_names(objects: list[dict]) -> np.ndarray:
    """Returns (240, 4): category, colour, texture and part of each label; -1 for none."""
    names = np.full((TABLE, 4), -1, np.int16)
    for index, instance in enumerate(objects):
        for part, name in enumerate(instance['parts'][:16]):
            names[16 * index + part] = (
                CATEGORY_LIST.index(instance['category']),
                COLOUR_LIST.index(instance['colour']),
                TEXTURE_LIST.index(instance['texture']),
                PART_LIST.index(name),
            )
    return names


def window_truth(seen: list[Seen]) -> Truth:
    """Returns what windows show.

    An object counts by the share of the window it covers; one that covers little but lies wholly
    inside, as a key does, counts too, unless something else dominates the window.
    """
    labels = np.concatenate([each.labels for each in seen], axis=1)
    area = np.concatenate([each.area_px for each in seen])[:, None]
    visible = np.concatenate([each.visible for each in seen])
    names = np.concatenate([each.names for each in seen])
    count, points = labels.shape[1:]
    rows = np.arange(count)[:, None] * 256
    shares = (
        np.stack(
            [
                np.bincount((rows + half).ravel(), minlength=count * 256).reshape(count, 256)
                for half in labels
            ]
        )
        / points
    )
    weighted = shares.mean(axis=0)

    def grouped(values: np.ndarray) -> np.ndarray:
        return values[:, :TABLE].reshape(count, 15, 16).sum(axis=2)

    held = shares[0] * area
    object_scores = _score(grouped(weighted), grouped(held) / np.maximum(grouped(visible), 1))
    part_scores = _score(weighted[:, :TABLE], (held / np.maximum(visible, 1))[:, :TABLE])
    # A part of something that the window is not of does not count either.
    part_scores *= np.repeat(np.minimum(1, 2 * object_scores), 16, axis=1)
    top = np.argsort(-object_scores, axis=1, kind='stable')[:, :SLOTS]
    top_parts = np.argsort(-part_scores, axis=1, kind='stable')[:, :SLOTS]
    table = _ramp(weighted[:, TABLE], 0.45, 0.85)
    elsewhere = _ramp(weighted[:, ELSEWHERE], 0.45, 0.85)
    each = np.arange(count)[:, None]
    return Truth(
        objects=names[each, 16 * top][..., :3],
        object_scores=np.take_along_axis(object_scores, top, axis=1),
        parts=names[each, top_parts][..., [0, 1, 3]],
        part_scores=np.take_along_axis(part_scores, top_parts, axis=1),
        surroundings=np.stack([table, elsewhere], axis=1),
    )


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1)


def _score(cover: np.ndarray, held: np.ndarray) -> np.ndarray:
    largest = np.maximum(cover.max(axis=1, keepdims=True), 1e-6)
    by_cover = _ramp(cover, 0.10, 0.32)
    by_content = _ramp(held, 0.35, 0.7) * _ramp(cover, 0.03, 0.07)
    return np.maximum(by_cover, by_content) * _ramp(cover / largest, 0.15, 0.5)


def joined(first: Truth, second: Truth) -> Truth:
    """Returns the truth about the windows of both, one after the other."""
    return Truth(
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in Truth.__dataclass_fields__
        )
    )
