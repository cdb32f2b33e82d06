"""Stamps and poses of messages as plain numbers.

Written against the fields of messages, not against their classes: what a node heard and what was
read from a recording come through the same functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import pose_matrix, require_rigid

SECOND_NS = 1_000_000_000


def nanoseconds(stamp: Any) -> int:
    """Returns a stamp in nanoseconds."""
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)


def stamp_of(message: Any) -> int:
    """Returns the stamp of a message with a header, nanoseconds."""
    return nanoseconds(message.header.stamp)


def frame_of(message: Any) -> str:
    """Returns the frame of a message with a header, without ROS 1's leading slash."""
    return str(message.header.frame_id).lstrip('/')


def pose_matrix_of(pose: Any) -> Float[np.ndarray, '4 4']:
    """Returns the (4, 4) matrix of a ``geometry_msgs/Pose``.

    Raises:
        ValueError: A number is not finite, or the quaternion is not of length 1.
    """
    position, turn = pose.position, pose.orientation
    return _matrix((position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w))


def transform_matrix_of(transform: Any) -> Float[np.ndarray, '4 4']:
    """Returns the (4, 4) matrix of a ``geometry_msgs/Transform``.

    Raises:
        ValueError: A number is not finite, or the quaternion is not of length 1.
    """
    move, turn = transform.translation, transform.rotation
    return _matrix((move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w))


def stamped_matrix_of(message: Any) -> Float[np.ndarray, '4 4']:
    """Returns the matrix of any message that tells a pose.

    Args:
        message: PoseStamped, PoseWithCovarianceStamped, Odometry or TransformStamped.

    Raises:
        ValueError: A number is not finite, or the quaternion is not of length 1.
    """
    if hasattr(message, 'transform'):
        return transform_matrix_of(message.transform)
    pose = message.pose
    return pose_matrix_of(getattr(pose, 'pose', pose))


def _matrix(position: tuple, quaternion_xyzw: tuple) -> Float[np.ndarray, '4 4']:
    if not np.isfinite(position).all():
        raise ValueError(
            f'pose: expected a finite position in metres, got {[float(x) for x in position]}'
        )
    return require_rigid(pose_matrix(np.array(position), np.array(quaternion_xyzw)), 'pose')
