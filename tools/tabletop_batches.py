"""Batches of the encoder's training: pictures, captions, and which of them are true of which.

They are drawn in processes of their own while the model trains.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import tabletop_captions as captions_
import torch
from tabletop_captions import Captions, never_caption, object_caption, part_caption
from tabletop_colours import RECOLOURED
from tabletop_crops import Crops
from tabletop_loss import own_matrices, truth_matrix
from tabletop_truth import Truth, joined
from tabletop_views import Views
from tabletop_windows import LONE_PX, WindowSampler

from lerf_ros.features.tabletop.encoder import create_tabletop_model

# Batches that wait for the training: drawn, and as tensors of its own.
_DRAWN, _READY = 6, 3


def draw_captions(
    truth: Truth,
    own_parts: np.ndarray,
    rng: np.random.Generator,
    captioned: int,
    never: int,
    any_parts: int,
) -> Captions:
    """Returns captions for a batch: true ones of its windows, near misses, and never true ones.

    Args:
        truth: What its windows show.
        own_parts: (n, 3) category, colour and part each was cut around, or -1.
        rng: Draws.
        captioned: Windows that are captioned.
        never: Captions of things that do not exist.
        any_parts: Parts of anything: what tells a handle from another handle is learned best
            when all of them compete.
    """
    result = Captions()
    chosen = rng.choice(len(captions_.PART_PAIRS), any_parts, replace=False)
    for category, part in (captions_.PART_PAIRS[index] for index in chosen):
        text = f'{captions_.CATEGORY_LIST[category]} {captions_.PART_LIST[part]}'
        result.add(text, (captions_.PART, category, -1, -1, part))
    count = len(truth.object_scores)
    for window in rng.permutation(count)[:captioned]:
        is_own = own_parts[window, 2] >= 0
        if (is_own or truth.part_scores[window, 0] > 0.5) and rng.random() < 0.5:
            named = own_parts[window] if is_own else truth.parts[window, 0]
            category, colour, part = (int(value) for value in named)
            result.add(*part_caption(rng, category, colour, part))
            if rng.random() < 0.35:  # a near miss: the same part of something else
                category = int(rng.integers(len(captions_.CATEGORY_LIST)))
                if not captions_.is_excluded(colour, category):
                    result.add(*part_caption(rng, category, colour, part))
            continue
        if truth.object_scores[window, 0] < 0.3:
            continue
        category, colour, texture = (int(value) for value in truth.objects[window, 0])
        result.add(*object_caption(rng, category, colour, texture))
        if rng.random() < 0.35:  # a near miss
            if rng.random() < 0.5:
                colour = int(rng.integers(len(captions_.COLOUR_LIST)))
            else:
                category = int(rng.integers(len(captions_.CATEGORY_LIST)))
            if not captions_.is_excluded(colour, category):
                result.add(*object_caption(rng, category, colour, texture))
    for _ in range(never):
        result.add(*never_caption(rng))
    surroundings = captions_.surroundings_captions()
    result.texts += surroundings.texts
    result.rows += surroundings.rows
    result.texts = [captions_.with_template(rng, text) for text in result.texts]
    return result


def class_targets(truth: Truth) -> np.ndarray:
    """Returns (n, 4): category, colour, texture and part of each window, -100 where unclear."""
    clear = (truth.object_scores[:, 0] > 0.7) & (truth.object_scores[:, 1] < 0.3)
    targets = np.full((len(clear), 4), -100, np.int64)
    targets[clear, :3] = truth.objects[clear, 0]
    targets[targets == RECOLOURED] = -100
    clear = (truth.part_scores[:, 0] > 0.7) & (truth.part_scores[:, 1] < 0.3)
    targets[clear, 3] = truth.parts[clear, 0, 2]
    return targets


def fill_with_windows(args: argparse.Namespace, seed: int, batches) -> None:
    """Puts batches of scene crops and lone crops into a queue, without end.

    Scene crops take long to draw: half of those of a batch are of the batch before, with other
    captions.
    """
    cv2.setNumThreads(1)
    views = Views(args.work / 'train', args.work / 'rooms')
    crops = Crops(args.work / 'crops')
    half = args.scene_crops // 2
    sampler = WindowSampler(views, seed, half, args.windows, 0, args.recoloured)
    rng = np.random.default_rng([seed, 7])
    scenes, boxes, _, of_windows = sampler.batch()
    while True:
        before = scenes, boxes, of_windows
        scenes, boxes, _, of_windows = sampler.batch()
        lone, of_crops, own_parts = crops.batch(args.lone_crops, LONE_PX, rng)
        pictures = np.concatenate([before[0], scenes]), np.concatenate([before[1], boxes]), lone
        truth = joined(joined(before[2], of_windows), of_crops)
        none = np.full((len(truth.objects) - len(own_parts), 3), -1)
        batches.put((*pictures, *_captioned(truth, np.concatenate([none, own_parts]), args, rng)))


def fill_with_crops(args: argparse.Namespace, seed: int, batches) -> None:
    """Puts batches of lone crops into a queue, without end."""
    crops = Crops(args.work / 'crops')
    rng = np.random.default_rng([seed, 8])
    nothing = np.empty((0, 8, 8, 3), np.uint8), np.empty((0, 1, 4), np.float32)
    while True:
        pictures, truth, own_parts = crops.batch(args.crop_batch, args.crop_px, rng)
        batches.put((*nothing, pictures, *_captioned(truth, own_parts, args, rng)))


def _captioned(
    truth: Truth, own_parts: np.ndarray, args: argparse.Namespace, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns tokens of captions, how true they are, which describe a picture best, and class
    targets; what is true is in half precision, for the way between the processes."""
    captions = draw_captions(truth, own_parts, rng, args.captions, args.never, args.any_parts)
    rows = np.array(captions.rows)
    matrix, own = own_matrices(truth_matrix(truth, rows), own_parts, rows)
    targets = class_targets(truth)
    targets[:, 3] = np.where(own_parts[:, 2] >= 0, own_parts[:, 2], targets[:, 3])
    tokens = _tokenizer()(captions.texts).numpy()
    return tokens, matrix.half().numpy(), own.half().numpy(), targets


