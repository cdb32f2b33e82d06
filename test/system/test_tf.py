"""Camera poses by TF, with real processes: the pose at the stamp, from a moving base.

Where this machine's ROS 2 has no tf2_msgs, its one message is built here first.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from message_packages import with_messages

from lerf_ros.nodes.processes import NodeProcesses

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

DOMAIN = {
    'ROS_DOMAIN_ID': str(1 + (os.getpid() + 50) % 100),
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
}

# Run in a process of its own, which can import tf2_msgs: sends images whose camera hangs on a
# moving base, and checks the poses of the keyframes that come back.
ROBOT = """
import sys, time
import numpy as np, rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import stamp_message, transform_message
from lerf_ros.frames.messages import nanoseconds, pose_matrix_of
from lerf_ros.geometry import PinholeCamera
from lerf_ros.msg import Keyframe

rclpy.init()
node = rclpy.create_node('robot')
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
tf = node.create_publisher(TFMessage, '/tf', 100)
static = node.create_publisher(TFMessage, '/tf_static', latched)
image = node.create_publisher(Image, '/camera/image', 5)
info = node.create_publisher(CameraInfo, '/camera/camera_info', 5)
found = []
node.create_subscription(Keyframe, '/lerf/keyframes', found.append, qos.KEYFRAMES)
camera = PinholeCamera(50.0, 50.0, 16.0, 12.0, 32, 24)

def edge(parent, child, x, stamp_ns):
    matrix = np.eye(4)
    matrix[0, 3] = x
    header = Header(stamp=stamp_message(stamp_ns), frame_id=parent)
    return TransformStamped(
        header=header, child_frame_id=child, transform=transform_message(matrix)
    )

def place(stamp_ns):  # the base drives one metre a second
    return (stamp_ns - start) * 1e-9

start = time.time_ns()
fixed = [edge('base', 'camera', 0.25, 0), edge('map', 'odom', 10.0, 0)]
static.publish(TFMessage(transforms=fixed))
deadline = time.monotonic() + float(sys.argv[1])
while len(found) < 8:
    if time.monotonic() > deadline:
        sys.exit(f'only {len(found)} keyframes came')
    now = time.time_ns()
    header = Header(stamp=stamp_message(now), frame_id='camera')
    info.publish(camera_info_message(camera, header))
    image.publish(image_message(np.zeros((24, 32, 3), np.uint8), 'rgb8', header))
    # TF comes later than the image, with stamps around its own.
    for offset in (-20_000_000, 20_000_000):
        stamp = now + offset
        tf.publish(TFMessage(transforms=[edge('odom', 'base', place(stamp), stamp)]))
    rclpy.spin_once(node, timeout_sec=0.05)
    time.sleep(0.05)  # the rate of a camera
for message in found:
    stamp_ns = nanoseconds(message.header.stamp)
    x = pose_matrix_of(message.pose)[0, 3]
    assert abs(x - (10.25 + place(stamp_ns))) < 1e-5, (x, place(stamp_ns))
print(len(found), 'keyframes, each with the pose at its stamp')
"""


@pytest.fixture(scope='module')
def with_tf() -> Mapping[str, str]:
    """The environment of processes that can speak TF."""
    return with_messages('tf2_msgs', {**os.environ, **DOMAIN})


def test_camera_poses_come_from_tf(with_tf: Mapping[str, str], tmp_path: Path) -> None:
    parameters = {
        'node.pose_source': 'tf',
        'node.use_depth': False,
        'keyframes.min_interval_s': 0.0,
    }
    remaps = {name: f'/camera/{name}' for name in ('image', 'camera_info')}
    with NodeProcesses(tmp_path, with_tf) as nodes:
        nodes.start('keyframe_node', parameters, remaps)
        robot = subprocess.run(
            [sys.executable, '-c', ROBOT, '60'],
            env=dict(with_tf),
            capture_output=True,
            text=True,
            timeout=120,
        )
        nodes.check()
    log = (tmp_path / 'keyframe_node.log').read_text()
    assert robot.returncode == 0, f'{robot.stdout}{robot.stderr}\n{log}'
    assert 'each with the pose at its stamp' in robot.stdout
    assert 'camera poses come from TF' in log


@pytest.mark.skipif(
    importlib.util.find_spec('tf2_msgs') is not None, reason='this ROS 2 has tf2_msgs'
)
def test_without_tf_the_missing_package_is_named(tmp_path: Path) -> None:
    command = [sys.executable, '-m', 'lerf_ros.nodes.keyframe_node']
    command += ['--ros-args', '-p', 'node.pose_source:=tf']
    environment = {**os.environ, **DOMAIN}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert 'tf2_ros or tf2_msgs' in result.stderr
    assert 'Traceback' not in result.stderr
