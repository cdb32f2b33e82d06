"""Corrected poses from a SLAM system: the map follows them.

Subscribes ``corrected_poses``, a ``nav_msgs/Path`` in the world frame: the pose of the camera's
optical frame at the stamp of each keyframe, as far as it is known. Stamps without a keyframe are
left alone, so that the path of all frames may be sent.

Subscribes ``keyframe_poses`` as well, on which keyframe nodes tell where their keyframes belong
after a jump of the odometry frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from lerf_ros.bridge import qos
from lerf_ros.frames.messages import frame_of, nanoseconds, pose_matrix_of
from lerf_ros.msg import KeyframePoses
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
        node.create_subscription(
            KeyframePoses,
            'keyframe_poses',
            self._take_stream,
            qos.KEYFRAME_POSES,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def _take_stream(self, message: KeyframePoses) -> None:
        name = self._host.intake.name_of(message.source, message.run)
        self._correct('keyframe_poses', message, message.stamps, message.poses, name)

    def _take(self, message: Path) -> None:
        stamps = [each.header.stamp for each in message.poses]
        poses = [each.pose for each in message.poses]
        self._correct('corrected_poses', message, stamps, poses, None)

    def _correct(
        self,
        topic: str,
        message: Path | KeyframePoses,
        stamps: Sequence[Time],
        poses: Sequence[Pose],
        source: str | None,
    ) -> None:
        if not poses:
            return
        if frame_of(message) != self._world_frame():
            self._complain(
                f'{topic}: expected poses in {self._world_frame()!r}, got {frame_of(message)!r}'
            )
            return
        if len(stamps) != len(poses):
            self._complain(f'{topic}: expected a stamp a pose, got {len(stamps)}, {len(poses)}')
            return
        try:
            matrices = np.stack([pose_matrix_of(pose) for pose in poses])
        except ValueError as error:
            self._complain(f'{topic}: {error}')
            return
        stamps_ns = [nanoseconds(stamp) for stamp in stamps]
        self._host.correct(stamps_ns, matrices, source).add_done_callback(self._tell)

    def _tell(self, moved: Future[int]) -> None:
        if not moved.cancelled() and (error := moved.exception()) is not None:
            self._complain(str(error))
