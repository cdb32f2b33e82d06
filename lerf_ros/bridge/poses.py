"""Matrices and nanoseconds to messages; `lerf_ros.frames.messages` reads them."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from jaxtyping import Float

from lerf_ros.frames.messages import SECOND_NS
from lerf_ros.geometry import quaternion_from_rotation


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


def stamp_message(stamp_ns: int) -> Time:
    """Returns the stamp message of nanoseconds."""
    return Time(sec=stamp_ns // SECOND_NS, nanosec=stamp_ns % SECOND_NS)
