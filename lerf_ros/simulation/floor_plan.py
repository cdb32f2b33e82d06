"""Rooms in a rectangle and the doors between them.

The plan is cut by straight walls, the largest room first, until there are enough rooms. World
frame: metres, the floor is z = 0, the lower left corner of the plan is the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

WALL_M = 0.06  # thickness of each room's own side of a wall
WALL_HEIGHT_M = 2.6
DOOR_WIDTH_M = 1.0
DOOR_HEIGHT_M = 2.05
ROOM_AREA_M2 = 15.0
_LEAST_SIDE_M = 2.7
_ATTEMPTS = 200
# Shared wall beside a door's opening.
_JAMB_M = 0.2
KINDS = ('living room', 'kitchen', 'bedroom', 'study', 'workshop', 'nursery', 'dining room')


@dataclass(frozen=True)
class Room:
    """A room, from the middle of its walls.

    Attributes:
        index: Number of the room, 0 is where the robot lives.
        name: What to call it, as in 'kitchen'; numbered where a kind comes twice.
        kind: One of `KINDS`.
        low_m: Least x and y.
        high_m: Greatest x and y.
    """

    index: int
    name: str
    kind: str
    low_m: tuple[float, float]
    high_m: tuple[float, float]

    @property
    def area_m2(self) -> float:
        """Floor area."""
        return (self.high_m[0] - self.low_m[0]) * (self.high_m[1] - self.low_m[1])

    @property
    def centre_m(self) -> tuple[float, float]:
        """Middle of the floor."""
        return (self.low_m[0] + self.high_m[0]) / 2, (self.low_m[1] + self.high_m[1]) / 2

    def holds(self, x_m: float, y_m: float) -> bool:
        """Tells whether a place on the floor belongs to the room; every place to one only."""
        inside = self.low_m[0] <= x_m < self.high_m[0] and self.low_m[1] <= y_m < self.high_m[1]
        return bool(inside)


@dataclass(frozen=True)
class Door:
    """An opening in the wall that two rooms share.

    Attributes:
        rooms: Indices of the two rooms.
        axis: 0 where the wall stands at one x, 1 where it stands at one y.
        at_m: That x or y.
        middle_m: Where the middle of the opening is along the wall.
    """

    rooms: tuple[int, int]
    axis: int
    at_m: float
    middle_m: float

    @property
    def place_m(self) -> tuple[float, float]:
        """Middle of the threshold."""
        return (self.at_m, self.middle_m) if self.axis == 0 else (self.middle_m, self.at_m)

    def other(self, room: int) -> int:
        """Returns the room on the other side."""
        return self.rooms[1] if room == self.rooms[0] else self.rooms[0]


@dataclass(frozen=True)
class FloorPlan:
    """Rooms and doors; every room can be reached.

    Attributes:
        rooms: In the order of their indices.
        doors: A tree over the rooms, and a few more.
        size_m: Width (x) and depth (y) of the whole.
    """

    rooms: tuple[Room, ...]
    doors: tuple[Door, ...]
    size_m: tuple[float, float]

    @property
    def area_m2(self) -> float:
        """Floor area."""
        return self.size_m[0] * self.size_m[1]

    def room_at(self, x_m: float, y_m: float) -> int:
        """Returns the index of the room at a place, -1 outside."""
        for room in self.rooms:
            if room.holds(x_m, y_m):
                return room.index
        return -1

    def neighbours(self, room: int) -> list[int]:
        """Returns the rooms behind a room's doors."""
        return sorted({door.other(room) for door in self.doors if room in door.rooms})

    def tour(self) -> list[int]:
        """Returns all rooms in an order in which most lie behind a door of the one before."""
        order, waiting = [], [0]
        while waiting:
            room = waiting.pop()
            if room in order:
                continue
            order.append(room)
            waiting += [other for other in self.neighbours(room) if other not in order]
        return order


