"""TF as a node hears it: by tf2 where it is installed, by the built-in tree where it is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import yaml
from jaxtyping import Float
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from lerf_ros.bridge import qos
from lerf_ros.frames.messages import nanoseconds, transform_matrix_of
from lerf_ros.frames.pose_track import TransformError
from lerf_ros.frames.transforms import (
    HISTORY_NS,
    TransformSource,
    TransformTree,
    take_tf,
)

try:
    import tf2_ros
except ImportError:
    tf2_ros = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


class Tf2Source:
    """TF by ``tf2_ros``.

    Args:
        node: Node that listens to ``/tf`` and ``/tf_static``.
        reliability: 'best_effort' or 'reliable'.
    """

    def __init__(self, node: Node, reliability: str = 'best_effort') -> None:
        self._buffer = tf2_ros.Buffer(cache_time=Duration(nanoseconds=HISTORY_NS), node=node)
        # tf2's own default is reliable: it falls behind where big images fill the wire.
        profile = qos.poses(reliability)
        self._listener = tf2_ros.TransformListener(self._buffer, node, qos=profile)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float[np.ndarray, '4 4']:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            TransformError: It is not known at that stamp.
        """
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
            return transform_matrix_of(found.transform)
        except (tf2_ros.TransformException, ValueError) as error:
            raise TransformError(f'no transform from {source!r} to {target!r}: {error}') from error

    def newest_ns(self, target: str, source: str) -> int | None:
        """Returns the stamp of the newest pose on the way between two frames, if any moves."""
        try:
            found = self._buffer.lookup_transform(target, source, Time())
        except tf2_ros.TransformException:
            return None
        return nanoseconds(found.header.stamp) or None

    def above(self, frame: str) -> list[str]:
        """Returns the frames that a frame hangs on, the nearest first."""
        known = yaml.safe_load(self._buffer.all_frames_as_yaml())
        if not isinstance(known, dict):  # of no frame tf2 gives an empty list
            return []
        found: list[str] = []
        while (about := known.get(frame.lstrip('/'))) and about['parent'] not in found:
            frame = str(about['parent'])
            found.append(frame)
        return found

    def start_again(self) -> None:
        """Forgets all that moves: tf2 refuses what is older than its newest."""
        self._buffer.clear()


def listen_to_tf(
    node: Node,
    complain: Callable[[str], object] | None = None,
    reliability: str = 'best_effort',
    gap_ns: int | None = None,
) -> TransformSource | None:
    """Returns TF as heard by a node; None where neither tf2_ros nor tf2_msgs is installed.

    Args:
        node: Who listens.
        complain: Told of frames that publishers disagree about.
        reliability: 'best_effort' or 'reliable'.
        gap_ns: See :class:`TransformTree`; tf2 interpolates over any time.
    """
    if tf2_ros is not None:
        return Tf2Source(node, reliability)
    if TFMessage is None:
        return None
    complain = complain or node.get_logger().warning
    tree = TransformTree(complain=complain, gap_ns=gap_ns)

    def hear(message: TFMessage, static: bool) -> None:
        for problem in take_tf(tree, message, static=static):
            node.get_logger().error(f'/tf: {problem}', throttle_duration_sec=5.0)

    # Best effort, usually: a lost pose is interpolated, whereas waiting for it to be sent again
    # would hold up all that come after it.
    profile = qos.poses(reliability)
    node.create_subscription(TFMessage, '/tf', lambda message: hear(message, False), profile)
    node.create_subscription(
        TFMessage, '/tf_static', lambda message: hear(message, True), qos.STATIC_POSES
    )
    return tree
