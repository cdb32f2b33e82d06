"""Corrected poses from a SLAM system: the map follows them.

Subscribes ``corrected_poses``, a ``nav_msgs/Path`` in the world frame: the pose of the camera's
optical frame at the stamp of each keyframe, as far as it is known. Stamps without a keyframe are
left alone, so that the path of all frames may be sent.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from lerf_ros.bridge import qos
from lerf_ros.frames.messages import frame_of, pose_matrix_of, stamp_of
from lerf_ros.runtime.host import MapHost


class Corrections:
    """Carries corrected poses into the map.

    Args:
        node: The node.
        host: The map.
        world_frame: Returns the frame of everything in the map.
        complain: Called with a sentence when poses are malformed or name no keyframe.
    """

    def __init__(
        self,
        node: Node,
        host: MapHost,
        world_frame: Callable[[], str],
        complain: Callable[[str], None],
    ) -> None:
        self._host, self._world_frame, self._complain = host, world_frame, complain
        node.create_subscription(
            Path,
            'corrected_poses',
            self._take,
            qos.LATCHED,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def _take(self, message: Path) -> None:
        if not message.poses:
            return
        if frame_of(message) != self._world_frame():
            self._complain(
                f'corrected_poses: expected poses in {self._world_frame()!r}, got '
                f'{frame_of(message)!r}'
            )
            return
        try:
            poses = np.stack([pose_matrix_of(each.pose) for each in message.poses])
        except ValueError as error:
            self._complain(f'corrected_poses: {error}')
            return
        stamps_ns = [stamp_of(each) for each in message.poses]
        self._host.correct(stamps_ns, poses).add_done_callback(self._tell)

    def _tell(self, moved: Future[int]) -> None:
        if not moved.cancelled() and (error := moved.exception()) is not None:
            self._complain(str(error))
