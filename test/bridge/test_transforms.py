"""The built-in transform tree: the pose at the stamp, never the latest; jumps; unknown frames."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lerf_ros.bridge.transforms import TransformError, TransformTree, interpolate
from lerf_ros.geometry import inverse_transform, look_at

SECOND = 1_000_000_000


def moved(x: float, yaw: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    matrix[0, 3] = x
    return matrix


@pytest.fixture
def tree() -> TransformTree:
    """map -> odom (static) -> base, moving 1 m and turning 0.2 rad a second -> camera (static)."""
    result = TransformTree()
    result.set_static('map', 'odom', moved(10.0))
    for second in range(5):
        result.set('odom', 'base', moved(float(second), 0.2 * second), second * SECOND)
    result.set_static('base', 'camera', moved(0.1))
    return result


def test_a_moving_frame_gives_the_pose_at_the_stamp(tree: TransformTree) -> None:
    expected = moved(10.0) @ moved(2.5, 0.5) @ moved(0.1)
    found = tree.lookup('map', 'camera', int(2.5 * SECOND))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_exact_stamps_are_exact(tree: TransformTree) -> None:
    np.testing.assert_array_equal(tree.lookup('odom', 'base', 3 * SECOND), moved(3.0, 0.2 * 3))


def test_both_ways_and_across(tree: TransformTree) -> None:
    tree.set_static('base', 'lidar', moved(-0.3))
    there = tree.lookup('lidar', 'camera', SECOND)
    np.testing.assert_allclose(there, moved(0.4), atol=1e-12)
    back = tree.lookup('camera', 'lidar', SECOND)
    np.testing.assert_allclose(back, inverse_transform(there), atol=1e-12)
    np.testing.assert_array_equal(tree.lookup('map', 'map', SECOND), np.eye(4))


@pytest.mark.parametrize('second', [-1.0, 4.5])
def test_no_pose_is_made_up_outside_what_was_heard(tree: TransformTree, second: float) -> None:
    with pytest.raises(TransformError, match="no pose of 'base'"):
        tree.lookup('map', 'camera', int(second * SECOND))


def test_unknown_frames_are_named(tree: TransformTree) -> None:
    with pytest.raises(TransformError, match="frame 'gripper' is unknown"):
        tree.lookup('map', 'gripper', SECOND)
    with pytest.raises(TransformError, match="frame 'world' is unknown"):
        tree.lookup('world', 'camera', SECOND)
    tree.set_static('island', 'palm', np.eye(4))
    with pytest.raises(TransformError, match='different trees'):
        tree.lookup('map', 'palm', SECOND)


def test_a_recording_that_starts_again_forgets_the_end(tree: TransformTree) -> None:
    tree.set('odom', 'base', moved(7.0), 0)
    np.testing.assert_array_equal(tree.lookup('odom', 'base', 0), moved(7.0))
    with pytest.raises(TransformError):
        tree.lookup('odom', 'base', 4 * SECOND)


def test_late_poses_are_put_in_order(tree: TransformTree) -> None:
    tree.set('odom', 'base', moved(3.75), int(3.5 * SECOND))
    found = tree.lookup('odom', 'base', int(3.75 * SECOND))
    assert found[0, 3] == pytest.approx((3.75 + 4.0) / 2)


def test_old_poses_are_forgotten() -> None:
    tree = TransformTree()
    for second in range(100):
        tree.set('map', 'camera', moved(float(second)), second * SECOND)
    with pytest.raises(TransformError, match='oldest'):
        tree.lookup('map', 'camera', 50 * SECOND)
    assert tree.lookup('map', 'camera', 80 * SECOND)[0, 3] == 80


def test_interpolation_turns_at_constant_speed_the_short_way() -> None:
    first = look_at(np.array([1.0, 0, 0]), np.zeros(3))
    second = look_at(np.array([0.0, 1, 0]), np.zeros(3))
    third = interpolate(first, second, 1 / 3)
    angle = math.acos((np.trace(third[:3, :3] @ first[:3, :3].T) - 1) / 2)
    whole = math.acos((np.trace(second[:3, :3] @ first[:3, :3].T) - 1) / 2)
    assert angle == pytest.approx(whole / 3)
    np.testing.assert_allclose(third[:3, 3], [2 / 3, 1 / 3, 0])
