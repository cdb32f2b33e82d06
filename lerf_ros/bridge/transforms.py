"""Where a frame is at a stamp: TF, or a topic of poses.

Lookups never wait and never take "the latest": a pose that is not there yet raises
:class:`TransformError`, and the caller asks again later. :class:`TransformTree` is the built-in
form for machines without tf2; where ``tf2_ros`` is installed it is used instead.
"""

from __future__ import annotations

import bisect
import math
from typing import Protocol

import numpy as np
from jaxtyping import Float
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from lerf_ros.bridge import qos
from lerf_ros.bridge.poses import nanoseconds, transform_matrix_of
from lerf_ros.geometry import (
    inverse_transform,
    quaternion_from_rotation,
    require_rigid,
    rotation_from_quaternion,
)

try:
    import tf2_ros
except ImportError:
    tf2_ros = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

HISTORY_S = 30.0
# Stamps that go back by more than this mean that a recording started again.
JUMP_S = 1.0


class TransformError(LookupError):
    """A transform is not known, or not known at that stamp; the message says which."""


class TransformSource(Protocol):
    """Anything that knows where frames are."""

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float[np.ndarray, '4 4']:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            TransformError: It is not known at that stamp.
        """
        ...


class TransformTree:
    """Frames that hang on one another, each with the poses of the last half minute."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._static: dict[str, np.ndarray] = {}
        self._stamps: dict[str, list[int]] = {}
        self._poses: dict[str, list[np.ndarray]] = {}

    def set(
        self, parent: str, child: str, child_to_parent: Float[np.ndarray, '4 4'], stamp_ns: int
    ) -> None:
        """Adds the pose of a frame at a stamp; a stamp far in the past starts anew."""
        stamps = self._stamps.setdefault(child, [])
        poses = self._poses.setdefault(child, [])
        if self._parents.get(child) != parent or (stamps and stamp_ns < stamps[-1] - JUMP_S * 1e9):
            stamps.clear()
            poses.clear()
        self._parents[child] = parent
        index = bisect.bisect_left(stamps, stamp_ns)
        if index < len(stamps) and stamps[index] == stamp_ns:
            poses[index] = child_to_parent
        else:
            stamps.insert(index, stamp_ns)
            poses.insert(index, child_to_parent)
        old = bisect.bisect_left(stamps, stamps[-1] - int(HISTORY_S * 1e9))
        del stamps[:old], poses[:old]

    def set_static(
        self, parent: str, child: str, child_to_parent: Float[np.ndarray, '4 4']
    ) -> None:
        """Adds the pose of a frame that never moves."""
        self._parents[child] = parent
        self._static[child] = child_to_parent

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float[np.ndarray, '4 4']:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            TransformError: It is not known at that stamp.
        """
        up_source = self._chain(source)
        up_target = self._chain(target)
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None or not (self._knows(target) and self._knows(source)):
            unknown = next((frame for frame in (source, target) if not self._knows(frame)), None)
            raise TransformError(
                f'no transform from {source!r} to {target!r}: '
                + (f'frame {unknown!r} is unknown' if unknown else 'they hang on different trees')
            )
        return inverse_transform(self._climb(up_target, common, stamp_ns)) @ self._climb(
            up_source, common, stamp_ns
        )

    def _knows(self, frame: str) -> bool:
        return frame in self._parents or frame in self._parents.values()

    def _chain(self, frame: str) -> list[str]:
        chain = [frame]
        while chain[-1] in self._parents and self._parents[chain[-1]] not in chain:
            chain.append(self._parents[chain[-1]])
        return chain

    def _climb(self, chain: list[str], common: str, stamp_ns: int) -> Float[np.ndarray, '4 4']:
        result = np.eye(4)
        for frame in chain[: chain.index(common)]:
            result = self._pose(frame, stamp_ns) @ result
        return result

    def _pose(self, frame: str, stamp_ns: int) -> Float[np.ndarray, '4 4']:
        if frame in self._static:
            return self._static[frame]
        stamps, poses = self._stamps[frame], self._poses[frame]
        index = bisect.bisect_left(stamps, stamp_ns)
        if index < len(stamps) and stamps[index] == stamp_ns:
            return poses[index]
        if index == 0 or index == len(stamps):
            nearest = stamps[0] if index == 0 else stamps[-1]
            raise TransformError(
                f'no pose of {frame!r} at {stamp_ns * 1e-9:.3f} s: '
                f'the {"oldest" if index == 0 else "newest"} is of {nearest * 1e-9:.3f} s'
            )
        share = (stamp_ns - stamps[index - 1]) / (stamps[index] - stamps[index - 1])
        return interpolate(poses[index - 1], poses[index], share)


def interpolate(
    first: Float[np.ndarray, '4 4'], second: Float[np.ndarray, '4 4'], share: float
) -> Float[np.ndarray, '4 4']:
    """Returns the pose a share of the way from the first to the second, at constant speed."""
    a = quaternion_from_rotation(first[:3, :3])
    b = quaternion_from_rotation(second[:3, :3])
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    angle = math.acos(min(cosine, 1.0))
    if angle < 1e-6:
        mixed = a + share * (b - a)
    else:
        mixed = (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
    result = np.eye(4)
    result[:3, :3] = rotation_from_quaternion(mixed / np.linalg.norm(mixed))
    result[:3, 3] = first[:3, 3] + share * (second[:3, 3] - first[:3, 3])
    return result


class Tf2Source:
    """TF by ``tf2_ros``.

    Args:
        node: Node that listens to ``/tf`` and ``/tf_static``.
    """

    def __init__(self, node: Node) -> None:
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=HISTORY_S))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float[np.ndarray, '4 4']:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            TransformError: It is not known at that stamp.
        """
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        except tf2_ros.TransformException as error:
            raise TransformError(f'no transform from {source!r} to {target!r}: {error}') from error
        return transform_matrix_of(found.transform)


def listen_to_tf(node: Node) -> TransformSource | None:
    """Returns TF as heard by a node; None where neither tf2_ros nor tf2_msgs is installed."""
    if tf2_ros is not None:
        return Tf2Source(node)
    if TFMessage is None:
        return None
    tree = TransformTree()

    def hear(message: TFMessage, static: bool) -> None:
        for entry in message.transforms:
            parent = entry.header.frame_id.lstrip('/')
            child = entry.child_frame_id.lstrip('/')
            try:
                matrix = require_rigid(transform_matrix_of(entry.transform), child)
            except ValueError as error:
                node.get_logger().error(f'/tf: {error}', throttle_duration_sec=5.0)
                continue
            if static:
                tree.set_static(parent, child, matrix)
            else:
                tree.set(parent, child, matrix, nanoseconds(entry.header.stamp))

    # Best effort: a lost pose is interpolated, whereas waiting for it to be sent again would hold
    # up all that come after it.
    node.create_subscription(TFMessage, '/tf', lambda message: hear(message, False), qos.POSES)
    latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(TFMessage, '/tf_static', lambda message: hear(message, True), latched)
    return tree
