"""A ROS domain of its own for each test run, and nodes that are spun beside the test."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node


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
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

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
def wait_until() -> Callable[..., None]:
    """Waits for a condition, and fails with its name when it does not come true."""

    def wait(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f'{what}: not within {timeout_s:g} s'
            time.sleep(0.01)

    return wait
