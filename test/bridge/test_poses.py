"""Poses, transforms and stamps there and back; bad ones refused."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, Quaternion

from lerf_ros.bridge.poses import pose_message, stamp_message, transform_message
from lerf_ros.frames.messages import nanoseconds, pose_matrix_of, transform_matrix_of
from lerf_ros.geometry import look_at


@pytest.mark.parametrize('seed', range(5))
def test_there_and_back(seed: int) -> None:
    matrix = look_at(*np.random.default_rng(seed).normal(size=(2, 3)))
    np.testing.assert_allclose(pose_matrix_of(pose_message(matrix)), matrix, atol=1e-12)
    np.testing.assert_allclose(transform_matrix_of(transform_message(matrix)), matrix, atol=1e-12)


def test_a_quarter_turn_is_the_one_ros_means() -> None:
    half = np.sqrt(0.5)
    pose = Pose(position=Point(x=1.0, y=2.0, z=3.0), orientation=Quaternion(z=half, w=half))
    np.testing.assert_allclose(pose_matrix_of(pose) @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


@pytest.mark.parametrize(
    ('pose', 'words'),
    [
        (Pose(position=Point(x=float('nan'))), 'finite position'),
        (Pose(position=Point(y=float('inf'))), 'finite position'),
        (Pose(orientation=Quaternion(w=0.0)), 'unit length'),
        (Pose(orientation=Quaternion(x=1.0, w=1.0)), 'unit length'),
        (Pose(orientation=Quaternion(w=float('nan'))), 'unit length'),
    ],
)
def test_bad_poses_are_refused(pose: Pose, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pose_matrix_of(pose)


def test_stamps() -> None:
    assert nanoseconds(stamp_message(1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789
