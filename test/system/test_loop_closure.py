"""A loop closure that is seen through TF only: the keyframes in the map follow, a reset is told.

Real processes; where this machine's ROS 2 has no tf2_msgs, its one message is built here first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from message_packages import with_messages

from lerf_ros.nodes.processes import NodeProcesses

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

DOMAIN = {
    'ROS_DOMAIN_ID': str(1 + (os.getpid() + 70) % 100),
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    'OMP_NUM_THREADS': '1',
}

# Run in a process of its own, which can import tf2_msgs: a robot that drives in odom, and a
# localisation that moves odom in map.
ROBOT = """
import sys, time
import numpy as np, rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import stamp_message, transform_message
from lerf_ros.frames.messages import pose_matrix_of
from lerf_ros.geometry import PinholeCamera, pose_matrix
from lerf_ros.msg import FieldStatus

rclpy.init()
node = rclpy.create_node('robot')
tf = node.create_publisher(TFMessage, '/tf', 100)
kinds = {'image': Image, 'camera_info': CameraInfo, 'depth': Image}
topics = {name: node.create_publisher(kind, f'/camera/{name}', 5) for name, kind in kinds.items()}
news = {'path': None, 'status': None, 'warnings': []}
node.create_subscription(Path, '/lerf/keyframe_path', lambda m: news.update(path=m), qos.LATCHED)
node.create_subscription(
    FieldStatus, '/lerf/status', lambda m: news.update(status=m), qos.LATCHED
)
node.create_subscription(
    DiagnosticArray, '/diagnostics',
    lambda m: news['warnings'].extend(s.message for s in m.status if s.level != b'\\0'), 50,
)
camera = PinholeCamera(60.0, 60.0, 32.0, 24.0, 64, 48)
pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
deadline = time.monotonic() + float(sys.argv[1])

def turned(x, y, yaw_deg):
    half = np.radians(yaw_deg) / 2
    return pose_matrix(np.array([x, y, 0.0]), np.array([0, 0, np.sin(half), np.cos(half)]))

def edge(parent, child, matrix, stamp):
    header = Header(stamp=stamp, frame_id=parent)
    return TransformStamped(
        header=header, child_frame_id=child, transform=transform_message(matrix)
    )

odom, place = turned(0.4, 0.0, 0.0), 0.0

def beat(picture=False):
    assert time.monotonic() < deadline, f'too late: {news}'
    now = stamp_message(time.time_ns())
    base = edge('odom', 'camera', turned(place, 0.0, 0.0), now)
    tf.publish(TFMessage(transforms=[edge('map', 'odom', odom, now), base]))
    if picture:
        header = Header(stamp=now, frame_id='camera')
        topics['camera_info'].publish(camera_info_message(camera, header))
        topics['image'].publish(image_message(pixels, 'rgb8', header))
        depth = np.full((48, 64), 1500, np.uint16)
        topics['depth'].publish(image_message(depth, '16UC1', header))
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        rclpy.spin_once(node, timeout_sec=0.02)

def drive(count):
    global place
    for _ in range(count):
        place += 0.1
        for beats in range(6):
            beat(picture=beats == 3)

def places():
    if news['path'] is None:
        return np.zeros((0, 3))
    return np.array([pose_matrix_of(p.pose)[:3, 3] for p in news['path'].poses])

def until(condition, what):
    while not condition():
        beat()
    print(what, flush=True)

until(lambda: all(t.get_subscription_count() for t in topics.values()), 'the node listens')
until(lambda: news['status'] is not None, 'the map is there')
drive(8)
until(lambda: len(places()) >= 6, 'keyframes in the map')
first = places()
assert np.allclose(first[:, 1], 0.0, atol=1e-6), first
in_odom = first - [0.4, 0.0, 0.0]

odom = turned(0.5, 0.05, 4.0)  # the loop closes
expected = lambda: in_odom @ odom[:3, :3].T + odom[:3, 3]
until(lambda: len(places()) >= len(first) and np.allclose(places()[:len(first)], expected(),
                                                          atol=1e-4), 'they follow')
drive(4)
until(lambda: len(places()) >= len(first) + 3, 'more keyframes')
every = (places() - odom[:3, 3]) @ odom[:3, :3]
assert np.abs(every[:, 1]).max() < 1e-4, every  # old and new lie on one line in odom

before = places()
odom = turned(40.0, 0.0, 0.0)  # localisation begins anew
until(lambda: any('reset of the localisation' in w for w in news['warnings']), 'the reset is told')
drive(2)
until(lambda: (places()[:, 0] > 30).any(), 'keyframes go on')
assert np.allclose(places()[:len(before)], before, atol=1e-6)
print('old and new keyframes are in their places')
"""


def test_keyframes_follow_a_jump_of_odometry_and_stay_at_a_reset(
    tmp_path: Path,
) -> None:
    environment = with_messages('tf2_msgs', {**os.environ, **DOMAIN})
    field = {
        'training.device': 'cpu',
        'training.rays_per_step': 128,
        'training.language_rays_per_step': 32,
        'training.registration_limit_m': 0.0,
        'node.status_period_s': 0.2,
        'node.cloud_period_s': 0.3,
    }
    camera = {'node.pose_source': 'tf', 'keyframes.min_interval_s': 0.0}
    remaps = {name: f'/camera/{name}' for name in ('image', 'camera_info', 'depth')}
    with NodeProcesses(tmp_path, environment) as nodes:
        nodes.start('field_node', field)
        nodes.start('keyframe_node', camera, remaps)
        robot = subprocess.run(
            [sys.executable, '-c', ROBOT, '240'],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=300,
        )
        nodes.check()
    logs = ''.join(path.read_text()[-3000:] for path in tmp_path.glob('*.log'))
    assert robot.returncode == 0, f'{robot.stdout}{robot.stderr[-3000:]}\n{logs}'
    assert 'old and new keyframes are in their places' in robot.stdout
    assert 'keyframes follow' in logs
