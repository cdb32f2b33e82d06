"""MuJoCo models of a flat: one in which the objects of a room come to rest, one to be seen.

What is seen from a room is a model of its own: the room with those behind its doors, and the bare
rooms behind these. So a floor of any size is drawn at the cost of a few rooms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import Array
from lerf_ros.simulation import gl
from lerf_ros.simulation.floor_plan import (
    DOOR_HEIGHT_M,
    DOOR_WIDTH_M,
    WALL_HEIGHT_M,
    WALL_M,
    FloorPlan,
    Room,
)
from lerf_ros.simulation.furnishing import Placed
from lerf_ros.simulation.layout import Item
from lerf_ros.simulation.model import add_item, add_surface, ground, settle
from lerf_ros.simulation.packed_rooms import IndexedItem
from lerf_ros.simulation.shapes import box, joined

FAR_M = 16.0
_TOP_M = 0.03
_FRICTION = (0.9, 0.02, 0.004)


def rest(
    furniture: Sequence[Placed], items: Sequence[Item], seconds: float
) -> list[Float[Array, '4 4']]:
    """Lets the objects of a room come to rest; returns their poses.

    Args:
        furniture: Furniture of the room.
        items: What was put on it.
        seconds: Simulated time.
    """
    mujoco = gl.mujoco_module()
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.004
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    solid = {'condim': 6, 'friction': list(_FRICTION)}
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[100, 100, 0.1], **solid)
    for stand in furniture:
        for top in stand.tops:
            if top.centre_m[2] <= 0:
                continue
            pose = stand.piece_to_world
            centre = pose[:3, :3] @ np.array(top.centre_m) + pose[:3, 3]
            size = np.abs(pose[:3, :3]) @ np.array([*top.size_m, _TOP_M]) / 2
            spec.worldbody.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=centre - [0, 0, _TOP_M / 2],
                size=size,
                **solid,
            )
    rng = np.random.default_rng(0)
    for index, item in enumerate(items):
        add_item(spec, item, index, {}, rng)
    model = spec.compile()
    data = mujoco.MjData(model)
    settle(model, data, seconds)
    poses = []
    for index in range(len(items)):
        body = data.body(f'object{index}')
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = body.xmat.reshape(3, 3), body.xpos
        poses.append(pose)
    return poses


def build_view(
    plan: FloorPlan,
    bare: Iterable[int],
    full: Iterable[int],
    furniture: Sequence[Placed],
    items: Sequence[IndexedItem],
    seed: int,
    samples: int,
) -> tuple[Any, dict[int, tuple[int, int]]]:
    """Compiles what is to be seen of some rooms.

    Args:
        plan: The rooms.
        bare: Rooms of which walls, floor and furniture are seen.
        full: Rooms of which the objects are seen too.
        furniture: Of the whole floor.
        items: (index, object at rest) of those rooms.
        seed: Of the flat: materials are the same in every model.
        samples: Samples per pixel of the colour picture.

    Returns:
        The model, and (object, part) of each geom that shows a part.
    """
    mujoco = gl.mujoco_module()
    spec = mujoco.MjSpec()
    spec.stat.extent = 1.0
    spec.stat.center = [0.0, 0.0, 0.0]
    spec.visual.quality.offsamples = samples
    spec.visual.quality.shadowsize = 0
    spec.visual.map.znear = 0.03
    spec.visual.map.zfar = FAR_M
    _add_lights(spec, np.random.default_rng([seed, 3]))
    bare, full = set(bare), set(full)
    for number in sorted(bare | full):
        _add_shell(spec, plan, plan.rooms[number], np.random.default_rng([seed, 4, number]))
    for number, stand in enumerate(furniture):
        if stand.piece is not None and stand.room in bare | full:
            rng = np.random.default_rng([seed, 5, number])
            for i, (mesh, kind) in enumerate(stand.piece.meshes):
                vertices = mesh.vertices @ stand.piece_to_world[:3, :3].T
                shown = replace(mesh, vertices=vertices + stand.piece_to_world[:3, 3])
                add_surface(
                    spec,
                    f'piece{number}_{i}',
                    shown,
                    ground(kind, rng),
                    rng.uniform(0.4, 0.9),
                    rng,
                )
    names: dict[str, tuple[int, int]] = {}
    for index, item in items:
        add_item(spec, item, index, names, np.random.default_rng([seed, 6, index]), False)
    model = spec.compile()
    return model, {model.geom(name).id: place for name, place in names.items()}


def wall_boxes(plan: FloorPlan, room: Room) -> list[tuple[Array, Array]]:
    """Returns size and centre of the boxes that a room's own side of its walls is made of."""
    (x0, y0), (x1, y1) = room.low_m, room.high_m
    sides = (
        (0, x0, x0 + WALL_M / 2, y0, y1),
        (0, x1, x1 - WALL_M / 2, y0, y1),
        (1, y0, y0 + WALL_M / 2, x0, x1),
        (1, y1, y1 - WALL_M / 2, x0, x1),
    )
    boxes = []
    for axis, at, middle, low, high in sides:
        doors = sorted(
            door.middle_m
            for door in plan.doors
            if room.index in door.rooms and door.axis == axis and abs(door.at_m - at) < 1e-6
        )
        start = low
        for door_m in doors:
            boxes.append((axis, middle, start, door_m - DOOR_WIDTH_M / 2, 0.0, WALL_HEIGHT_M))
            boxes.append((axis, middle, door_m - DOOR_WIDTH_M / 2, door_m + DOOR_WIDTH_M / 2,
                          DOOR_HEIGHT_M, WALL_HEIGHT_M))  # fmt: skip
            start = door_m + DOOR_WIDTH_M / 2
        boxes.append((axis, middle, start, high, 0.0, WALL_HEIGHT_M))
    result = []
    for axis, middle, low, high, floor, ceiling in boxes:
        size = np.array([WALL_M, high - low, ceiling - floor])
        centre = np.array([middle, (low + high) / 2, (floor + ceiling) / 2])
        if axis == 1:
            size[:2], centre[:2] = size[1::-1].copy(), centre[1::-1].copy()
        result.append((size, centre))
    return result


