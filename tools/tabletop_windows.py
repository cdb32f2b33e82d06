"""Random windows of simulated views.

Two kinds of training pictures, as the encoder is used in two ways:

* scene crops, of which several windows are pooled, at the octaves of the pyramid;
* lone crops, resized to the encoder's input size.
"""

from __future__ import annotations

import cv2
import numpy as np
from tabletop_colours import recolour, without_colours
from tabletop_truth import (
    Instance,
    Seen,
    Truth,
    label_names,
    look,
    visible_instances,
    window_truth,
)
from tabletop_views import Views

SCENE_PX, LONE_PX = 96, 56
WINDOW_PX = (24.0, 61.0)
OCTAVES = ((1, 0.35), (0, 0.40), (-1, 0.25))


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
