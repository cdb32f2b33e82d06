"""Poses, transforms and stamps of messages to matrices and nanoseconds, and back."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from jaxtyping import Float

from lerf_ros.geometry import pose_matrix, quaternion_from_rotation


def pose_matrix_of(message: Pose) -> Float[np.ndarray, '4 4']:
    """Returns the (4, 4) matrix of a pose.

    Raises:
        ValueError: A number is not finite, or the quaternion is not of length 1.
    """
    position, turn = message.position, message.orientation
    return _matrix((position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w))


def transform_matrix_of(message: Transform) -> Float[np.ndarray, '4 4']:
    """Returns the (4, 4) matrix of a transform.

    Raises:
        ValueError: A number is not finite, or the quaternion is not of length 1.
    """
    move, turn = message.translation, message.rotation
    return _matrix((move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w))


def _matrix(position: tuple, quaternion_xyzw: tuple) -> Float[np.ndarray, '4 4']:
    if not np.isfinite(position).all():
        raise ValueError(f'pose: expected a finite position in metres, got {list(position)}')
    return pose_matrix(np.array(position), np.array(quaternion_xyzw))


def pose_message(matrix: Float[np.ndarray, '4 4']) -> Pose:
    """Returns the pose of a (4, 4) matrix."""
    x, y, z, w = (float(number) for number in quaternion_from_rotation(matrix[:3, :3]))
    return Pose(position=point_message(matrix[:3, 3]), orientation=Quaternion(x=x, y=y, z=z, w=w))


def transform_message(matrix: Float[np.ndarray, '4 4']) -> Transform:
    """Returns the transform of a (4, 4) matrix."""
    x, y, z, w = (float(number) for number in quaternion_from_rotation(matrix[:3, :3]))
    return Transform(
        translation=vector_message(matrix[:3, 3]), rotation=Quaternion(x=x, y=y, z=z, w=w)
    )


def point_message(position: Float[np.ndarray, '3']) -> Point:
    """Returns the message of a position."""
    x, y, z = (float(number) for number in position)
    return Point(x=x, y=y, z=z)


def vector_message(values: Float[np.ndarray, '3']) -> Vector3:
    """Returns the message of a direction or of side lengths."""
    x, y, z = (float(number) for number in values)
    return Vector3(x=x, y=y, z=z)


def nanoseconds(stamp: Time) -> int:
    """Returns a stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def stamp_message(stamp_ns: int) -> Time:
    """Returns the stamp message of nanoseconds."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
