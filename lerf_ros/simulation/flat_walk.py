"""A robot's camera on its way through a flat: free floor, places to look from, and the poses.

The robot is a disc with a camera on a mast. It visits the rooms in the order of the plan's tour,
turns about once in each, stops before whatever carries things and looks along it. Then it comes
home, and goes through the rooms again, the last one first, until its time is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from lerf_ros.geometry import Array, look_at
from lerf_ros.simulation.flat_model import wall_boxes
from lerf_ros.simulation.floor_plan import FloorPlan
from lerf_ros.simulation.furnishing import Placed
from lerf_ros.simulation.furniture import TABLE

CELL_M = 0.05
ROBOT_RADIUS_M = 0.22
CAMERA_HEIGHT_M = 1.25
SPEED_M_S = 0.5
TURN_DEG_S = 50.0
# How far from the edge of what it looks at the robot stops.
_STAND_OFF_M = (0.55, 0.7, 0.85, 0.4)
_LOOK_S = 4.0
_AHEAD_M = 1.6


@dataclass(frozen=True)
class Stop:
    """A place to stand, and what to look at from there.

    Attributes:
        place_m: x and y of the robot.
        targets: Points that the camera looks at one after the other, metres.
    """

    place_m: tuple[float, float]
    targets: tuple[tuple[float, float, float], ...]


class FreeFloor:
    """Where the robot can be, and the shortest ways.

    Args:
        plan: Rooms and doors.
        furniture: What stands in the way.
    """

    def __init__(self, plan: FloorPlan, furniture: Sequence[Placed]) -> None:
        columns, rows = (math.ceil(side / CELL_M) for side in plan.size_m)
        blocked = np.zeros((rows, columns), np.uint8)
        for stand in furniture:
            _fill(blocked, stand.footprint)
        for room in plan.rooms:
            for size, centre in wall_boxes(plan, room):
                if centre[2] - size[2] / 2 < 1.0:
                    low, high = centre - size / 2, centre + size / 2
                    _fill(blocked, (low[0], low[1], high[0], high[1]))
        blocked[[0, -1]] = 1
        blocked[:, [0, -1]] = 1
        self._clearance_m = cv2.distanceTransform(1 - blocked, cv2.DIST_L2, 5) * CELL_M
        self._free = self._clearance_m > ROBOT_RADIUS_M
        self._number = np.cumsum(self._free).reshape(self._free.shape) - 1
        self._cells = np.argwhere(self._free)
        self._graph = self._make_graph()

    def _make_graph(self) -> csr_array:
        cost = 1 + 2 * np.exp(-(self._clearance_m - ROBOT_RADIUS_M) / 0.2)
        starts, ends, weights = [], [], []
        for dv, du in ((0, 1), (1, 0), (1, 1), (1, -1)):
            v, u = self._cells.T
            at_v, at_u = v + dv, u + du
            ok = (at_v < self._free.shape[0]) & (at_u >= 0) & (at_u < self._free.shape[1])
            ok[ok] = self._free[at_v[ok], at_u[ok]]
            starts.append(self._number[v[ok], u[ok]])
            ends.append(self._number[at_v[ok], at_u[ok]])
            weights.append(math.hypot(dv, du) * CELL_M * cost[v[ok], u[ok]])
        count = len(self._cells)
        return csr_array(
            (np.concatenate(weights), (np.concatenate(starts), np.concatenate(ends))),
            shape=(count, count),
        )

    def node(self, place_m: tuple[float, float]) -> int:
        """Returns the free cell at a place, -1 where the robot cannot stand."""
        u, v = (int(value / CELL_M) for value in place_m)
        rows, columns = self._free.shape
        inside = 0 <= v < rows and 0 <= u < columns and self._free[v, u]
        return int(self._number[v, u]) if inside else -1

    def nearest(self, place_m: tuple[float, float]) -> tuple[float, float]:
        """Returns the free place nearest to one."""
        v, u = self._cells[
            np.linalg.norm(self._places(np.arange(len(self._cells))) - place_m, axis=1).argmin()
        ]
        return (u + 0.5) * CELL_M, (v + 0.5) * CELL_M

    def way(
        self, start_m: tuple[float, float], goals_m: Sequence[tuple[float, float]]
    ) -> tuple[int, Float[Array, 'n 2']] | None:
        """Returns which of some places is the nearest, and the way there; None without any."""
        start, goals = self.node(start_m), [self.node(goal) for goal in goals_m]
        if start < 0 or not any(goal >= 0 for goal in goals):
            return None
        far_m, before = dijkstra(
            self._graph, directed=False, indices=start, return_predecessors=True, limit=60.0
        )
        lengths = [far_m[goal] if goal >= 0 else np.inf for goal in goals]
        best = int(np.argmin(lengths))
        if not np.isfinite(lengths[best]):
            return None
        nodes = [goals[best]]
        while nodes[-1] != start:
            nodes.append(int(before[nodes[-1]]))
        return best, _smooth(self._places(np.array(nodes[::-1])))

    def _places(self, nodes: Int[Array, ' n']) -> Float[Array, 'n 2']:
        return (self._cells[nodes][:, ::-1] + 0.5) * CELL_M


def stops_of(plan: FloorPlan, floor: FreeFloor, furniture: Sequence[Placed]) -> list[Stop]:
    """Returns where to stand to look at all that carries things in a room."""
    stops = []
    for stand in furniture:
        if not stand.tops:
            continue
        turn, origin = stand.piece_to_world[:2, :2], stand.piece_to_world[:2, 3]
        width, depth = stand.tops[0].size_m if stand.piece is None else stand.piece.size_m
        free_around = stand.piece is None or stand.piece.kind == TABLE
        sides = [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)]
        chosen = 0
        for side in sides if free_around else sides[:1]:
            direction = np.array(side)
            edge_m = abs(side[0]) * width / 2 + abs(side[1]) * depth / 2
            for off_m in _STAND_OFF_M:
                x, y = turn @ (direction * (edge_m + off_m)) + origin
                # Behind a wall there is free floor too.
                if floor.node((x, y)) >= 0 and plan.room_at(x, y) == stand.room:
                    stops.append(Stop((float(x), float(y)), _targets(stand)))
                    chosen += 1
                    break
            if chosen == 2:
                break
    return stops


def _targets(stand: Placed) -> tuple[tuple[float, float, float], ...]:
    """Returns points along each top, boards from the lowest to the highest."""
    targets: list[tuple[float, float, float]] = []
    for number, top in enumerate(sorted(stand.tops, key=lambda top: top.centre_m[2])):
        ends = [-0.3, 0.3] if top.size_m[0] > 0.7 else [0.0]
        for share in ends if number % 2 == 0 else ends[::-1]:
            local = np.array(top.centre_m) + np.array([share * top.size_m[0], 0, 0.05])
            point = stand.piece_to_world[:3, :3] @ local + stand.piece_to_world[:3, 3]
            targets.append((float(point[0]), float(point[1]), float(point[2])))
    return tuple(targets)


def walk(
    plan: FloorPlan,
    furniture: Sequence[Placed],
    seconds: float,
    rate_hz: float,
    rng: np.random.Generator,
) -> Float[Array, 'n 4 4']:
    """Returns ``camera_to_world`` (optical axes) along the walk.

    Args:
        plan: Rooms and doors.
        furniture: Of all rooms.
        seconds: Duration.
        rate_hz: Poses a second.
        rng: Draws the sway of the mast.

    Raises:
        ValueError: There is no room to move.
    """
    floor = FreeFloor(plan, furniture)
    count = round(seconds * rate_hz)
    places, gazes = [], []
    for place, gaze in _motion(plan, floor, furniture, 1 / rate_hz):
        places.append(place)
        gazes.append(gaze)
        if len(places) == count:
            break
    if len(places) < count:
        raise ValueError(f'walk: expected {seconds:g} s of free way, the robot is shut in')
    eyes = np.concatenate([np.array(places), np.full((count, 1), CAMERA_HEIGHT_M)], axis=1)
    phase = rng.uniform(0, 2 * math.pi, 3)
    time_s = np.arange(count) / rate_hz
    for axis, (period_s, size_m) in enumerate(((1.1, 0.006), (1.3, 0.006), (0.55, 0.008))):
        eyes[:, axis] += size_m * np.sin(2 * math.pi * time_s / period_s + phase[axis])
    return _turned(eyes, np.array(gazes), rate_hz)


def _motion(
    plan: FloorPlan, floor: FreeFloor, furniture: Sequence[Placed], step_s: float
) -> Iterator[tuple[tuple[float, float], tuple[float, float, float]]]:
    """Yields place and gaze, step by step, without an end."""
    tour = plan.tour()
    here = floor.nearest(plan.rooms[tour[0]].centre_m)
    stops = {
        room: stops_of(plan, floor, [stand for stand in furniture if stand.room == room])
        for room in tour
    }
    # Home first, then what is left of the time in the rooms it has been to, the last one first.
    home = (tour[0], *tour[:0:-1])
    while True:
        for room in (*tour, *home):
            centre = floor.nearest(plan.rooms[room].centre_m)
            found = floor.way(here, [centre])
            if found is None:
                continue
            yield from _along(found[1], step_s)
            here = centre
            yield from _look_about(here, step_s)
            waiting = list(stops[room])
            while waiting:
                found = floor.way(here, [stop.place_m for stop in waiting])
                if found is None:
                    break
                stop = waiting.pop(found[0])
                yield from _along(found[1], step_s)
                here = stop.place_m
                yield from _look_at(stop, step_s)


def _along(
    way: Float[Array, 'n 2'], step_s: float
) -> Iterator[tuple[tuple[float, float], tuple[float, float, float]]]:
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    for at in np.arange(0, length[-1], SPEED_M_S * step_s):
        x, y = (float(np.interp(at, length, way[:, i])) for i in (0, 1))
        ahead = [float(np.interp(at + _AHEAD_M, length, way[:, i])) for i in (0, 1)]
        reach = math.hypot(ahead[0] - x, ahead[1] - y)
        if reach < 0.3 and len(way) > 1:
            ahead = [x + (way[-1] - way[-2])[0] * 20, y + (way[-1] - way[-2])[1] * 20]
        yield (x, y), (ahead[0], ahead[1], CAMERA_HEIGHT_M - 0.35 * _AHEAD_M)


def _look_about(
    place_m: tuple[float, float], step_s: float
) -> Iterator[tuple[tuple[float, float], tuple[float, float, float]]]:
    for angle in np.arange(0, 2 * math.pi, math.radians(TURN_DEG_S) * step_s):
        x, y = place_m[0] + 2 * math.cos(angle), place_m[1] + 2 * math.sin(angle)
        yield place_m, (x, y, CAMERA_HEIGHT_M - 0.6)


def _look_at(
    stop: Stop, step_s: float
) -> Iterator[tuple[tuple[float, float], tuple[float, float, float]]]:
    targets = np.array(stop.targets)
    seconds = max(_LOOK_S, 1.3 * len(targets))
    for at in np.linspace(0, len(targets) - 1, round(seconds / step_s)):
        x, y, z = (float(np.interp(at, np.arange(len(targets)), targets[:, i])) for i in range(3))
        # The stops before a top are on a line: a small sway shows things from two sides.
        sway = 0.12 * math.sin(2 * math.pi * at / max(len(targets) - 1, 1))
        across = np.array([-(y - stop.place_m[1]), x - stop.place_m[0]])
        across /= max(float(np.linalg.norm(across)), 1e-6)
        yield (
            (stop.place_m[0] + sway * across[0], stop.place_m[1] + sway * across[1]),
            (x, y, z),
        )


def _turned(
    eyes: Float[Array, 'n 3'], gazes: Float[Array, 'n 3'], rate_hz: float
) -> Float[Array, 'n 4 4']:
    """Returns poses that follow the gaze no faster than the robot turns."""
    towards = gazes - eyes
    yaw = np.unwrap(np.arctan2(towards[:, 1], towards[:, 0]))
    pitch = np.arctan2(towards[:, 2], np.linalg.norm(towards[:, :2], axis=1))
    most = math.radians(TURN_DEG_S) / rate_hz
    for values in (yaw, pitch):
        for i in range(1, len(values)):
            turn = values[i] - values[i - 1]
            if values is yaw:
                turn = (turn + math.pi) % (2 * math.pi) - math.pi
            values[i] = values[i - 1] + np.clip(0.5 * turn, -most, most)
    forward = np.stack(
        [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], axis=1
    )
    return np.stack([look_at(eye, eye + ahead) for eye, ahead in zip(eyes, forward, strict=True)])


def _smooth(way: Float[Array, 'n 2']) -> Float[Array, 'n 2']:
    """Rounds the corners of a way on a grid; its ends stay."""
    if len(way) < 5:
        return way
    padded = np.concatenate([np.repeat(way[:1], 4, 0), way, np.repeat(way[-1:], 4, 0)])
    kernel = np.ones(9) / 9
    return np.stack([np.convolve(padded[:, i], kernel, 'valid') for i in (0, 1)], axis=1)


def _fill(
    blocked: UInt8[Array, 'rows cols'], rectangle: tuple[float, float, float, float]
) -> None:
    x0, y0, x1, y1 = (value / CELL_M for value in rectangle)
    rows = slice(max(0, math.floor(y0)), max(0, math.ceil(y1)))
    blocked[rows, max(0, math.floor(x0)) : max(0, math.ceil(x1))] = 1
