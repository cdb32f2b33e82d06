"""Corrected poses from a SLAM system: the map follows them.

Subscribes ``corrected_poses``, a ``nav_msgs/Path`` in the world frame: the pose of the camera's
optical frame, or of the base it sits on, at the stamp of each keyframe, as far as it is known.
Stamps without a keyframe are left alone, so that the path of all frames may be sent.

Subscribes ``keyframe_poses`` as well, on which keyframe nodes tell where their keyframes belong
after a jump of the odometry frame; and, where rtabmap_msgs is installed, ``map_data``
(``rtabmap_msgs/MapData``), whose poses are those of the base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from jaxtyping import Float
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from lerf_ros.bridge import qos
from lerf_ros.bridge.slam_graphs import GraphPoses, MapData
from lerf_ros.config import NodeOptions
from lerf_ros.frames.messages import frame_of, nanoseconds, pose_matrix_of
from lerf_ros.frames.pose_source import mounting_of
from lerf_ros.msg import KeyframePoses

# Moves the keyframes of these stamps to these poses, of one stream or of any; returns how many.
Correct = Callable[[Sequence[int], Float[np.ndarray, 'n 4 4'], str | None], Future[int]]


class Corrections:
    """Carries corrected poses into the map.

    Args:
        node: The node.
        correct: Moves the map.
        name_of: Returns the stream in the map of a keyframe node's source and run.
        options: Say the world frame, and what corrected poses are of.
        complain: Called with a sentence when poses are malformed or name no keyframe.
    """

    def __init__(
        self,
        node: Node,
        correct: Correct,
        name_of: Callable[[str, str], str],
        options: NodeOptions,
        complain: Callable[[str], None],
    ) -> None:
        self._move, self._name_of, self._options = correct, name_of, options
        self._complain = complain
        self._mounting = mounting_of(options.camera_extrinsic)
        self._graph = GraphPoses()
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
        if MapData is not None:
            group = MutuallyExclusiveCallbackGroup()
            node.create_subscription(
                MapData, 'map_data', self._take_graph, 10, callback_group=group
            )

    def _take_stream(self, message: KeyframePoses) -> None:
        name = self._name_of(message.source, message.run)
        self._take_poses('keyframe_poses', message, message.stamps, message.poses, name)

    def _take(self, message: Path) -> None:
        stamps = [each.header.stamp for each in message.poses]
        poses = [each.pose for each in message.poses]
        self._take_poses('corrected_poses', message, stamps, poses, None)

    def _take_graph(self, message: Any) -> None:
        try:
            frame, stamps_ns, matrices = self._graph.take(message)
        except ValueError as error:
            self._complain(f'map_data: {error}')
            return
        if stamps_ns:
            self._correct('map_data', frame, stamps_ns, matrices, None, of_base=True)

    def _take_poses(
        self,
        topic: str,
        message: Path | KeyframePoses,
        stamps: Sequence[Time],
        poses: Sequence[Pose],
        source: str | None,
    ) -> None:
        if not poses:
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
        of_base = source is None and self._options.corrected_poses_of == 'base'
        self._correct(topic, frame_of(message), stamps_ns, matrices, source, of_base)

    def _correct(
        self,
        topic: str,
        frame: str,
        stamps_ns: list[int],
        poses: Float[np.ndarray, 'n 4 4'],
        source: str | None,
        of_base: bool,
    ) -> None:
        """Moves the map, if the poses are of its frame and the camera's place is known."""
        world_frame = self._options.world_frame
        if frame != world_frame:
            self._complain(f'{topic}: expected poses in {world_frame!r}, got {frame!r}')
            return
        if of_base:
            if self._mounting is None:
                self._complain(
                    f'{topic}: its poses are of the base; expected node.camera_extrinsic to say '
                    'where the camera sits on it, got nothing'
                )
                return
            poses = poses @ self._mounting
        self._move(stamps_ns, poses, source).add_done_callback(self._tell)

    def _tell(self, moved: Future[int]) -> None:
        if not moved.cancelled() and (error := moved.exception()) is not None:
            self._complain(str(error))
