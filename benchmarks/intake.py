"""The keyframe node under a real stream: processor, memory, delay, and the pose at the stamp.

    python benchmarks/intake.py [--seconds 60] [--rate 30] [--json FILE]

Sends 640x480 RGB-D over DDS from this process to a keyframe node in a process of its own, which
thins it to 2 Hz. Poses come at 100 Hz, by TF as a chain of two moving frames and a fixed one where
tf2_msgs is installed, else as a topic; each image lies between two of them, so that its pose has
to be interpolated. Needs the workspace: `. install/setup.bash` first.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import pose_message, stamp_message, transform_message
from lerf_ros.bridge.transforms import TFMessage
from lerf_ros.frames.messages import pose_matrix_of, stamp_of
from lerf_ros.geometry import PinholeCamera, rotation_angle
from lerf_ros.msg import Keyframe
from lerf_ros.nodes.processes import NodeProcesses

WIDTH, HEIGHT = 640, 480
POSE_HZ = 100.0
KEYFRAME_S = 0.5
# The stream is let run in before memory and processor count.
WARM_S = 5.0
FIXED = np.eye(4)
FIXED[:3, 3] = 0.1, 0.0, 0.3


def turned(x: float, y: float, yaw: float) -> np.ndarray:
    """Returns the pose at a place on the floor."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    matrix[:2, 3] = x, y
    return matrix


def odometry(time_s: float) -> np.ndarray:
    """Returns where the base is: it drives at half a metre a second and turns slowly."""
    return turned(0.5 * time_s, 0.0, 0.0) @ turned(0.0, 0.0, 0.3 * time_s)


def correction(time_s: float) -> np.ndarray:
    """Returns where odometry began: localisation moves it slowly."""
    return turned(0.01 * time_s, 0.02 * time_s, 0.005 * time_s)


def camera_to_world(time_s: float) -> np.ndarray:
    """Returns the true pose of the camera."""
    return correction(time_s) @ odometry(time_s) @ FIXED


class Stream:
    """Sends poses and RGB-D, and hears keyframes.

    Args:
        rate_hz: Images a second.
    """

    def __init__(self, rate_hz: float) -> None:
        self.node = rclpy.create_node('intake_benchmark')
        self._period_s, self._start_ns = 1 / rate_hz, time.time_ns()
        publish = self.node.create_publisher
        self._image = publish(Image, '/camera/image', 5)
        self._info = publish(CameraInfo, '/camera/camera_info', 5)
        self._depth = publish(Image, '/camera/depth', 5)
        self._pose = publish(PoseStamped, '/camera/pose', 100)
        self._tf = publish(TFMessage, '/tf', 100) if TFMessage else None
        self.node.create_subscription(Keyframe, '/lerf/keyframes', self._hear, qos.KEYFRAMES)
        rng = np.random.default_rng(0)
        self._picture = rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        self._metres = rng.integers(800, 4000, (HEIGHT, WIDTH)).astype(np.uint16)
        self._camera = PinholeCamera.from_vertical_fov(WIDTH, HEIGHT, 48.0)
        self.sent = 0
        self.delays_s: list[float] = []
        self.errors_m: list[float] = []
        self.errors_deg: list[float] = []

    def _hear(self, message: Keyframe) -> None:
        stamp_ns = stamp_of(message)
        self.delays_s.append((time.time_ns() - stamp_ns) * 1e-9)
        found = pose_matrix_of(message.pose)
        true = camera_to_world((stamp_ns - self._start_ns) * 1e-9)
        self.errors_m.append(float(np.linalg.norm(found[:3, 3] - true[:3, 3])))
        turn = found[:3, :3] @ true[:3, :3].T
        self.errors_deg.append(math.degrees(rotation_angle(turn)))

    def send_poses(self, stop: threading.Event) -> None:
        """Sends poses until it is told to stop."""
        while not stop.wait(1 / POSE_HZ):
            now_ns = time.time_ns()
            time_s = (now_ns - self._start_ns) * 1e-9
            stamp = stamp_message(now_ns)
            if self._tf is None:
                header = Header(stamp=stamp, frame_id='map')
                pose = pose_message(camera_to_world(time_s))
                self._pose.publish(PoseStamped(header=header, pose=pose))
                continue
            chain = (
                ('map', 'odom', correction(time_s)),
                ('odom', 'base', odometry(time_s)),
                ('base', 'camera', FIXED),
            )
            links = [
                TransformStamped(
                    header=Header(stamp=stamp, frame_id=parent),
                    child_frame_id=child,
                    transform=transform_message(matrix),
                )
                for parent, child, matrix in chain
            ]
            self._tf.publish(TFMessage(transforms=links))

    def send_images(self, seconds: float) -> None:
        """Sends images at their rate."""
        first = time.monotonic()
        while (due := first + self.sent * self._period_s) < first + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            header = Header(stamp=stamp_message(time.time_ns()), frame_id='camera')
            self._info.publish(camera_info_message(self._camera, header))
            self._image.publish(image_message(self._picture, 'rgb8', header))
            self._depth.publish(image_message(self._metres, '16UC1', header))
            self.sent += 1

    @property
    def by_tf(self) -> bool:
        """Whether poses come by TF."""
        return self._tf is not None


