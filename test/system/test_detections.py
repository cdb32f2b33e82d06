"""Answers as `vision_msgs/Detection3DArray`, over the network.

Where this machine's ROS 2 has no vision_msgs, its messages are built here first.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from message_packages import with_messages

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

DOMAIN = {
    'ROS_DOMAIN_ID': str(1 + (os.getpid() + 70) % 100),
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
}

# Run in a process of its own, which can import vision_msgs: a field node shows an answer, and a
# late listener checks what arrives.
ROBOT = """
import time
import numpy as np, rclpy
from rclpy.executors import SingleThreadedExecutor
from vision_msgs.msg import Detection3DArray
from lerf_ros.bridge import qos
from lerf_ros.frames.messages import nanoseconds, pose_matrix_of
from lerf_ros.nodes.field_node import FieldNode
from lerf_ros.query.engine import Maximum, QueryResult

def place(x):
    box = np.eye(4)
    box[:3, 3] = (x, 0.2, 0.05)
    return Maximum(
        np.array([x, 0.25, 0.1]), np.array([0.0, 0, 1]), 0.8, 0.12, box, np.array([0.1, 0.2, 0.3]),
        np.arange(4), 3, np.zeros((1, 3), np.float32),
    )

def answer(phrase, exists, *places):
    none = np.zeros(0, np.float32)
    cloud = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), none, none
    return QueryResult(phrase, exists, 0.75 if exists else 0.1, places, *cloud, 12, 5)

rclpy.init()
node, helper, found = FieldNode(), rclpy.create_node('robot'), []
results = [answer('red mug', True, place(1.0), place(2.0)), answer('unicorn', False, place(3.0))]
node._show(results, 'red mug')
helper.create_subscription(Detection3DArray, '/lerf/detections', found.append, qos.LATCHED)
executor = SingleThreadedExecutor()
executor.add_node(node)
executor.add_node(helper)
deadline = time.monotonic() + 60
while not found and time.monotonic() < deadline:
    executor.spin_once(timeout_sec=0.1)
message = found[0]
assert message.header.frame_id == 'map' and nanoseconds(message.header.stamp) == 5
# What is not there is no detection.
assert [d.id for d in message.detections] == ['red mug 1', 'red mug 2']
first = message.detections[0]
assert first.header == message.header
assert (first.bbox.size.x, first.bbox.size.y, first.bbox.size.z) == (0.1, 0.2, 0.3)
assert np.allclose(pose_matrix_of(first.bbox.center)[:3, 3], (1.0, 0.2, 0.05))
(hypothesis,) = first.results
assert (hypothesis.hypothesis.class_id, hypothesis.hypothesis.score) == ('red mug', 0.75)
assert np.allclose(pose_matrix_of(hypothesis.pose.pose)[:3, 3], (1.0, 0.25, 0.1))
node.close()
print('two detections')
"""


def test_places_come_as_detections() -> None:
    environment = with_messages('vision_msgs', {**os.environ, **DOMAIN})
    robot = subprocess.run(
        [sys.executable, '-c', ROBOT], env=environment, capture_output=True, text=True, timeout=300
    )
    assert robot.returncode == 0, f'{robot.stdout}{robot.stderr}'
    assert 'two detections' in robot.stdout