def _add_shell(spec: Any, plan: FloorPlan, room: Room, rng: np.random.Generator) -> None:
    """Adds the floor and the walls of a room."""
    floor = ground(str(rng.choice(['wood', 'tiles', 'stone', 'plain'])), rng)
    width, depth = np.subtract(room.high_m, room.low_m)
    slab = box((width, depth, 0.02), (*room.centre_m, -0.01))
    add_surface(spec, f'floor{room.index}', slab, floor, 1.2, rng)
    wall = ground(str(rng.choice(['plain', 'plain', 'stone'])), rng)
    walls = joined(
        *(box(size.tolist(), centre.tolist()) for size, centre in wall_boxes(plan, room))
    )
    add_surface(spec, f'wall{room.index}', walls, wall, 1.5, rng)


def _add_lights(spec: Any, rng: np.random.Generator) -> None:
    """Adds daylight from two sides without shadows: walls would cast them over everything."""
    mujoco = gl.mujoco_module()
    spec.visual.headlight.ambient = [float(rng.uniform(0.34, 0.44))] * 3
    spec.visual.headlight.diffuse = [0.0] * 3
    spec.visual.headlight.specular = [0.0] * 3
    warmth = rng.uniform(-0.05, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    azimuth = rng.uniform(0, 2 * math.pi)
    for turn, power in ((azimuth, 0.55), (azimuth + rng.uniform(1.8, 4.4), 0.2)):
        rise = math.radians(rng.uniform(45, 70))
        towards = np.array(
            [math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise)]
        )
        light = spec.worldbody.add_light(
            pos=1.8 * towards,
            dir=-towards,
            castshadow=False,
            diffuse=power * tint,
            specular=[0.35 * power] * 3,
            ambient=[0.0] * 3,
        )
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
