"""The benchmark's camera: what it sees of a simulated table, and what is held out.

The camera walks around the table once in 20 s by hand, then a wrist camera sweeps over it for
40 s. Pictures that are held out come from an orbit that the map never sees; they are perfect, so
the noise of the sensor counts against the map.
"""

from __future__ import annotations

import numpy as np

from lerf_ros.evaluation.stream import Shot
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array
from lerf_ros.simulation import SensorOptions, TabletopScene
from lerf_ros.simulation.sensor import sense, sense_pose

CAMERA_HZ = 10.0
WALK = (('handheld', 20.0), ('wrist', 40.0))


def shots(scene: TabletopScene, seconds: float, sensor: SensorOptions | None = None) -> list[Shot]:
    """Returns the camera's walk; frames are rendered only when they become keyframes.

    Args:
        scene: The table.
        seconds: Shots after this time are left out.
        sensor: Defects of the camera and its tracker; the usual ones if None.
    """
    sensor = sensor or SensorOptions()
    poses = [pose for kind, duration_s in WALK for pose in scene.path(kind, duration_s, CAMERA_HZ)]
    return [
        _shot(scene, sensor, pose, index)
        for index, pose in enumerate(poses)
        if index / CAMERA_HZ < seconds
    ]


def _shot(scene: TabletopScene, sensor: SensorOptions, pose: Array, index: int) -> Shot:
    stamp_ns = round(index / CAMERA_HZ * 1e9)

    # The selector sees the reported pose too, and before anything is rendered.
    reported = sense_pose(pose, sensor, np.random.default_rng([scene.seed, index, 1]))

    def read() -> PosedFrame:
        # A generator of its own for each frame: which frames become keyframes changes no noise.
        rng = np.random.default_rng([scene.seed, index])
        return sense(scene.render(pose), scene.camera, reported, stamp_ns, sensor, rng)

    return Shot(stamp_ns, reported, read)


def held_out(scene: TabletopScene, count: int) -> list[PosedFrame]:
    """Returns perfect frames from an orbit."""
    poses = scene.path('orbit', 1.0, count)
    views = [scene.render(pose) for pose in poses]
    return [
        PosedFrame(view.image, view.depth, scene.camera, pose, stamp_ns=0)
        for view, pose in zip(views, poses, strict=True)
    ]
