"""Corrected poses from a SLAM system move the map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from field_robot import Robot
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path

from lerf_ros.bridge import qos
from lerf_ros.bridge.poses import pose_message, stamp_message


def path_of(robot: Robot, shift_m: float, frame_id: str = 'map') -> Path:
    """Returns the poses of the map's keyframes, shifted along x."""
    store = robot.node._host.map.current.trainer.store
    message = Path()
    message.header.frame_id = frame_id
    for id_, stamp_ns in store.stamps().items():
        pose = store.pose(id_)
        pose[0, 3] += shift_m
        stamped = PoseStamped(pose=pose_message(pose))
        stamped.header.stamp = stamp_message(stamp_ns)
        message.poses.append(stamped)
    return message


def test_the_map_follows_corrected_poses(learning: Robot, wait_until: Callable[..., None]) -> None:
    before = learning.node._host.map.keyframe_poses()
    publisher = learning.helper.create_publisher(Path, '/lerf/corrected_poses', qos.LATCHED)
    wait_until(lambda: publisher.get_subscription_count() > 0, 'the node listens')

    def moved_m() -> float:
        return float((learning.node._host.map.keyframe_poses() - before)[:, 0, 3].mean())

    publisher.publish(path_of(learning, 5.0, 'odom'))
    wait_until(lambda: 'corrected_poses' in learning.node._health.last_error, 'a complaint')
    publisher.publish(path_of(learning, 0.05))
    wait_until(lambda: abs(moved_m() - 0.05) < 1e-6, 'the keyframes move', 60.0)
    back = path_of(learning, -0.05)
    publisher.publish(back)
    wait_until(lambda: abs(moved_m()) < 1e-6, 'and move back', 60.0)
    assert np.allclose(learning.node._host.map.keyframe_poses(), before)
