"""Corrected poses from a SLAM system move the map."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from field_robot import Robot
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.node import Node

from lerf_ros.bridge import qos
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.config import NodeOptions
from lerf_ros.geometry import look_at
from lerf_ros.nodes.corrections import Corrections


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
    epoch = learning.query('red mug').pose_epoch
    publisher.publish(path_of(learning, 0.05))
    wait_until(lambda: abs(moved_m() - 0.05) < 1e-6, 'the keyframes move', 60.0)
    # Whoever kept an answer sees that its places are of before.
    assert learning.query('red mug').pose_epoch == epoch + 1
    wait_until(lambda: learning.status.pose_epoch == epoch + 1, 'the status tells it', 30.0)
    back = path_of(learning, -0.05)
    publisher.publish(back)
    wait_until(lambda: abs(moved_m()) < 1e-6, 'and move back', 60.0)
    assert np.allclose(learning.node._host.map.keyframe_poses(), before)


class Moves:
    """Notes what a map would be told."""

    def __init__(self) -> None:
        self.told: list[tuple[list[int], np.ndarray]] = []

    def correct(
        self, stamps_ns: list[int], poses: np.ndarray, source: str | None = None
    ) -> Future[int]:
        """Notes a correction."""
        self.told.append((stamps_ns, poses))
        done: Future[int] = Future()
        done.set_result(len(stamps_ns))
        return done


@pytest.mark.parametrize('extrinsic', ['0.1 0 0.2 -0.5 0.5 -0.5 0.5', ''])
def test_poses_of_the_base_become_those_of_the_camera_on_it(
    spinner: Any, wait_until: Callable[..., None], extrinsic: str
) -> None:
    moves, complaints = Moves(), []
    options = NodeOptions(corrected_poses_of='base', camera_extrinsic=extrinsic)
    name = f'corrections_{len(extrinsic)}'
    node = spinner.add(Node(name, namespace=name))
    Corrections(node, moves.correct, lambda source, run: source, options, complaints.append)
    base_to_world = look_at(np.array([1.0, 2.0, 0.5]), np.array([0.0, 0.0, 0.2]))
    message = Path()
    message.header.frame_id = 'map'
    stamped = PoseStamped(pose=pose_message(base_to_world))
    stamped.header.stamp = stamp_message(7_000_000_000)
    message.poses.append(stamped)
    publisher = node.create_publisher(Path, 'corrected_poses', qos.LATCHED)
    publisher.publish(message)
    if not extrinsic:
        wait_until(lambda: complaints, 'a complaint')
        assert 'expected node.camera_extrinsic' in complaints[0]
        assert not moves.told
        return
    wait_until(lambda: moves.told, 'a correction')
    ((stamps_ns, poses),) = moves.told
    assert stamps_ns == [7_000_000_000]
    # The camera looks along the base's x axis, 10 cm ahead and 20 cm up.
    place = base_to_world @ [0.1, 0.0, 0.2, 1.0]
    np.testing.assert_allclose(poses[0, :3, 3], place[:3], atol=1e-9)
    np.testing.assert_allclose(poses[0, :3, 2], base_to_world[:3, 0], atol=1e-9)
    assert not complaints
