"""Jumps of the odometry frame in the world: what a loop closure looks like to who hears TF only.

Localisation moves ``odom`` in ``map`` when it finds where the robot really is (REP 105). What was
placed by the old pose of ``odom`` then belongs where the new one puts it. Small steps are the
usual work of a localisation and move nothing; a very large one is a reset.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from lerf_ros.config import NodeOptions
from lerf_ros.geometry import Array, inverse_transform, rotation_angle

# Frames may come this many jumps late.
RECENT_JUMPS = 8


@dataclass(frozen=True, eq=False)
class Jump:
    """One jump.

    Attributes:
        before_ns: Stamp of the last pose of the odometry frame before it.
        after_ns: Stamp of the first after it.
        before: ``odom_to_world`` before it.
        after: ``odom_to_world`` after it.
        is_reset: Whether it is too large for a correction.
    """

    before_ns: int
    after_ns: int
    before: Array
    after: Array
    is_reset: bool = False

    @property
    def move(self) -> Array:
        """What the jump does to a pose in the world, from the left."""
        return self.after @ inverse_transform(self.before)

    def moved(self, camera_to_world: Array, stamp_ns: int, odom_to_world: Array | None) -> Array:
        """Returns a pose where it belongs after the jump; a reset moves only what lies between.

        Args:
            camera_to_world: The pose.
            stamp_ns: Its stamp.
            odom_to_world: By what it was placed; between both stamps of the jump that was a mix.
        """
        if stamp_ns >= self.after_ns:
            return camera_to_world
        if stamp_ns <= self.before_ns or odom_to_world is None:
            return camera_to_world if self.is_reset else self.move @ camera_to_world
        return self.after @ inverse_transform(odom_to_world) @ camera_to_world

    def __str__(self) -> str:
        moved_m, turned = difference(self.before, self.after)
        return f'{moved_m:.2f} m and {math.degrees(turned):.1f} deg'


class OdometryJumps:
    """Watches the pose of the odometry frame in the world.

    Args:
        options: What counts as a jump and as a reset.
    """

    def __init__(self, options: NodeOptions) -> None:
        self._options = options
        self._last: tuple[int, Array] | None = None
        self._recent: deque[Jump] = deque(maxlen=RECENT_JUMPS)

    def hear(self, stamp_ns: int, odom_to_world: Array) -> Jump | None:
        """Takes the newest pose of the odometry frame; returns the jump that it makes, if any."""
        last, self._last = self._last, (stamp_ns, odom_to_world)
        if last is None or stamp_ns == last[0]:
            return None
        if stamp_ns < last[0]:  # a recording has started again
            self._recent.clear()
            return None
        options = self._options
        moved_m, turned = difference(last[1], odom_to_world)
        if moved_m < options.jump_move_m and turned < math.radians(options.jump_turn_deg):
            return None
        is_reset = moved_m >= options.reset_move_m or turned >= math.radians(
            options.reset_turn_deg
        )
        jump = Jump(last[0], stamp_ns, last[1], odom_to_world, is_reset)
        self._recent.append(jump)
        return jump

    def mended(self, camera_to_world: Array, stamp_ns: int, odom_to_world: Array | None) -> Array:
        """Returns the pose of a frame that comes after jumps that are younger than it."""
        for jump in self._recent:
            camera_to_world = jump.moved(camera_to_world, stamp_ns, odom_to_world)
        return camera_to_world


def difference(first: Array, second: Array) -> tuple[float, float]:
    """Returns by how much two poses differ: metres and radians."""
    moved_m = float(np.linalg.norm(second[:3, 3] - first[:3, 3]))
    return moved_m, rotation_angle(second[:3, :3] @ first[:3, :3].T)
