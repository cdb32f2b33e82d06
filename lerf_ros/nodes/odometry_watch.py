"""Watches where localisation puts the odometry frame, and lets keyframes follow its jumps."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lerf_ros.config import NodeOptions
from lerf_ros.frames.odometry_jumps import Jump, OdometryJumps
from lerf_ros.frames.pose_source import PoseSource
from lerf_ros.geometry import Array

LOOK_S = 0.05
# How often it is asked whether poses go through the odometry frame.
WAY_S = 1.0


class OdometryWatch:
    """Looks at the pose of the odometry frame again and again.

    Args:
        node: The keyframe node.
        options: The frame, and what counts as a jump.
        poses: Knows it.
        on_jump: Called with each jump.
    """

    def __init__(
        self,
        node: Node,
        options: NodeOptions,
        poses: PoseSource,
        on_jump: Callable[[Jump], None],
    ) -> None:
        self._frame, self._poses, self._on_jump = options.odom_frame, poses, on_jump
        self._jumps = OdometryJumps(options)
        self._on_the_way, self._asked_s = False, -float('inf')
        if self._frame:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            node.create_timer(LOOK_S, self.look, clock=steady)

    def look(self) -> None:
        """Looks whether the odometry frame has jumped."""
        now = time.monotonic()
        if now - self._asked_s > WAY_S:
            self._asked_s = now
            self._on_the_way = self._poses.moves_with(self._frame)
        newest = self._poses.newest_odometry(self._frame) if self._on_the_way else None
        if newest is not None and (jump := self._jumps.hear(*newest)) is not None:
            self._on_jump(jump)

    def at(self, stamp_ns: int) -> Array | None:
        """Returns the pose of the odometry frame by which a frame of that stamp is placed."""
        return self._poses.odometry_at(self._frame, stamp_ns) if self._on_the_way else None

    def mended(self, camera_to_world: Array, stamp_ns: int) -> Array:
        """Returns the pose of a frame that was taken before a jump and comes after it."""
        return self._jumps.mended(camera_to_world, stamp_ns, self.at(stamp_ns))