def draw_plan(rooms: int, area_m2: float, rng: np.random.Generator) -> FloorPlan:
    """Returns a random plan.

    Args:
        rooms: Number of rooms.
        area_m2: Floor area.
        rng: Draws shape, walls, doors and kinds.

    Raises:
        ValueError: The rooms would be too small to stand in.
    """
    if rooms < 1 or area_m2 / rooms < _LEAST_SIDE_M**2 * 1.3:
        raise ValueError(
            f'plan: expected at least {_LEAST_SIDE_M**2 * 1.3:.1f} m2 a room, got '
            f'{rooms} rooms on {area_m2:g} m2'
        )
    for _ in range(_ATTEMPTS):
        width_m = math.sqrt(area_m2 * rng.uniform(1.0, 1.5))
        size_m = width_m, area_m2 / width_m
        cells = _cut(size_m, rooms, rng)
        if cells is None:
            continue
        doors = _draw_doors(cells, rng)
        if doors is not None:
            return FloorPlan(tuple(_named(cells, rng)), tuple(doors), size_m)
    raise ValueError(f'plan: expected rooms that fit, got {rooms} on {area_m2:g} m2')


Cell = tuple[float, float, float, float]  # low x, low y, high x, high y


def _cut(size_m: tuple[float, float], rooms: int, rng: np.random.Generator) -> list[Cell] | None:
    cells: list[Cell] = [(0.0, 0.0, *size_m)]
    while len(cells) < rooms:
        largest = max(range(len(cells)), key=lambda i: _area(cells[i]))
        x0, y0, x1, y1 = cells.pop(largest)
        axis = 0 if x1 - x0 > y1 - y0 else 1
        low, high = ((x0, x1), (y0, y1))[axis]
        if high - low < 2 * _LEAST_SIDE_M:
            return None
        at = float(np.clip(low + (high - low) * rng.uniform(0.38, 0.62),
                           low + _LEAST_SIDE_M, high - _LEAST_SIDE_M))  # fmt: skip
        if axis == 0:
            cells += [(x0, y0, at, y1), (at, y0, x1, y1)]
        else:
            cells += [(x0, y0, x1, at), (x0, at, x1, y1)]
    return cells


def _area(cell: Cell) -> float:
    return (cell[2] - cell[0]) * (cell[3] - cell[1])


def _named(cells: list[Cell], rng: np.random.Generator) -> list[Room]:
    rooms, used = [], dict.fromkeys(KINDS, 0)
    # Every kind once before any comes again.
    kinds: list[str] = []
    while len(kinds) < len(cells):
        kinds += [str(kind) for kind in rng.permutation(KINDS)]
    for index, (cell, kind) in enumerate(zip(cells, kinds, strict=False)):
        used[kind] += 1
        name = kind if used[kind] == 1 else f'{kind} {used[kind]}'
        rooms.append(Room(index, name, kind, cell[:2], cell[2:]))
    return rooms


def _draw_doors(cells: list[Cell], rng: np.random.Generator) -> list[Door] | None:
    """Joins all rooms by a random tree, and one pair in five of those left."""
    found = []
    for i, a in enumerate(cells):
        for j in range(i + 1, len(cells)):
            wall = _shared(a, cells[j])
            if wall is not None:
                found.append(((i, j), *wall))
    group = list(range(len(cells)))
    doors = []
    for index in rng.permutation(len(found)):
        (i, j), axis, at, low, high = found[index]
        joined = group[i] == group[j]
        if joined and rng.random() > 0.2:
            continue
        group = [group[i] if g == group[j] else g for g in group]
        reach = DOOR_WIDTH_M / 2 + _JAMB_M
        doors.append(Door((i, j), axis, at, float(rng.uniform(low + reach, high - reach))))
    return doors if len(set(group)) == 1 else None


def _shared(a: Cell, b: Cell) -> tuple[int, float, float, float] | None:
    """Returns the axis and place of the wall two rooms share, and its two ends."""
    for axis in (0, 1):
        along = 1 - axis
        low = max(a[along], b[along])
        high = min(a[along + 2], b[along + 2])
        if high - low < DOOR_WIDTH_M + 2 * _JAMB_M + 0.1:
            continue
        for first, second in ((a, b), (b, a)):
            if abs(first[axis + 2] - second[axis]) < 1e-9:
                return axis, second[axis], low, high
    return None
