"""Two cameras on one map with real processes, started as the launch file starts them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
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
from lerf_ros.msg import FieldStatus, KeyframeStream
from lerf_ros.nodes.launched_cameras import launched_cameras, wrong_camera_argument
from lerf_ros.nodes.processes import NodeProcesses

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

ENVIRONMENT = {
    'ROS_DOMAIN_ID': str(1 + (os.getpid() + 10) % 100),
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    'OMP_NUM_THREADS': '1',
}
GIVEN = {
    'namespace': 'lerf',
    'cameras': 'front,rear',
    'sensor': '',
    'camera_name': '',
    'image_topic': 'auto',
    'camera_info_topic': 'auto',
    'depth_topic': 'auto',
    'pose_topic': '',
    'front_pose_topic': '/front/pose',
    'rear_pose_topic': '/rear/pose',
    'front_depth_topic': '/front/depth',
    'image_transport': 'auto',
    'depth_transport': 'auto',
    'depth_unit_m': '0.0',
    'front_depth_unit_m': '0.0002',
    'images_rectified': 'false',
    'camera_frame': '',
    'camera_extrinsic': '',
    'image_reliability': 'best_effort',
}
# Each has its own size and lens; the front one has depth in fifths of a millimetre.
CAMERAS = {
    'front': PinholeCamera(fx=60.0, fy=60.0, cx=32.0, cy=24.0, width=64, height=48),
    'rear': PinholeCamera(fx=90.0, fy=90.0, cx=48.0, cy=36.0, width=96, height=72),
}
FIELD = {
    'training.device': 'cpu',
    'training.rays_per_step': 128,
    'training.language_rays_per_step': 32,
    'node.status_period_s': 0.2,
}
START_S = 120.0


def test_two_cameras_make_one_map(tmp_path: Path) -> None:
    os.environ.update(ENVIRONMENT)
    assert wrong_camera_argument(GIVEN) == ''
    context = Context()
    rclpy.init(context=context)
    robot = rclpy.create_node('robot', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(robot)
    heard: list[FieldStatus] = []
    robot.create_subscription(FieldStatus, '/lerf/status', heard.append, qos.LATCHED)
    kinds = {'image': Image, 'camera_info': CameraInfo, 'pose': PoseStamped, 'depth': Image}
    topics = {
        (camera, name): robot.create_publisher(kind, f'/{camera}/{name}', 5)
        for camera in CAMERAS
        for name, kind in kinds.items()
        if (camera, name) != ('rear', 'depth')
    }
    pixels = np.random.default_rng(0).integers(0, 255, (72, 96, 3), dtype=np.uint8)

    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            assert time.monotonic() < deadline, f'{what}: {heard[-1:]}'
            executor.spin_once(timeout_sec=0.05)

    def send(camera: str, number: int) -> None:
        header = Header(stamp=stamp_message(time.time_ns()), frame_id=f'{camera}_optical')
        lens = CAMERAS[camera]
        place = np.eye(4)
        place[:2, 3] = 0.1 * number, 1.0 * (camera == 'rear')
        world = Header(stamp=header.stamp, frame_id='map')
        topics[camera, 'pose'].publish(PoseStamped(header=world, pose=pose_message(place)))
        topics[camera, 'camera_info'].publish(camera_info_message(lens, header))
        picture = np.ascontiguousarray(pixels[: lens.height, : lens.width])
        topics[camera, 'image'].publish(image_message(picture, 'rgb8', header))
        if camera == 'front':
            depth = np.full((lens.height, lens.width), 5000, np.uint16)
            topics[camera, 'depth'].publish(image_message(depth, '16UC1', header))

    def streams() -> dict[str, KeyframeStream]:
        return {stream.name: stream for stream in heard[-1].streams} if heard else {}

    with NodeProcesses(tmp_path, ENVIRONMENT) as nodes:
        nodes.start('field_node', FIELD)
        for launched in launched_cameras(GIVEN):
            names = {'__ns': f'/{launched.namespace}', **launched.topics, **launched.shared}
            values = {**launched.parameters, 'keyframes.min_interval_s': 0.0}
            values = {name: value for name, value in values.items() if value != ''}
            nodes.start('keyframe_node', values, names, name=launched.namespace.split('/')[1])
        wait(lambda: all(t.get_subscription_count() for t in topics.values()), 'both listen')
        for number in range(6):
            for camera in CAMERAS:
                send(camera, number)
            until = time.monotonic() + 0.3
            wait(lambda end=until: time.monotonic() > end, 'a moment')
        front, rear = '/lerf/front/keyframe_node', '/lerf/rear/keyframe_node'
        wait(
            lambda: all(s in streams() and streams()[s].integrated >= 4 for s in (front, rear)),
            'keyframes of both are in the map',
        )
        assert set(streams()) == {front, rear}
        assert all(stream.dropped == 0 for stream in streams().values())
        # Depth of 5000 fifths of a millimetre is a wall 1 m away; in millimetres it were too far.
        wait(lambda: heard[-1].surface_points > 0, 'the surface that the front camera sees')
        nodes.check()
    executor.shutdown()
    robot.destroy_node()
    rclpy.try_shutdown(context=context)