@cache
def _tokenizer() -> Any:
    return create_tabletop_model()[1]


class Batches:
    """Draws batches in processes of their own while the model trains."""

    def __init__(self, fill: Callable, args: argparse.Namespace, rank: int) -> None:
        context = multiprocessing.get_context('spawn')
        self._queue = context.Queue(maxsize=_DRAWN * args.producers)
        self._ready: queue.Queue = queue.Queue(_READY)
        self._closed = threading.Event()
        self._processes = [
            context.Process(
                target=fill,
                args=(args, args.seed + 1000 * rank + number, self._queue),
                daemon=True,
            )
            for number in range(args.producers)
        ]
        for process in self._processes:
            process.start()
        # What comes from another process is read beside the training, which waits for a device.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._closed.is_set():
            try:
                *pictures, tokens, matrix, own, targets = self._queue.get(timeout=1)
            except queue.Empty:
                continue
            told = [torch.from_numpy(each) for each in (tokens, matrix, own, targets)]
            while not self._closed.is_set():
                try:
                    self._ready.put((*pictures, *told), timeout=1)
                    break
                except queue.Full:
                    continue

    def next(self) -> tuple:
        """Returns scene crops, boxes and lone crops (arrays), and as tensors the tokens of the
        captions, the truth matrix, the matrix of own captions and the class targets.

        Raises:
            RuntimeError: The process has failed.
        """
        while True:
            try:
                return self._ready.get(timeout=5)
            except queue.Empty:
                if not all(process.is_alive() for process in self._processes):
                    raise RuntimeError('batches: the process failed; see above') from None

    def close(self) -> None:
        """Ends the processes."""
        self._closed.set()
        self._reader.join()
        for process in self._processes:
            process.terminate()
            process.join()
