"""A furnished flat full of objects, a robot's walk through it, its pictures and its truth.

The world is the frame `map`: metres, z up, the floor is z = 0. A flat is fully determined by its
seed and its options; so is a floor of many rooms, which is the same thing, only larger.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array, PinholeCamera, transform_points
from lerf_ros.simulation import gl
from lerf_ros.simulation.flat_model import build_view, rest
from lerf_ros.simulation.flat_walk import walk
from lerf_ros.simulation.floor_plan import ROOM_AREA_M2, FloorPlan, Room, draw_plan
from lerf_ros.simulation.furnishing import Placed, furnish, load
from lerf_ros.simulation.layout import Item, draw_pairs
from lerf_ros.simulation.packed_rooms import IndexedItem, PackedRooms
from lerf_ros.simulation.renderer import Renderer
from lerf_ros.simulation.sensor import SensorOptions, sense, sense_pose
from lerf_ros.simulation.truth import SceneObject, View, describe

# Models that are kept: the room that the robot is in and the one it came from.
_VIEWS_KEPT = 2
# Objects drawn for a room; those for which there is no place are left out.
_PAIRS_A_ROOM = 24
_BLOCK_OF_PAIRS = 240
_SETTLE_S = 1.0
_ROOM_ATTEMPTS = 12


@dataclass(frozen=True)
class FlatOptions:
    """How a flat is made and drawn.

    Attributes:
        area_m2: Floor area of the whole.
        rooms: Number of rooms; 0 takes one for each 15 square metres.
        width: Width of the pictures, pixels.
        height: Height of the pictures, pixels.
        vertical_fov_deg: Opening angle from top to bottom, degrees.
        samples: Samples per pixel of the colour picture; 0 or 1 switches antialiasing off.
    """

    area_m2: float = 75.0
    rooms: int = 0
    width: int = 640
    height: int = 480
    vertical_fov_deg: float = 48.0
    samples: int = 4

    @property
    def room_count(self) -> int:
        """Number of rooms."""
        return self.rooms or max(1, round(self.area_m2 / ROOM_AREA_M2))


@dataclass(frozen=True, eq=False)
class FlatObject:
    """An object and where in the flat it is.

    Attributes:
        thing: The truth about it, at rest.
        room: Index of its room.
        support: What it stands on, as in 'shelf'.
    """

    obj: SceneObject
    room: int
    support: str


class FlatScene:
    """A flat. Close it, or use it in a ``with`` statement.

    All scenes of a process share one OpenGL context: use them from one thread.

    Args:
        seed: Determines the flat. From `catalogue.HELD_OUT_SEED` on, flats are for final figures
            only; below it they contain no pair of `catalogue.excluded_pairs`.
        options: How it is made and drawn.

    Raises:
        ValueError: The seed is negative or the rooms do not fit.
        OSError: There is no off-screen OpenGL.

    Attributes:
        plan: Rooms and doors.
        furniture: What stands in the rooms.
        objects: What can be asked for, in the order of their indices.
        camera: Intrinsics of the robot's camera.
    """

    def __init__(self, seed: int, options: FlatOptions | None = None) -> None:
        if seed < 0:
            raise ValueError(f'seed: expected 0 or more, got {seed}')
        self.seed = seed
        self.options = options or FlatOptions()
        self.camera = PinholeCamera.from_vertical_fov(
            self.options.width, self.options.height, self.options.vertical_fov_deg
        )
        gl.mujoco_module()
        self.plan: FloorPlan = draw_plan(
            self.options.room_count, self.options.area_m2, self._generator('plan')
        )
        self.furniture: list[Placed] = []
        self._items = PackedRooms()
        objects: list[FlatObject] = []
        for room, pairs in zip(self.plan.rooms, self._draw_pairs(), strict=True):
            furniture = self._furnish(room)
            self.furniture += furniture
            here: list[IndexedItem] = []
            for item, support in self._settled(furniture, pairs, room):
                index = len(objects)
                obj = describe(index, item, item.object_to_world)
                objects.append(FlatObject(obj, room.index, support))
                here.append((index, item))
            self._items.pack(room.index, here)
        self.objects: tuple[FlatObject, ...] = tuple(objects)
        self._views: OrderedDict[int, tuple[Renderer, Array]] = OrderedDict()

    def __enter__(self) -> FlatScene:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the graphics memory; the truth stays readable."""
        while self._views:
            self._views.popitem()[1][0].close()

    def path(self, seconds: float = 480.0, rate_hz: float = 10.0) -> Float[Array, 'n 4 4']:
        """Returns ``camera_to_world`` along the robot's walk."""
        return walk(self.plan, self.furniture, seconds, rate_hz, self._generator('walk'))

    def room_of(self, position_m: Float[Array, '3']) -> int:
        """Returns the index of the room at a place, -1 outside."""
        return self.plan.room_at(float(position_m[0]), float(position_m[1]))

    def render(
        self,
        camera_to_world: Float[Array, '4 4'],
        camera: PinholeCamera | None = None,
        room: int | None = None,
    ) -> View:
        """Returns the perfect picture from a pose.

        Args:
            camera_to_world: The pose.
            camera: The scene's camera if None.
            room: From which room it is seen; the one at the pose if None.
        """
        if room is None:
            room = max(self.room_of(camera_to_world[:3, 3]), 0)
        renderer, table = self._view(room)
        image, depth, geoms = renderer.render(camera or self.camera, camera_to_world)
        labels = table[geoms]  # geom -1, nothing, is the last row
        return View(
            image,
            depth,
            np.ascontiguousarray(labels[..., 0]),
            np.ascontiguousarray(labels[..., 1]),
        )

    def shoot(
        self, true_pose: Float[Array, '4 4'], index: int, stamp_ns: int, sensor: SensorOptions
    ) -> tuple[PosedFrame, View]:
        """Returns what a camera would deliver from a pose, and the perfect picture."""
        view = self.render(true_pose)
        rng = np.random.default_rng([self.seed, 7, index])
        reported = self.reported_pose(true_pose, index, sensor)
        return sense(view, self.camera, reported, stamp_ns, sensor, rng), view

    def reported_pose(
        self, true_pose: Float[Array, '4 4'], index: int, sensor: SensorOptions
    ) -> Float[Array, '4 4']:
        """Returns a pose as the robot's tracker reports it."""
        return sense_pose(true_pose, sensor, np.random.default_rng([self.seed, 8, index]))

    def as_json(self) -> dict[str, Any]:
        """Returns the truth as plain values: rooms, doors, furniture and objects with boxes."""
        return {
            'seed': self.seed,
            'area_m2': self.plan.area_m2,
            'rooms': [
                {'index': room.index, 'name': room.name, 'low_m': room.low_m,
                 'high_m': room.high_m}
                for room in self.plan.rooms
            ],
            'doors': [{'rooms': door.rooms, 'place_m': door.place_m} for door in self.plan.doors],
            'furniture': [
                {'name': stand.name, 'room': stand.room, 'footprint_m': stand.footprint}
                for stand in self.furniture
                if stand.piece is not None
            ],
            'objects': [
                {
                    'index': each.obj.index,
                    'name': each.obj.name,
                    'category': each.obj.category,
                    'colour': each.obj.colour,
                    'room': each.room,
                    'support': each.support,
                    'centre_m': each.obj.surface_centre_world.tolist(),
                    'box_min_m': each.obj.box_min_world.tolist(),
                    'box_max_m': each.obj.box_max_world.tolist(),
                    'box_to_world': each.obj.box_to_world.tolist(),
                    'box_size_m': each.obj.box_size_m.tolist(),
                }
                for each in self.objects
            ],
        }  # fmt: skip

    def _generator(self, purpose: str, *numbers: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *purpose.encode(), *numbers])

    def _draw_pairs(self) -> Iterator[list[tuple[str, str]]]:
        """Yields (colour, category) for each room; none comes twice before many have come."""
        left: list[tuple[str, str]] = []
        for room in self.plan.rooms:
            if len(left) < _PAIRS_A_ROOM:
                rng = self._generator('pairs', room.index)
                left = draw_pairs(self.seed, _BLOCK_OF_PAIRS, rng)
                rng.shuffle(left)
            pairs, left = left[:_PAIRS_A_ROOM], left[_PAIRS_A_ROOM:]
            yield [(str(colour), str(category)) for colour, category in pairs]

    def _furnish(self, room: Room) -> list[Placed]:
        """Returns the furniture of the attempt with the most room for things."""
        attempts = [
            furnish(self.plan, room, self._generator('furniture', room.index, attempt))
            for attempt in range(_ROOM_ATTEMPTS)
        ]
        return max(attempts, key=lambda furniture: sum(len(stand.tops) > 0 for stand in furniture))

    def _settled(
        self, furniture: list[Placed], pairs: list[tuple[str, str]], room: Room
    ) -> Iterator[tuple[Item, str]]:
        """Yields the objects of a room at rest; what falls off something is left out."""
        loaded = load(furniture, pairs, self._generator('load', room.index))
        poses = rest(furniture, [item for item, _ in loaded], _SETTLE_S)
        for (item, support), pose in zip(loaded, poses, strict=True):
            moved_m = np.linalg.norm(pose[:3, 3] - item.object_to_world[:3, 3])
            lowest = _lowest_m(item, item.object_to_world) - _lowest_m(item, pose)
            if moved_m < 0.15 and abs(lowest) < 0.02:
                yield replace(item, object_to_world=pose), support

    def _view(self, room: int) -> tuple[Renderer, Array]:
        if room in self._views:
            self._views.move_to_end(room)
            return self._views[room]
        while len(self._views) >= _VIEWS_KEPT:
            self._views.popitem(last=False)[1][0].close()
        full = {room, *self.plan.neighbours(room)}
        bare = {other for near in full for other in self.plan.neighbours(near)}
        items = self._items.unpack(full)
        model, geoms = build_view(
            self.plan, bare, full, self.furniture, items, self.seed, self.options.samples
        )
        data = gl.mujoco_module().MjData(model)
        gl.mujoco_module().mj_forward(model, data)
        table = np.full((model.ngeom + 1, 2), -1, dtype=np.int16)
        for geom, label in geoms.items():
            table[geom] = label
        self._views[room] = Renderer(model, data, self.camera), table
        return self._views[room]


def _lowest_m(item: Item, pose: Float[Array, '4 4']) -> float:
    points = np.concatenate([part.mesh.vertices for part in item.parts])
    return float(transform_points(pose, points)[:, 2].min())
