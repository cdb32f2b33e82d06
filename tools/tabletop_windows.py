"""Random windows of simulated tabletops, and what each of them shows.

Two kinds of training pictures, as the encoder is used in two ways:

* scene crops, of which several windows are pooled, at the octaves of the pyramid;
* lone crops, resized to the encoder's input size.

What a window shows is counted on the label map with the weights of the encoder's own pooling:
half over the window, half over its central quarter.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from tabletop_captions import CATEGORY_LIST, COLOUR_LIST, PART_LIST, TEXTURE_LIST
from tabletop_colours import recolour, without_colours
from tabletop_views import ELSEWHERE, TABLE, Views

SCENE_PX, LONE_PX = 96, 56
WINDOW_PX = (24.0, 61.0)
OCTAVES = ((1, 0.35), (0, 0.40), (-1, 0.25))
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


class WindowSampler:
    """Draws training pictures.

    Args:
        views: The rendered views.
        seed: Determines the draws.
        scene_crops: Scene crops of a batch.
        windows: Windows of a scene crop.
        lone_crops: Lone crops of a batch.
        recoloured: Share of the scene crops whose things are recoloured.
    """

    def __init__(
        self,
        views: Views,
        seed: int,
        scene_crops: int,
        windows: int,
        lone_crops: int,
        recoloured: float = 0.0,
    ) -> None:
        self._views = views
        self._rng = np.random.default_rng(seed)
        self._sizes = (scene_crops, windows, lone_crops)
        self._recoloured = recoloured
        self._known: dict[int, tuple[list[Instance], np.ndarray, np.ndarray]] = {}
        self._noise = self._rng.standard_normal(1 << 20, dtype=np.float32)

    def batch(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Truth]:
        """Returns scene crops (a, s, s, 3), boxes (a, w, 4) in their pixels, lone crops, truth.

        The truth lists the windows of the scene crops first, crop by crop, then the lone crops.
        """
        scene_crops, windows, lone_crops = self._sizes
        scenes = np.empty((scene_crops, SCENE_PX, SCENE_PX, 3), np.uint8)
        boxes = np.empty((scene_crops, windows, 4), np.float32)
        lone = np.empty((lone_crops, LONE_PX, LONE_PX, 3), np.uint8)
        seen = []
        for index in range(scene_crops):
            scenes[index], boxes[index], each = self._scene_crop(windows)
            seen.append(each)
        for index in range(lone_crops):
            lone[index], each = self._lone_crop()
            seen.append(each)
        return scenes, boxes, lone, window_truth(seen)

    def _draw_view(self) -> tuple[np.ndarray, np.ndarray, list[Instance], np.ndarray, np.ndarray]:
        while True:
            index = int(self._rng.integers(len(self._views)))
            image, labels, objects = self._views[index]
            if index not in self._known:
                visible = np.bincount(labels.ravel(), minlength=256)
                self._known[index] = visible_instances(labels), visible, label_names(objects)
            instances, visible, names = self._known[index]
            if instances:
                return image, labels, instances, visible, names

    def _draw_instance(self, instances: list[Instance], parts: float) -> Instance:
        wanted = [t for t in instances if (t.part >= 0) == (self._rng.random() < parts)]
        wanted = [t for t in wanted if t.pixels >= 20] or instances
        return wanted[int(self._rng.integers(len(wanted)))]

    def _scene_crop(self, windows: int) -> tuple[np.ndarray, np.ndarray, Seen]:
        rng = self._rng
        image, labels, instances, visible, names = self._draw_view()
        height, width = labels.shape
        octave = int(rng.choice([o for o, _ in OCTAVES], p=[p for _, p in OCTAVES]))
        side = round(SCENE_PX / 2.0**octave)
        centre = self._draw_instance(instances, 0.0).box
        left = round((centre[0] + centre[2]) / 2 + rng.uniform(-0.4, 0.4) * side - side / 2)
        top = round((centre[1] + centre[3]) / 2 + rng.uniform(-0.4, 0.4) * side - side / 2)
        left, top = (min(max(at, 0), size - side) for at, size in ((left, width), (top, height)))
        patch = image[top : top + side, left : left + side]
        if rng.random() < self._recoloured:
            patch = recolour(patch, labels[top : top + side, left : left + side], rng)
            names = without_colours(names)
        patch = self._spoilt(patch)
        scale = SCENE_PX / side
        inner = [
            instance
            for instance in instances
            if left < (instance.box[0] + instance.box[2]) / 2 < left + side
            and top < (instance.box[1] + instance.box[3]) / 2 < top + side
        ]
        boxes = np.empty((windows, 4), np.float32)
        for index in range(windows):
            size = rng.uniform(*WINDOW_PX)
            u, v = rng.uniform(0, SCENE_PX, 2)
            if inner and rng.random() < 0.8:
                instance = self._draw_instance(inner, 0.35)
                extent = (
                    max(instance.box[2] - instance.box[0], instance.box[3] - instance.box[1])
                    * scale
                )
                if rng.random() < 0.75:
                    size = extent * rng.uniform(0.6, 1.5)
                size = float(np.clip(size, *WINDOW_PX))
                u = ((instance.box[0] + instance.box[2]) / 2 - left) * scale
                v = ((instance.box[1] + instance.box[3]) / 2 - top) * scale
                u, v = np.array([u, v]) + rng.normal(0, 0.14, 2) * size
            u, v = np.clip([u, v], size / 2, SCENE_PX - size / 2)
            boxes[index] = (u - size / 2, v - size / 2, u + size / 2, v + size / 2)
        corner = np.array([left, top, left, top], np.float32)
        seen = look(labels, visible, names, boxes / scale + corner)
        patch = cv2.resize(
            patch,
            (SCENE_PX, SCENE_PX),
            interpolation=cv2.INTER_AREA if octave < 0 else cv2.INTER_LINEAR,
        )
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
            boxes[:, [0, 2]] = SCENE_PX - boxes[:, [2, 0]]
        return patch, boxes, seen

    def _lone_crop(self) -> tuple[np.ndarray, Seen]:
        rng = self._rng
        image, labels, instances, visible, names = self._draw_view()
        height, width = labels.shape
        draw = rng.random()
        if draw < 0.92:
            held = self._draw_instance(instances, 0.25).box
            drawn = max(held[2] - held[0], held[3] - held[1]) * rng.uniform(1.0, 1.5)
            shift = rng.normal(0, 0.06, 2) * drawn
            u, v = (held[0] + held[2]) / 2 + shift[0], (held[1] + held[3]) / 2 + shift[1]
        else:
            drawn = rng.uniform(12, 140)
            u, v = rng.uniform(0, width), rng.uniform(0, height)
        side = int(np.clip(round(drawn), 12, height))
        left, top = (
            min(max(round(at - side / 2), 0), size - side)
            for at, size in ((u, width), (v, height))
        )
        box = np.array([[left, top, left + side, top + side]], np.float32)
        patch = cv2.resize(
            self._spoilt(image[top : top + side, left : left + side]),
            (LONE_PX, LONE_PX),
            interpolation=cv2.INTER_AREA if side > LONE_PX else cv2.INTER_CUBIC,
        )
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        return patch, look(labels, visible, names, box)

    def _spoilt(self, patch: np.ndarray) -> np.ndarray:
        """Returns the patch as a camera might have taken it: exposure, tint, blur and noise."""
        rng = self._rng
        light = patch.astype(np.float32)
        if rng.random() < 0.6:
            sigma = rng.uniform(0.3, 0.9)
            light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)
        gain = 2 ** rng.normal(0, 0.18) * (1 + rng.normal(0, 0.03, 3))
        light = light * gain.astype(np.float32)
        start = int(rng.integers(len(self._noise) - light.size))
        noise = self._noise[start : start + light.size].reshape(light.shape)
        light += np.float32(rng.uniform(0, 5.0)) * noise
        return np.clip(light, 0, 255).astype(np.uint8)
