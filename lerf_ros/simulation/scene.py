"""A random table of objects that physics has brought to rest, with its pictures and its truth.

The world is the frame `map`: metres, z up, the centre of the table top at the origin. A scene is
fully determined by its seed and its options.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array, PinholeCamera, transform_points
from lerf_ros.simulation import gl
from lerf_ros.simulation.catalogue import CATEGORIES, COLOURS, HELD_OUT_SEED, excluded_pairs
from lerf_ros.simulation.layout import TABLE_SIZE_M, Item, draw_pairs, place
from lerf_ros.simulation.model import build_model, settle
from lerf_ros.simulation.paths import camera_path
from lerf_ros.simulation.renderer import Renderer
from lerf_ros.simulation.sensor import SensorOptions, sense, sense_pose
from lerf_ros.simulation.truth import SceneObject, View, describe

_LAYOUT_ATTEMPTS = 20
MOST_OBJECTS = 40


@dataclass(frozen=True)
class TabletopOptions:
    """How a scene is made and drawn.

    Attributes:
        width: Width of the pictures, pixels.
        height: Height of the pictures, pixels.
        vertical_fov_deg: Opening angle from top to bottom, degrees.
        min_objects: Least number of objects, when they are drawn at random.
        max_objects: Greatest number of objects, when they are drawn at random.
        objects: (colour, category) of each object; empty draws them at random.
        min_gap_m: Least free distance between two objects as they are placed, metres.
        stacked_share: Share of the objects that are dropped onto others.
        alike: Number of objects that have a twin or two, of the same colour and category.
        size_m: Least and greatest mean of an object's two longer sides, metres; None leaves
            objects as large as they are.
        samples: Samples per pixel of the colour picture; 0 or 1 switches antialiasing off.
        shadow_size: Side of the shadow map, pixels.
        settle_s: Simulated time in which the objects come to rest, seconds.
    """

    width: int = 320
    height: int = 240
    vertical_fov_deg: float = 48.0
    min_objects: int = 6
    max_objects: int = 14
    objects: tuple[tuple[str, str], ...] = ()
    min_gap_m: float = 0.025
    stacked_share: float = 0.0
    alike: int = 0
    size_m: tuple[float, float] | None = None
    samples: int = 4
    shadow_size: int = 1536
    settle_s: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_objects <= self.max_objects <= MOST_OBJECTS:
            raise ValueError(
                f'objects: expected 1 <= min_objects <= max_objects <= {MOST_OBJECTS}, '
                f'got {self.min_objects} and {self.max_objects}'
            )
        for colour, category in self.objects:
            if colour not in COLOURS or category not in CATEGORIES:
                raise ValueError(
                    f'objects: expected a known colour and category, got {(colour, category)}'
                )


class TabletopScene:
    """A table with objects at rest. Close it, or use it in a ``with`` statement.

    All scenes of a process share one OpenGL context: use them from one thread.

    Args:
        seed: Determines the scene. From `catalogue.HELD_OUT_SEED` on, scenes are for evaluation
            only; below it they contain no pair of `catalogue.excluded_pairs`.
        options: How it is made and drawn.

    Raises:
        ValueError: The seed is negative, or the options ask for an excluded pair, for two objects
            alike, or for more than fits on the table.
        OSError: There is no off-screen OpenGL.
        RuntimeError: Nothing would come to rest on the table.
    """

    def __init__(self, seed: int, options: TabletopOptions | None = None) -> None:
        if seed < 0:
            raise ValueError(f'seed: expected 0 or more, got {seed}')
        self.seed = seed
        self.options = options or TabletopOptions()
        _require_allowed(seed, self.options.objects)
        self.camera = PinholeCamera.from_vertical_fov(
            self.options.width, self.options.height, self.options.vertical_fov_deg
        )
        self._mujoco = gl.mujoco_module()
        for attempt in range(_LAYOUT_ATTEMPTS):
            items, poses = self._try_layout(np.random.default_rng([seed, attempt]))
            if poses is not None:
                break
        else:
            raise RuntimeError(f'seed {seed}: the objects do not come to rest on the table')
        self.objects: tuple[SceneObject, ...] = tuple(
            describe(index, item, pose)
            for index, (item, pose) in enumerate(zip(items, poses, strict=True))
        )
        self._renderer = Renderer(self._model, self._data, self.camera)

    def __enter__(self) -> TabletopScene:
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
        self._renderer.close()

    def path(
        self, kind: str = 'orbit', seconds: float = 20.0, rate_hz: float = 10.0
    ) -> Float[Array, 'n 4 4']:
        """Returns ``camera_to_world`` along a path: 'orbit', 'handheld' or 'wrist'."""
        return camera_path(kind, seconds, rate_hz, self._generator(kind))

    def render(
        self, camera_to_world: Float[Array, '4 4'], camera: PinholeCamera | None = None
    ) -> View:
        """Returns the perfect picture from a pose, by the scene's camera if no other is given."""
        image, depth, geoms = self._renderer.render(camera or self.camera, camera_to_world)
        labels = self._labels[geoms]  # geom -1, nothing, is the last row
        return View(
            image,
            depth,
            np.ascontiguousarray(labels[..., 0]),
            np.ascontiguousarray(labels[..., 1]),
        )

    def frames(
        self,
        kind: str = 'orbit',
        seconds: float = 20.0,
        rate_hz: float = 10.0,
        sensor: SensorOptions | None = None,
    ) -> Iterator[PosedFrame]:
        """Yields what a camera on the path would deliver, from time 0 on.

        Args:
            kind: 'orbit', 'handheld' or 'wrist'.
            seconds: Duration of the path.
            rate_hz: Frames per second.
            sensor: Defects of the camera; the usual ones if None.
        """
        sensor = sensor or SensorOptions()
        for i, pose in enumerate(self.path(kind, seconds, rate_hz)):
            rng = self._generator(f'{kind} {i}')
            stamp_ns = round(i / rate_hz * 1e9)
            reported = sense_pose(pose, sensor, rng)
            yield sense(self.render(pose), self.camera, reported, stamp_ns, sensor, rng)

    def _generator(self, purpose: str) -> np.random.Generator:
        """Returns a generator of its own for each purpose, so that none disturbs another."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    def _try_layout(
        self, rng: np.random.Generator
    ) -> tuple[list[Item], list[Float[Array, '4 4']] | None]:
        """Places objects and drops them; gives no poses when some did not stay on the table."""
        options = self.options
        wanted = list(options.objects)
        if not wanted:
            count = int(rng.integers(options.min_objects, options.max_objects + 1))
            wanted = draw_pairs(self.seed, count, rng)
            wanted += [pair for pair in wanted[: options.alike] for _ in range(rng.integers(1, 3))]
        items = place(
            wanted,
            options.min_gap_m,
            bool(options.objects),
            rng,
            stacked_share=options.stacked_share,
            size_m=options.size_m,
        )
        poses = self._come_to_rest(items, rng)
        stay = [
            _stays(*each, options.stacked_share > 0) for each in zip(items, poses, strict=True)
        ]
        # Of a pile, some roll off the table: the rest is dropped again without them.
        while options.stacked_share and not all(stay) and sum(stay) >= options.min_objects:
            items = [item for item, stays in zip(items, stay, strict=True) if stays]
            poses = self._come_to_rest(items, rng)
            stay = [_stays(*each, True) for each in zip(items, poses, strict=True)]
        enough = bool(options.objects) or len(items) >= options.min_objects
        return items, poses if enough and all(stay) else None

    def _come_to_rest(
        self, items: list[Item], rng: np.random.Generator
    ) -> list[Float[Array, '4 4']]:
        """Makes the world of these items, and returns where physics brings them."""
        options = self.options
        self._model, geoms = build_model(items, options.samples, options.shadow_size, rng)
        self._data = self._mujoco.MjData(self._model)
        settle(self._model, self._data, options.settle_s)
        self._labels = np.full((self._model.ngeom + 1, 2), -1, dtype=np.int16)
        for geom, label in geoms.items():
            self._labels[geom] = label
        poses = []
        for index in range(len(items)):
            body = self._data.body(f'object{index}')
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = body.xmat.reshape(3, 3), body.xpos
            poses.append(pose)
        return poses


def _stays(item: Item, object_to_world: Float[Array, '4 4'], in_a_pile: bool) -> bool:
    """Tells whether an object lies wholly on the table, near where it was put."""
    moved_m = float(np.linalg.norm((object_to_world - item.object_to_world)[:2, 3]))
    points = transform_points(
        object_to_world, np.concatenate([part.mesh.vertices for part in item.parts])
    )
    lowest_m = points[:, 2].min()
    return bool(
        moved_m < (0.3 if in_a_pile else 0.15)
        and (np.abs(points[:, :2]) < np.array(TABLE_SIZE_M) / 2).all()
        and -0.01 < lowest_m < (0.4 if in_a_pile else 0.01)
    )


def _require_allowed(seed: int, objects: tuple[tuple[str, str], ...]) -> None:
    if len(set(objects)) < len(objects):
        raise ValueError('objects: expected each colour and category at most once')
    if seed < HELD_OUT_SEED:
        for pair in objects:
            if pair in excluded_pairs():
                raise ValueError(
                    f'objects: expected no excluded pair below seed {HELD_OUT_SEED}, got {pair}'
                )
