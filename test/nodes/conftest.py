"""A ROS domain of its own for each test run, and nodes that are spun beside the test."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
import waiting
from field_robot import Robot
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lerf_ros.msg import FieldStatus
from lerf_ros.nodes.field_node import FieldNode


@pytest.fixture(scope='session', autouse=True)
def domain() -> Iterator[None]:
    """Keeps this run apart from every other on this machine and network."""
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    rclpy.init()
    yield
    rclpy.try_shutdown()


class Spinner:
    """Spins nodes in a thread."""

    def __init__(self) -> None:
        self._executor = MultiThreadedExecutor(num_threads=4)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._nodes: list[Node] = []

    def _spin(self) -> None:
        while True:
            try:
                self._executor.spin()
                return
            except ExternalShutdownException:
                return
            except InvalidHandle:
                # A test destroyed a subscription just when the executor began to wait for it.
                continue

    def add(self, node: Any) -> Any:
        """Spins a node until the end of the test; returns it."""
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def close(self) -> None:
        """Ends all."""
        self._executor.shutdown()
        self._thread.join(5.0)
        for node in self._nodes:
            if hasattr(node, 'close'):
                node.close()
            node.destroy_node()


@pytest.fixture(scope='module')
def spinner(domain: None) -> Iterator[Spinner]:
    """Spins nodes for the tests of a module."""
    result = Spinner()
    yield result
    result.close()


@pytest.fixture(scope='session')
def make_spinner(domain: None) -> type[Spinner]:
    """Makes further spinners, which the test closes."""
    return Spinner


@pytest.fixture(scope='session')
def wait_until() -> Callable[..., Any]:
    """Waits for a condition, and fails with its name when it does not come true."""

    return waiting.wait_until


@pytest.fixture(scope='module')
def robot(spinner: Spinner, wait_until: Callable[..., None]) -> Robot:
    """Talks to a field node that learns from few rays and reports often."""
    node = FieldNode(
        [
            Parameter('training.rays_per_step', value=128),
            Parameter('training.language_rays_per_step', value=32),
            Parameter('training.device', value='cpu'),
            Parameter('node.status_period_s', value=0.1),
            Parameter('node.cloud_period_s', value=0.2),
        ]
    )
    helper = Node('robot')
    result = Robot(helper, node)
    spinner.add(node)
    spinner.add(helper)
    wait_until(lambda: result.status is not None, 'a status')
    wait_until(lambda: result.keyframes.get_subscription_count() > 0, 'the node subscribes')
    return result


@pytest.fixture
def empty(robot: Robot) -> Robot:
    """The robot with a map that has just begun."""
    assert robot.trigger('resume').success
    assert robot.trigger('reset').success
    return robot


@pytest.fixture
def learning(robot: Robot, wait_until: Callable[..., None]) -> Robot:
    """The robot with a map that learns, whatever the tests before have done to it."""
    assert robot.trigger('resume').success
    if robot.node._host.map.keyframe_count < 3:
        before = robot.integrated()
        for number in range(3):
            robot.send(number)
        wait_until(lambda: robot.integrated() >= before + 3, 'three keyframes in the map', 60.0)
    wait_until(lambda: robot.step() > 0, 'the first step', 60.0)
    wait_until(lambda: robot.node._host.state == FieldStatus.TRAINING, 'training')
    return robot
