"""Jumps of the odometry frame: corrections, resets, and frames that lie in between."""

from __future__ import annotations

import numpy as np
import pytest

from lerf_ros.config import NodeOptions
from lerf_ros.frames.odometry_jumps import OdometryJumps
from lerf_ros.frames.pose_source import PoseSource
from lerf_ros.frames.pose_track import interpolate
from lerf_ros.frames.transforms import TransformTree
from lerf_ros.geometry import pose_matrix

SECOND = 1_000_000_000


def at(x_m: float, y_m: float = 0.0, yaw_deg: float = 0.0) -> np.ndarray:
    half = np.radians(yaw_deg) / 2
    return pose_matrix(np.array([x_m, y_m, 0.0]), np.array([0, 0, np.sin(half), np.cos(half)]))


def test_small_steps_move_nothing() -> None:
    jumps = OdometryJumps(NodeOptions())
    assert not any(jumps.hear(n * SECOND, at(0.03 * n, yaw_deg=n)) for n in range(20))


@pytest.mark.parametrize(
    ('to', 'is_reset'),
    [(at(0.1, yaw_deg=3.0), False), (at(0.0, yaw_deg=4.0), False), (at(9.0), True)],
)
def test_a_jump_and_a_reset_are_told_apart(to: np.ndarray, is_reset: bool) -> None:
    jumps = OdometryJumps(NodeOptions())
    assert jumps.hear(SECOND, at(0.0)) is None
    jump = jumps.hear(2 * SECOND, to)
    assert jump is not None
    assert jump.is_reset == is_reset
    assert jumps.hear(2 * SECOND, to) is None, 'it is told once'
    assert (f'{to[0, 3]:.2f} m') in str(jump)


def test_keyframes_keep_their_place_in_odometry_whenever_they_came() -> None:
    jumps = OdometryJumps(NodeOptions())
    before, after = at(1.0), at(1.2, 0.1, 5.0)
    jumps.hear(SECOND, before)
    jump = jumps.hear(2 * SECOND, after)
    assert jump is not None
    in_odom = at(3.0, 2.0, 40.0)
    # Half way between both stamps TF mixes both poses of the odometry frame.
    mixed = interpolate(before, after, 0.5)
    for stamp_ns, used in ((SECOND // 2, before), (SECOND, before), (3 * SECOND // 2, mixed)):
        np.testing.assert_allclose(jump.moved(used @ in_odom, stamp_ns, used), after @ in_odom)
        np.testing.assert_allclose(jumps.mended(used @ in_odom, stamp_ns, used), after @ in_odom)
    late = after @ in_odom
    assert jump.moved(late, 2 * SECOND, after) is late


def test_a_reset_and_a_recording_that_starts_again_move_nothing() -> None:
    jumps = OdometryJumps(NodeOptions())
    jumps.hear(SECOND, at(0.0))
    reset = jumps.hear(2 * SECOND, at(50.0))
    assert reset is not None
    pose = at(3.0)
    assert reset.moved(pose, 0, at(0.0)) is pose
    # While it jumps, TF mixes the two: no camera was half way.
    half = reset.moved(at(25.0) @ pose, 3 * SECOND // 2, at(25.0))
    np.testing.assert_allclose(half, at(50.0) @ pose)
    jumps.hear(3 * SECOND, at(50.1))
    assert jumps.hear(SECOND, at(0.0)) is None, 'time has gone back'
    assert jumps.mended(pose, 0, at(0.0)) is pose


def test_only_poses_that_go_through_odometry_follow_it() -> None:
    tree = TransformTree()
    tree.set('map', 'odom', at(1.0), SECOND)
    tree.set('odom', 'base', at(0.0), SECOND)
    tree.set_static('base', 'camera', at(0.2))
    tree.set('map', 'other_camera', at(0.0), SECOND)
    poses = PoseSource('map', tree, by_topic=False)
    assert not poses.moves_with('odom'), 'nobody has asked for a camera yet'
    poses.lookup('camera', SECOND)
    assert poses.moves_with('odom')
    assert not poses.moves_with('')
    assert not PoseSource('odom', tree, by_topic=False).moves_with('odom')
    newest = poses.newest_odometry('odom')
    assert newest is not None
    assert newest[0] == SECOND
    np.testing.assert_allclose(newest[1], at(1.0))
    poses.lookup('other_camera', SECOND)
    assert not poses.moves_with('odom')
