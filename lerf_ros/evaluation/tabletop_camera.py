"""The benchmark's camera: what it sees of a simulated table, and what is held out.

The camera walks around the table once in 20 s by hand, then a wrist camera sweeps over it for
40 s. Pictures that are held out come from an orbit that the map never sees; they are perfect, so
the noise of the sensor counts against the map.
"""

from __future__ import annotations

import functools

import numpy as np

from lerf_ros.evaluation.stream import Shot
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array
from lerf_ros.sources.tabletop import SensorOptions, TabletopScene
from lerf_ros.sources.tabletop.sensor import sense_colour, sense_depth

CAMERA_HZ = 10.0
WALK = (('handheld', 20.0), ('wrist', 40.0))


def shots(scene: TabletopScene, seconds: float) -> list[Shot]:
    """Returns the camera's walk; frames are rendered only when they become keyframes."""
    sensor = SensorOptions()
    walk: list[Shot] = []
    for kind, duration_s in WALK:
        for pose in scene.path(kind, duration_s, CAMERA_HZ):
            index = len(walk)
            stamp_ns = round(index / CAMERA_HZ * 1e9)
            read = functools.partial(_sense, scene, sensor, pose, index, stamp_ns)
            walk.append(Shot(stamp_ns, pose, read))
    return [shot for shot in walk if shot.stamp_ns * 1e-9 < seconds]


def _sense(
    scene: TabletopScene, sensor: SensorOptions, pose: Array, index: int, stamp_ns: int
) -> PosedFrame:
    # A generator of its own for each frame: which frames become keyframes changes no noise.
    generator = np.random.default_rng([scene.seed, index])
    view = scene.render(pose)
    return PosedFrame(
        image=sense_colour(view.image, sensor, generator),
        depth=sense_depth(view.depth, sensor, generator),
        camera=scene.camera,
        camera_to_world=pose,
        stamp_ns=stamp_ns,
        frame_id='camera',
    )


def held_out(scene: TabletopScene, count: int) -> list[PosedFrame]:
    """Returns perfect frames from an orbit."""
    poses = scene.path('orbit', 1.0, count)
    views = [scene.render(pose) for pose in poses]
    return [
        PosedFrame(view.image, view.depth, scene.camera, pose, stamp_ns=0)
        for view, pose in zip(views, poses, strict=True)
    ]
