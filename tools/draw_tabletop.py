#!/usr/bin/env python3
"""Draws a contact sheet of simulated scenes: picture, named objects, parts and depth.

    python tools/draw_tabletop.py tabletop.png

Each row is one scene. Look at it after any change to shapes, lights or colours.
"""

from __future__ import annotations

import argparse
import colorsys
import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lerf_ros.geometry import Array
from lerf_ros.simulation import (
    HELD_OUT_SEED,
    WORLDS,
    SensorOptions,
    TabletopOptions,
    TabletopScene,
    View,
)
from lerf_ros.simulation.sensor import sense_colour, sense_depth

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_NAME_SIZE = 0.4
_FAR_M = 1.6


def tint(image: Array, labels: Array) -> Array:
    """Returns a grey copy of the picture with each label >= 0 in a colour of its own."""
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    # Steps of the golden ratio keep the hues of neighbouring labels apart.
    hues = [colorsys.hsv_to_rgb((0.618 * i) % 1, 0.85, 1.0) for i in range(labels.max() + 2)]
    colours = 255 * np.array(hues)
    mixed = np.where((labels >= 0)[..., None], 0.45 * grey + 0.55 * colours[labels], 0.6 * grey)
    return mixed.astype(np.uint8)


def label(picture: Array, scene: TabletopScene, view: View) -> None:
    """Writes the name of each object onto what is seen of it, in place; no name covers another."""
    places = {}
    for item in scene.objects:
        v, u = np.nonzero(view.objects == item.index)
        if len(u):
            places[item.name] = float(np.median(u)), float(np.median(v))
    taken: list[tuple[int, int, int]] = []
    for name, (u_px, v_px) in sorted(places.items(), key=lambda place: place[1][1]):
        (width, height), _ = cv2.getTextSize(name, _FONT, _NAME_SIZE, 1)
        line_px = height + 4
        left = int(np.clip(u_px - width / 2, 0, max(scene.camera.width - width, 0)))
        base = int(v_px) + height // 2
        # Names are taken from above to below, so that they give way downwards.
        for first, last, other in sorted(taken, key=lambda each: each[2]):
            if left < last and first < left + width and abs(base - other) < line_px:
                base = other + line_px
        taken.append((left, left + width, base))
        at = (left, base)
        cv2.putText(picture, name, at, _FONT, _NAME_SIZE, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, name, at, _FONT, _NAME_SIZE, (255, 255, 255), 1, cv2.LINE_AA)


def draw_scene(seed: int, options: TabletopOptions, kind: str) -> Array:
    """Returns one row of the sheet."""
    with TabletopScene(seed, options) as scene:
        pose = scene.path(kind, seconds=4, rate_hz=5)[10]
        view = scene.render(pose)
        rng = np.random.default_rng(seed)
        noisy = sense_colour(view.image, SensorOptions(), rng)
        depth = sense_depth(view.depth, SensorOptions(), rng)
        named = tint(view.image, view.objects)
        label(named, scene, view)
        part_ids = np.where(view.objects >= 0, 5 * view.objects + view.parts, -1)
        near = np.nan_to_num(255 * (1 - depth / _FAR_M), nan=0.0).clip(0, 255)
        shown_depth = np.repeat(near[..., None], 3, axis=-1).astype(np.uint8)
        return np.hstack([noisy, named, tint(view.image, part_ids), shown_depth])


def main() -> None:
    """Parses the arguments and writes the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('output', type=Path, help='PNG file to write')
    parser.add_argument('--first-seed', type=int, default=9000, help='first scene (9000)')
    parser.add_argument('--scenes', type=int, default=10, help='number of scenes')
    parser.add_argument('--kind', default='orbit', help='path the views are taken from')
    parser.add_argument(
        '--world', default='usual', choices=tuple(WORLDS), help='table (%(default)s)'
    )
    parser.add_argument('--width', type=int, default=400, help='width of each picture, pixels')
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    if arguments.first_seed + arguments.scenes > HELD_OUT_SEED:
        logging.warning('seeds from %d on are for evaluation, not for tuning', HELD_OUT_SEED)
    options = replace(
        WORLDS[arguments.world], width=arguments.width, height=arguments.width * 3 // 4
    )
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
    sheet = np.vstack([draw_scene(seed, options, arguments.kind) for seed in seeds])
    if not cv2.imwrite(str(arguments.output), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise OSError(f'output: cannot write {arguments.output}')
    logging.info('%s: %d scenes', arguments.output, arguments.scenes)


if __name__ == '__main__':
    main()
