"""Plays recorded keyframes on ``keyframes``, byte by byte as they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lerf_ros.bridge import qos
from lerf_ros.msg import Keyframe
from lerf_ros.sources.bag_reader import open_bag
from lerf_ros.sources.bag_topics import KEYFRAME_TYPE

TICK_S = 0.02


class KeyframePlayerNode(Node):
    """Publishes the keyframes of a bag.

    Args:
        path: The bag.
        rate_hz: Keyframes a second; 0: as they were recorded.
        wait: Whether to wait until somebody listens.
        on_end: Called after the last one.
        namespace: Namespace of the node and its topic.
    """

    def __init__(
        self,
        path: Path,
        rate_hz: float = 0.0,
        wait: bool = True,
        on_end: Callable[[], object] = rclpy.try_shutdown,
        namespace: str = 'lerf',
    ) -> None:
        super().__init__('keyframe_player_node', namespace=namespace)
        if rate_hz < 0:
            raise ValueError(f'rate: expected 0 or more keyframes a second, got {rate_hz}')
        self._rate_hz, self._wait, self._on_end = rate_hz, wait, on_end
        self._publisher = self.create_publisher(Keyframe, 'keyframes', qos.KEYFRAMES)
        self._records = _records(path)
        self._next = next(self._records, None)
        self._first_ns = 0 if self._next is None else self._next[0]
        self._started = 0.0
        self.count = 0
        self._timer = self.create_timer(
            TICK_S, self._send, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _send(self) -> None:
        if self._wait and self._publisher.get_subscription_count() == 0:
            return
        self._wait = False
        self._started = self._started or time.monotonic()
        played_s = time.monotonic() - self._started
        while self._next is not None and self._due_s(self._next[0]) <= played_s:
            self._publisher.publish(self._next[1])
            self.count += 1
            self._next = next(self._records, None)
        if self._next is None:
            self.get_logger().info(f'the end: {self.count} keyframes were sent')
            self._timer.cancel()
            self._on_end()

    def _due_s(self, recorded_ns: int) -> float:
        """Returns when after the first one the next keyframe is due."""
        if self._rate_hz:
            return self.count / self._rate_hz
        return (recorded_ns - self._first_ns) * 1e-9


def has_keyframes(path: Path) -> bool:
    """Tells whether a bag holds keyframes.

    Raises:
        ValueError: It is no bag.
    """
    with open_bag(path) as reader:
        return KEYFRAME_TYPE in reader.topics.values()


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    with open_bag(path) as reader:
        topics = [name for name, kind in reader.topics.items() if kind == KEYFRAME_TYPE]
        for _, recorded_ns, raw in reader.raw(topics):
            yield recorded_ns, raw
