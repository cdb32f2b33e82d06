"""Which furniture stands where in a room, and which objects it carries, before physics.

World frame of the flat: metres, the floor is z = 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import Array
from lerf_ros.simulation.floor_plan import DOOR_WIDTH_M, WALL_M, FloorPlan, Room
from lerf_ros.simulation.furniture import BLOCK, FURNISHING, TABLE, Piece, Top
from lerf_ros.simulation.layout import Ground, Item, place
from lerf_ros.simulation.shapes import axis_rotation

Rectangle = tuple[float, float, float, float]  # low x, low y, high x, high y

# Free floor before what stands against a wall, and around a table.
_FRONT_M = 0.95
_AROUND_M = 0.75
_DOOR_CLEAR_M = 1.0
_ATTEMPTS = 80
_FLOOR_PATCH_M = 0.5
_GAP_M = 0.03
# Objects a square metre of top, and bounds for one top.
_OBJECTS_PER_M2 = 7.0
_LEAST_ON_A_TOP, _MOST_ON_A_TOP = 2, 6


@dataclass(frozen=True, eq=False)
class Placed:
    """A piece of furniture in its place.

    Attributes:
        piece: The piece; None for a patch of bare floor that carries things.
        name: Noun of the piece, or 'floor'.
        room: Index of the room.
        piece_to_world: Its pose.
        tops: What can carry things.
        footprint: The floor that it takes.
    """

    piece: Piece | None
    name: str
    room: int
    piece_to_world: Float[Array, '4 4']
    tops: tuple[Top, ...]
    footprint: Rectangle


def furnish(plan: FloorPlan, room: Room, rng: np.random.Generator) -> list[Placed]:
    """Returns the furniture of a room; what finds no place is left out."""
    placed: list[Placed] = []
    taken: list[Rectangle] = list(_door_zones(plan, room))  # no furniture may stand there
    walkways: list[Rectangle] = []
    for make in FURNISHING[room.kind]:
        piece = make(rng)
        for _ in range(_ATTEMPTS):
            pose = _draw_pose(piece, room, rng)
            body = _footprint(pose, piece.size_m)
            free = _free_zone(pose, piece)
            if (
                _inside(body, room)
                and not any(_overlap(body, other) for other in taken + walkways)
                and not any(_overlap(free, other.footprint) for other in placed)
            ):
                placed.append(Placed(piece, piece.name, room.index, pose, piece.tops, body))
                taken.append(body)
                if piece.tops:
                    walkways.append(free)
                break
    patch = Top((_FLOOR_PATCH_M, _FLOOR_PATCH_M), (0.0, 0.0, 0.0), 1.5)
    for _ in range(2 * _ATTEMPTS):
        pose = _pose(*_anywhere(room, _FLOOR_PATCH_M / 2 + 0.05, rng), 0)
        body = _footprint(pose, patch.size_m)
        if not any(_overlap(body, other) for other in taken):
            placed.append(Placed(None, 'floor', room.index, pose, (patch,), body))
            break
    return placed


def load(
    furniture: list[Placed], pairs: list[tuple[str, str]], rng: np.random.Generator
) -> list[tuple[Item, str]]:
    """Puts objects on furniture; what finds no room stays out.

    Args:
        furniture: Furniture of one room.
        pairs: (colour, category) of the objects, to be used from the front.
        rng: Draws how many stand where.

    Returns:
        The objects, each where it is dropped, with the name of what carries it.
    """
    left = list(pairs)
    loaded: list[tuple[Item, str]] = []
    for stand in furniture:
        for top in stand.tops:
            area = top.size_m[0] * top.size_m[1]
            wanted = int(
                np.clip(rng.poisson(_OBJECTS_PER_M2 * area), _LEAST_ON_A_TOP, _MOST_ON_A_TOP)
            )
            wanted = min(wanted, len(left))
            if wanted == 0:
                return loaded
            half_x, half_y = top.size_m[0] / 2, top.size_m[1] / 2
            ground = Ground(top.size_m, (0.85 * half_x, 0.8 * half_y), top.clear_m)
            items = place(left[:wanted], _GAP_M, False, rng, ground)
            top_to_world = stand.piece_to_world.copy()
            top_to_world[:3, 3] += stand.piece_to_world[:3, :3] @ np.array(top.centre_m)
            for item in items:
                left.remove((item.colour, item.category))
                pose = top_to_world @ item.object_to_world
                moved = Item(item.category, item.colour, item.texture, item.rgb, item.parts, pose)
                loaded.append((moved, stand.name))
    return loaded


def _draw_pose(piece: Piece, room: Room, rng: np.random.Generator) -> Float[Array, '4 4']:
    """Returns a pose against a wall, or anywhere for what is free on all sides."""
    (x0, y0), (x1, y1) = room.low_m, room.high_m
    width, depth = piece.size_m
    if piece.kind == TABLE:
        return _pose(*_anywhere(room, min(width, depth) / 2, rng), int(rng.integers(4)))
    turns = int(rng.integers(4))
    inset = WALL_M + 0.01 + depth / 2
    if turns % 2 == 0:
        x = _between(x0 + width / 2 + WALL_M, x1 - width / 2 - WALL_M, rng)
        return _pose(x, y0 + inset if turns == 0 else y1 - inset, turns)
    y = _between(y0 + width / 2 + WALL_M, y1 - width / 2 - WALL_M, rng)
    return _pose(x1 - inset if turns == 1 else x0 + inset, y, turns)


def _anywhere(room: Room, margin_m: float, rng: np.random.Generator) -> tuple[float, float]:
    (x0, y0), (x1, y1) = room.low_m, room.high_m
    margin = margin_m + WALL_M
    return _between(x0 + margin, x1 - margin, rng), _between(y0 + margin, y1 - margin, rng)


def _between(low: float, high: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(low, high)) if low < high else (low + high) / 2


def _pose(x_m: float, y_m: float, turns: int) -> Float[Array, '4 4']:
    pose = np.eye(4)
    # Quarter turns, exact: footprints stay along the axes.
    pose[:3, :3] = np.round(axis_rotation('z', 90.0 * turns))
    pose[:2, 3] = x_m, y_m
    return pose


def _footprint(pose: Float[Array, '4 4'], size_m: tuple[float, float]) -> Rectangle:
    half = np.abs(pose[:2, :2]) @ np.array(size_m) / 2
    low, high = pose[:2, 3] - half, pose[:2, 3] + half
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _free_zone(pose: Float[Array, '4 4'], piece: Piece) -> Rectangle:
    """Returns the floor that must stay free: around a table, before what stands at a wall."""
    body = _footprint(pose, piece.size_m)
    if piece.kind == TABLE:
        return _grown(body, _AROUND_M)
    if piece.kind == BLOCK:
        return body
    front = pose.copy()
    front[:2, 3] += pose[:2, 1] * (piece.size_m[1] + _FRONT_M) / 2
    return _footprint(front, (piece.size_m[0], _FRONT_M))


def _door_zones(plan: FloorPlan, room: Room) -> Iterator[Rectangle]:
    for door in plan.doors:
        if room.index in door.rooms:
            x, y = door.place_m
            along, across = DOOR_WIDTH_M / 2 + 0.1, _DOOR_CLEAR_M
            half = (across, along) if door.axis == 0 else (along, across)
            yield x - half[0], y - half[1], x + half[0], y + half[1]


def _inside(body: Rectangle, room: Room) -> bool:
    return (
        body[0] >= room.low_m[0] + WALL_M
        and body[1] >= room.low_m[1] + WALL_M
        and body[2] <= room.high_m[0] - WALL_M
        and body[3] <= room.high_m[1] - WALL_M
    )


def _grown(body: Rectangle, by_m: float) -> Rectangle:
    return body[0] - by_m, body[1] - by_m, body[2] + by_m, body[3] + by_m


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
