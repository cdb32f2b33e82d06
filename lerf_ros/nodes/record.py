"""Subcommand `record`: the keyframes of a running robot as a bag, which is a data set.

The bag is MCAP, as ``ros2 bag`` writes and plays it; ``lerf_ros play`` sends it again, and
``lerf_ros train`` makes the map of it. Keyframes are written as they came, byte by byte.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node

from lerf_ros.bridge import qos
from lerf_ros.msg import Keyframe
from lerf_ros.nodes.spinning import spin
from lerf_ros.sources.bag_topics import KEYFRAME_TYPE
from lerf_ros.sources.bag_writer import BagWriter, message_store


class RecorderNode(Node):
    """Writes keyframes until it is closed.

    Args:
        path: The bag, a new folder.
        topic: What is recorded.

    Raises:
        ValueError: The bag cannot be made.
    """

    def __init__(self, path: Path, topic: str = '/lerf/keyframes') -> None:
        super().__init__('recorder_node', namespace='lerf')
        definition = Path(get_package_share_directory('lerf_ros'), 'msg', 'Keyframe.msg')
        store = message_store(Keyframe=definition.read_text(encoding='utf-8'))
        self._path = path
        self._writer = BagWriter(path, store).__enter__()
        self._open = True
        subscription = self.create_subscription(
            Keyframe, topic, self._take, qos.KEYFRAMES, raw=True
        )
        self._topic = subscription.topic_name
        self.get_logger().info(f'keyframes on {self._topic} are written to {path}')

    @property
    def count(self) -> int:
        """Number of keyframes written."""
        return self._writer.count

    def _take(self, raw: bytes) -> None:
        if self._open:
            self._writer.write_raw(self._topic, time.time_ns(), KEYFRAME_TYPE, raw)

    def close(self) -> None:
        """Ends the bag."""
        if self._open:
            self._open = False
            self._writer.__exit__(None, None, None)
            # The node's own log may be gone by now: it ends with its context.
            sys.stdout.write(f'{self.count} keyframes written to {self._path}\n')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('--output', type=Path, required=True, metavar='BAG', help='a new folder')
    parser.add_argument(
        '--topic', default='/lerf/keyframes', help='topic of keyframes (%(default)s)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Records until Ctrl-C; returns the exit status."""
    return spin(partial(RecorderNode, arguments.output.absolute(), arguments.topic))
