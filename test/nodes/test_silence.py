"""Why nothing arrives: twelve faults of real drivers, each named within five seconds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.geometry import PinholeCamera
from lerf_ros.nodes.keyframe_node import KeyframeNode

CAMERA = PinholeCamera(fx=60.0, fy=60.0, cx=32.0, cy=24.0, width=64, height=48)
WITHIN_S = 5.0
SECOND = 1_000_000_000


@dataclass
class Driver:
    """What a camera and a localisation send, each part as a fault has it.

    Attributes:
        words: What the sentence has to name.
        parameters: Of the keyframe node.
    """

    words: tuple[str, ...]
    image: bool = True
    info: bool = True
    image_type: type = Image
    image_qos: QoSProfile = field(default_factory=lambda: QoSProfile(depth=5))
    image_topic: str = 'image'
    image_stamp_ns: Callable[[int], int] = lambda now_ns: now_ns
    pose_stamp_ns: Callable[[int], int] = lambda now_ns: now_ns
    depth_stamp_ns: Callable[[int], int] = lambda now_ns: now_ns
    pose: bool = True
    k: float = 60.0
    distortion: tuple[float, ...] = ()
    depth_mm: int = 1500
    sharp: bool = True
    moves: bool = True
    pose_frame: str = 'map'
    parameters: dict[str, Any] = field(default_factory=dict)


BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
FAULTS = {
    'no publisher': Driver(('/image', 'no publisher'), image=False),
    'another type': Driver(('/image', 'std_msgs/msg/String', 'sensor_msgs'), image_type=String),
    'QoS': Driver(
        ('/image', 'best_effort', 'reliable'),
        image_qos=BEST_EFFORT,
        parameters={'node.image_reliability': 'reliable'},
    ),
    'no camera_info': Driver(('/camera_info', 'no publisher'), info=False),
    'depth never pairs': Driver(
        ('/depth', 'does not pair', ' ms off'),
        depth_stamp_ns=lambda now_ns: now_ns + SECOND // 20,
        parameters={'keyframes.max_interval_s': 0.5},
    ),
    'no pose': Driver(('/pose', 'no publisher'), pose=False),
    'poses in another frame': Driver(("'map'", "'odom'"), pose_frame='odom'),
    'clock skew': Driver(
        ('3600.', 'behind', 'clocks'), pose_stamp_ns=lambda now_ns: now_ns + 3600 * SECOND
    ),
    'uncalibrated': Driver(('/camera_info', 'uncalibrated'), k=0.0),
    'rectified twice': Driver(
        ('image_rect', 'distortion', 'rectified twice'),
        image_topic='image_rect',
        distortion=(-0.2, 0.05, 0.0, 0.0, 0.0),
    ),
    'depth in another unit': Driver(
        ('hardly any depth', '15 m'), depth_mm=15000, parameters={'keyframes.max_depth_m': 100.0}
    ),
    'blurred': Driver(('nothing sharp',), sharp=False),
    'still': Driver(('has not moved',), moves=False),
    'stamps at zero': Driver(('stamps at zero', '/image'), image_stamp_ns=lambda now_ns: 0),
    'no clock': Driver(('/clock', 'use_sim_time'), parameters={'use_sim_time': True}),
}


class Robot:
    """Sends what a driver sends, ten times a second."""

    def __init__(self, node: Node, space: str, driver: Driver) -> None:
        self._driver, self._count = driver, 0
        self._publish: dict[str, Any] = {}
        if driver.image:
            self._publish['image'] = node.create_publisher(
                driver.image_type, f'/{space}/{driver.image_topic}', driver.image_qos
            )
        if driver.info:
            self._publish['info'] = node.create_publisher(CameraInfo, f'/{space}/camera_info', 5)
        self._publish['depth'] = node.create_publisher(Image, f'/{space}/depth', 5)
        if driver.pose:
            self._publish['pose'] = node.create_publisher(PoseStamped, f'/{space}/pose', 5)
        node.create_timer(0.1, self._send)
        self._texture = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)

    def _send(self) -> None:
        driver = self._driver
        now_ns = time.time_ns()
        self._count += 1
        matrix = np.eye(4)
        matrix[0, 3] = 0.2 * self._count if driver.moves else 0.0
        header = Header(stamp=stamp_message(driver.image_stamp_ns(now_ns)), frame_id='camera')
        info = camera_info_message(CAMERA, header)
        info.d = list(driver.distortion)
        info.k[0] = driver.k
        depth_header = Header(
            stamp=stamp_message(driver.depth_stamp_ns(driver.image_stamp_ns(now_ns))),
            frame_id='camera',
        )
        pose_header = Header(
            stamp=stamp_message(driver.pose_stamp_ns(now_ns)), frame_id=driver.pose_frame
        )
        picture = self._texture if driver.sharp else np.full((48, 64, 3), 90, np.uint8)
        image: Any = image_message(picture, 'rgb8', header)
        if driver.image_type is String:
            image = String(data='no picture')
        depth = np.full((48, 64), driver.depth_mm, np.uint16)
        messages = {
            'pose': PoseStamped(header=pose_header, pose=pose_message(matrix)),
            'image': image,
            'info': info,
            'depth': image_message(depth, '16UC1', depth_header),
        }
        for name, publisher in self._publish.items():
            publisher.publish(messages[name])


def ask(faults: Sequence[str], make_spinner: Callable[[], Any]) -> dict[str, tuple[float, str]]:
    """Starts a node for each fault; returns what each says of it, and after how long."""
    spinner = make_spinner()
    listener = Node('listener')
    found: dict[str, tuple[float, str]] = {}
    spaces = {fault.replace(' ', '_'): fault for fault in faults}
    all_found = threading.Event()

    def hear(message: DiagnosticArray) -> None:
        for status in message.status:
            fault = spaces.get(status.name.split('/')[1])
            if fault is None or fault in found or status.level != DiagnosticStatus.WARN:
                continue
            if all(word in status.message for word in FAULTS[fault].words):
                found[fault] = time.monotonic() - started, status.message
                if len(found) == len(spaces):
                    all_found.set()

    listener.create_subscription(DiagnosticArray, '/diagnostics', hear, 200)
    usual = {'node.pose_source': 'topic', 'keyframes.min_interval_s': 0.0}
    for space, fault in spaces.items():
        driver = FAULTS[fault]
        Robot(robot := Node(f'driver_{space}'), space, driver)
        given = {**usual, **driver.parameters}
        parameters = [Parameter(name, value=value) for name, value in given.items()]
        remaps = {'image': driver.image_topic}
        for node in (robot, KeyframeNode(parameters, space, remaps)):
            spinner.add(node)
    started = time.monotonic()
    spinner.add(listener)
    all_found.wait(WITHIN_S + 1)
    spinner.close()
    return found


@pytest.fixture(scope='module')
def told(make_spinner: Callable[[], Any]) -> dict[str, tuple[float, str]]:
    """Asks three nodes at a time: more would wait for one another's turn at the processor."""
    names = list(FAULTS)
    found: dict[str, tuple[float, str]] = {}
    for start in range(0, len(names), 3):
        found |= ask(names[start : start + 3], make_spinner)
    return found


@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_named_within_five_seconds(
    told: dict[str, tuple[float, str]], fault: str
) -> None:
    seconds, sentence = told.get(fault, (math.inf, ''))
    print(f'{fault:24} {seconds:4.1f} s  {sentence}')
    assert seconds <= WITHIN_S
