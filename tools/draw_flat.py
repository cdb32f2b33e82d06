#!/usr/bin/env python3
"""Draws a simulated flat: from above with the robot's way, and what its camera sees.

    python tools/draw_flat.py --seed 1 --top top.png --sheet sheet.png --truth truth.json

Look at it after any change to rooms, furniture, lights or the walk.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from lerf_ros.drawing.floor_plans import BLOCKS, CARRIES, WALL, WRONG, FloorPlanPicture
from lerf_ros.geometry import Array
from lerf_ros.simulation.flat import FlatOptions, FlatScene


def from_above(scene: FlatScene, path: Array) -> Array:
    """Returns rooms, furniture, objects and the way."""
    picture = FloorPlanPicture(scene.plan.size_m)
    for stand in scene.furniture:
        picture.rectangle(stand.footprint, CARRIES if stand.tops else BLOCKS, stand.name)
    for room in scene.plan.rooms:
        picture.rectangle((*room.low_m, *room.high_m), WALL, room.name, False, 3)
    picture.dots((door.place_m for door in scene.plan.doors), (255, 255, 255), 10)
    picture.dots((each.obj.surface_centre_world for each in scene.objects), WRONG, 3)
    picture.way(path[:, :2, 3])
    return picture.image


def sheet(scene: FlatScene, path: Array, rows: int, columns: int) -> Array:
    """Returns pictures at even times."""
    chosen = np.linspace(0, len(path) - 1, rows * columns).astype(int)
    pictures = [scene.render(path[i]).image for i in chosen]
    half = (scene.camera.width // 2, scene.camera.height // 2)
    small = [cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in pictures]
    lines = [np.concatenate(small[i : i + columns], 1) for i in range(0, len(small), columns)]
    return np.concatenate(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--area', type=float, default=75.0, help='square metres (%(default)s)')
    parser.add_argument('--seconds', type=float, default=480.0, help='of the walk (%(default)s)')
    parser.add_argument('--top', type=Path, help='picture from above')
    parser.add_argument('--sheet', type=Path, help='what the camera sees')
    parser.add_argument('--truth', type=Path, help='rooms, furniture and objects as JSON')
    arguments = parser.parse_args()
    with FlatScene(arguments.seed, FlatOptions(area_m2=arguments.area)) as scene:
        path = scene.path(arguments.seconds)
        if arguments.top:
            cv2.imwrite(str(arguments.top), from_above(scene, path)[..., ::-1])
        if arguments.sheet:
            cv2.imwrite(str(arguments.sheet), sheet(scene, path, 4, 6)[..., ::-1])
        if arguments.truth:
            arguments.truth.write_text(json.dumps(scene.as_json(), indent=1), encoding='utf-8')


if __name__ == '__main__':
    main()
