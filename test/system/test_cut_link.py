"""Keyframes that nobody heard: kept by the keyframe node, sent again, none lost and none twice.

Real processes: a keyframe node and a field node that comes late, is killed, and is cut off.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.geometry import PinholeCamera
from lerf_ros.msg import FieldStatus
from lerf_ros.nodes.processes import NodeProcesses

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

CAMERA = PinholeCamera(fx=60.0, fy=60.0, cx=32.0, cy=24.0, width=64, height=48)
FIELD = {
    'training.device': 'cpu',
    'training.rays_per_step': 128,
    'training.language_rays_per_step': 32,
    'node.status_period_s': 0.2,
}
START_S = 120.0
# Longer than the time after which DDS takes a silent process for dead.
CUT_S = 25.0


class Robot:
    """A camera that moves when it is told to, and what the field node says."""

    def __init__(self, executor: SingleThreadedExecutor, context: Context) -> None:
        self._executor = executor
        self.node = rclpy.create_node('robot', context=context)
        executor.add_node(self.node)
        kinds = {'image': Image, 'camera_info': CameraInfo, 'depth': Image, 'pose': PoseStamped}
        self._topics = {
            name: self.node.create_publisher(kind, f'/camera/{name}', 10)
            for name, kind in kinds.items()
        }
        self.status: FieldStatus | None = None
        self.node.create_subscription(FieldStatus, '/lerf/status', self._take, qos.LATCHED)
        self._number = 0
        self._pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)

    def _take(self, status: FieldStatus) -> None:
        self.status = status

    def spin(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._executor.spin_once(timeout_sec=0.02)

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f'{what}: not in {timeout_s:g} s; {self.status}'
            self.spin(0.1)

    def ready(self) -> bool:
        return all(topic.get_subscription_count() for topic in self._topics.values())

    def send(self, count: int) -> None:
        """Sends that many views, each from a new place."""
        for _ in range(count):
            pose = np.eye(4)
            pose[0, 3] = 0.1 * self._number
            self._number += 1
            stamp = stamp_message(time.time_ns())
            header = Header(stamp=stamp, frame_id='camera')
            world = Header(stamp=stamp, frame_id='map')
            self._topics['pose'].publish(PoseStamped(header=world, pose=pose_message(pose)))
            self._topics['camera_info'].publish(camera_info_message(CAMERA, header))
            self._topics['image'].publish(image_message(self._pixels, 'rgb8', header))
            depth = np.full((48, 64), 1500, np.uint16)
            self._topics['depth'].publish(image_message(depth, '16UC1', header))
            self.spin(0.3)

    def has(self, count: int) -> bool:
        """Tells whether the map has exactly so many keyframes, and nothing is on its way."""
        status = self.status
        if status is None or not status.streams:
            return False
        (stream,) = status.streams
        return (stream.integrated, stream.waiting, stream.dropped) == (count, 0, 0)


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[tuple[Robot, NodeProcesses]]:
    environment = {
        'ROS_DOMAIN_ID': str(1 + (os.getpid() + 30) % 100),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'OMP_NUM_THREADS': '1',
    }
    os.environ.update(environment)
    context = Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    with NodeProcesses(tmp_path, environment) as nodes:
        remaps = {name: f'/camera/{name}' for name in ('image', 'camera_info', 'depth', 'pose')}
        values = {'node.pose_source': 'topic', 'keyframes.min_interval_s': 0.0}
        result = Robot(executor, context)
        nodes.start('keyframe_node', values, remaps)
        result.wait(result.ready, 'the keyframe node listens', START_S)
        yield result, nodes
        nodes.stop()
    executor.shutdown()
    result.node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_nothing_is_lost_and_nothing_comes_twice(robot: tuple[Robot, NodeProcesses]) -> None:
    camera, nodes = robot
    # Nobody is there yet.
    camera.send(12)
    nodes.start('field_node', FIELD)
    camera.wait(lambda: camera.has(12), 'what was kept is in the map', START_S)
    first = camera.status
    assert first is not None
    assert first.streams[0].repeated == 0

    # The field node dies; what it had goes to the one that takes its place.
    os.kill(nodes.pid('field_node'), signal.SIGKILL)
    camera.send(8)
    nodes.start('field_node', FIELD)
    camera.wait(
        lambda: camera.status.run != first.run and camera.has(20),  # type: ignore[union-attr]
        'all twenty are in the new map',
        START_S,
    )
    assert camera.status is not None
    assert camera.status.streams[0].repeated == 0

    # The link is cut, for longer than DDS goes on trying.
    os.kill(nodes.pid('field_node'), signal.SIGSTOP)
    camera.send(6)
    camera.spin(CUT_S)
    camera.send(2)
    os.kill(nodes.pid('field_node'), signal.SIGCONT)
    camera.wait(lambda: camera.has(28), 'what was sent meanwhile is in the map', START_S)
    assert camera.status.streams[0].received == 28
    nodes.check()


def test_what_finds_no_room_comes_again(
    robot: tuple[Robot, NodeProcesses], tmp_path: Path
) -> None:
    camera, nodes = robot
    nodes.start('field_node', {**FIELD, 'node.keyframe_backlog': 2})
    camera.send(1)
    camera.wait(lambda: camera.has(1), 'the map hears the camera', START_S)
    # The node is held up, and ten keyframes reach it in one go.
    os.kill(nodes.pid('field_node'), signal.SIGSTOP)
    camera.send(10)
    os.kill(nodes.pid('field_node'), signal.SIGCONT)
    camera.wait(lambda: camera.has(11), 'all are in the map', START_S)
    assert camera.status is not None
    assert camera.status.streams[0].received == 11
    assert 'keyframe put off: 2 are waiting' in (tmp_path / 'field_node.log').read_text()
    nodes.check()