def measure(seconds: float, rate_hz: float) -> dict[str, Any]:
    """Streams and returns the figures."""
    stream = Stream(rate_hz)
    executor = SingleThreadedExecutor()
    executor.add_node(stream.node)
    stop = threading.Event()
    threads = [
        threading.Thread(target=executor.spin),
        threading.Thread(target=stream.send_poses, args=(stop,)),
    ]
    for thread in threads:
        thread.start()
    parameters = {
        'keyframes.min_interval_s': KEYFRAME_S,
        'node.pose_source': 'tf' if stream.by_tf else 'topic',
    }
    remaps = {name: f'/camera/{name}' for name in ('image', 'camera_info', 'depth', 'pose')}
    with tempfile.TemporaryDirectory() as folder, NodeProcesses(Path(folder), {}) as nodes:
        nodes.start('keyframe_node', parameters, remaps)
        process = psutil.Process(nodes.pid('keyframe_node'))
        stream.send_images(WARM_S)
        nodes.check()
        stream.sent = 0
        for figures in (stream.delays_s, stream.errors_m, stream.errors_deg):
            figures.clear()
        memory = [process.memory_info().rss]
        process.cpu_percent()
        parts = max(2, round(seconds / 10))
        for _ in range(parts):
            before = stream.sent
            stream.sent = 0
            stream.send_images(seconds / parts)
            stream.sent += before
            memory.append(process.memory_info().rss)
        cpu = process.cpu_percent()
        nodes.check()
        stop.set()
        executor.shutdown()
        for thread in threads:
            thread.join()
    delays = sorted(stream.delays_s)
    return {
        'poses_by': 'TF, three frames' if stream.by_tf else 'topic',
        'images': stream.sent,
        'keyframes': len(delays),
        'cpu_percent_of_a_core': cpu,
        'rss_mb': [round(value / 2**20, 1) for value in memory],
        'delay_median_ms': statistics.median(delays) * 1e3,
        'delay_p95_ms': delays[int(0.95 * (len(delays) - 1))] * 1e3,
        'pose_error_max_mm': max(stream.errors_m) * 1e3,
        'pose_error_max_deg': max(stream.errors_deg),
    }


def main() -> int:
    """Measures and prints; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--rate', type=float, default=30.0)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    rclpy.init()
    figures = measure(arguments.seconds, arguments.rate)
    rclpy.try_shutdown()
    for name, value in figures.items():
        print(f'{name:24} {value:.3g}' if isinstance(value, float) else f'{name:24} {value}')
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
