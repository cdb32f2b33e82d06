"""The built-in transform tree: the pose at the stamp, never the latest; jumps; unknown frames."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from plain_messages import (
    Message,
    odometry,
    pose_stamped,
    transform_stamped,
    with_covariance,
)

from lerf_ros.frames.messages import stamped_matrix_of
from lerf_ros.frames.pose_track import PoseTrack, TransformError, interpolate
from lerf_ros.frames.transforms import TransformTree, take_tf
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


def test_the_nearest_name_is_said(tree: TransformTree) -> None:
    with pytest.raises(TransformError, match="the nearest name is 'camera'"):
        tree.lookup('map', 'camera_', SECOND)
    with pytest.raises(TransformError, match='nothing was heard'):
        TransformTree().lookup('map', 'camera', SECOND)


def test_two_parents_and_a_static_frame_that_moves_are_told_once() -> None:
    told: list[str] = []
    tree = TransformTree(complain=told.append)
    tree.set('map', 'base', moved(1.0), SECOND)
    for second in range(2, 5):
        tree.set('odom', 'base', moved(float(second)), second * SECOND)
    assert tree.lookup('odom', 'base', 3 * SECOND)[0, 3] == 3.0
    assert len(told) == 1
    assert "hangs on 'map' and on 'odom'" in told[0]
    tree.set_static('base', 'camera', moved(0.5))
    for second in range(1, 4):
        tree.set('base', 'camera', moved(float(second)), second * SECOND)
    assert tree.lookup('base', 'camera', 2 * SECOND)[0, 3] == 2.0
    assert len(told) == 2
    assert 'static' in told[1]


def test_a_loop_of_frames_is_refused() -> None:
    tree = TransformTree()
    tree.set_static('map', 'base', np.eye(4))
    tree.set_static('base', 'map', np.eye(4))
    with pytest.raises(TransformError, match='loop'):
        tree.lookup('map', 'camera', 0)


def test_tracks_interpolate_and_do_not_extrapolate() -> None:
    track = PoseTrack()
    track.add(100, moved(2.0, math.pi / 2))
    track.add(0, np.eye(4))
    np.testing.assert_allclose(track.at(50), moved(1.0, math.pi / 4), atol=1e-12)
    for stamp_ns in (-1, 101):
        with pytest.raises(TransformError, match='no pose'):
            track.at(stamp_ns)


@pytest.mark.parametrize(
    ('pose', 'said'),
    [
        (moved(0.019, math.radians(0.9)), None),
        (moved(0.03), 'moved by 3 cm and 0 degrees'),
        (moved(0.0, math.radians(2.0)), 'moved by 0 cm and 2 degrees'),
    ],
)
def test_nothing_is_interpolated_over_a_gap_in_which_it_moved(
    pose: np.ndarray, said: str | None
) -> None:
    track = PoseTrack(gap_ns=SECOND // 2)
    track.add(0, np.eye(4))
    track.add(SECOND, pose)
    if said is None:
        assert track.at(SECOND // 2)[0, 3] == pytest.approx(pose[0, 3] / 2)
    else:
        with pytest.raises(TransformError, match=said):
            track.at(SECOND // 2, 'camera')
    np.testing.assert_array_equal(track.at(SECOND), pose)
    # The pose that was missing comes late.
    track.add(SECOND // 2, moved(5.0))
    assert track.at(3 * SECOND // 4)[0, 3] == pytest.approx((5.0 + pose[0, 3]) / 2)


def test_a_refused_pose_in_a_gap_does_not_close_it() -> None:
    track = PoseTrack(gap_ns=SECOND // 2)
    for stamp_ns, pose in ((0, moved(0.0)), (SECOND // 2, 'not finite'), (SECOND, moved(1.0))):
        track.add(stamp_ns, pose)
    with pytest.raises(TransformError, match=r'1\.00 s apart'):
        track.at(SECOND // 4)


def test_a_refused_pose_costs_its_stamp_only() -> None:
    track = PoseTrack()
    for stamp_ns, pose in ((0, moved(0.0)), (100, 'quaternion: of length 0'), (200, moved(2.0))):
        track.add(stamp_ns, pose)
    with pytest.raises(TransformError, match='of length 0'):
        track.at(100)
    assert track.at(150)[0, 3] == pytest.approx(1.5)


def test_a_track_that_starts_again_keeps_what_it_heard_since() -> None:
    track = PoseTrack()
    for stamp_ms, x in ((1000, 0.0), (1100, 1.0), (1200, 2.0), (1000, 5.0), (1050, 5.5)):
        track.add(stamp_ms * 1_000_000, moved(x))
    track.start_again()
    assert track.at(1_025_000_000)[0, 3] == pytest.approx(5.25)
    with pytest.raises(TransformError):
        track.at(1_100_000_000)


def test_slerp_agrees_with_its_formula() -> None:
    first, second = moved(0.0, 0.3), moved(1.0, 1.1)
    for share in (0.0, 0.25, 0.5, 1.0):
        expected = moved(share, 0.3 + share * 0.8)
        np.testing.assert_allclose(interpolate(first, second, share), expected, atol=1e-12)


@pytest.mark.parametrize(
    'make', [pose_stamped, with_covariance, odometry, transform_stamped], ids=lambda f: f.__name__
)
def test_every_message_that_tells_a_pose_is_read(make: Callable) -> None:
    expected = look_at(np.array([1.0, 0.5, 1.0]), np.zeros(3))
    np.testing.assert_allclose(stamped_matrix_of(make(expected, 7)), expected, atol=1e-12)


def test_a_bad_transform_is_refused_and_the_others_kept() -> None:
    bad = transform_stamped(np.eye(4), 0, 'base', 'wheel')
    bad.transform.rotation.w = 0.0
    message = Message(transforms=[bad, transform_stamped(moved(1.0), 0)])
    tree = TransformTree()
    problems = take_tf(tree, message, static=False)
    assert len(problems) == 1
    assert "from 'wheel' to 'base' is refused" in problems[0]
    assert tree.lookup('map', 'camera', 0)[0, 3] == 1.0


def test_far_from_the_origin_a_pose_is_as_exact() -> None:
    """The world is UTM's: half a million and five million metres away."""
    utm = np.eye(4)
    utm[:3, 3] = [500_000.0, 5_400_000.0, 100.0]
    tree = TransformTree()
    tree.set_static('utm', 'odom', utm @ moved(0.0, 0.7))
    for second in range(3):
        tree.set('odom', 'base', moved(float(second), 0.2 * second), second * SECOND)
    tree.set_static('base', 'camera', moved(0.1))
    expected = utm @ moved(0.0, 0.7) @ moved(1.5, 0.3) @ moved(0.1)
    found = tree.lookup('utm', 'camera', int(1.5 * SECOND))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        tree.lookup('camera', 'utm', int(1.5 * SECOND)), inverse_transform(expected), rtol=0,
        atol=1e-7,
    )  # fmt: skip
