"""The pose graph of RTAB-Map, as corrected poses of its body at times."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames.messages import frame_of, pose_matrix_of

try:
    from rtabmap_msgs.msg import MapData
except ImportError:  # installed where RTAB-Map is
    MapData = None


class GraphPoses:
    """Follows a pose graph: each message holds all poses, but stamps of its newest nodes only."""

    def __init__(self) -> None:
        self._stamps_ns: dict[int, int] = {}

    def take(self, message: Any) -> tuple[str, list[int], Float[np.ndarray, 'n 4 4']]:
        """Returns the frame of a graph, and stamps and body poses of the nodes known by stamp.

        Args:
            message: ``rtabmap_msgs/MapData``.

        Raises:
            ValueError: A pose is malformed, or ids and poses are not as many.
        """
        for node in message.nodes:
            self._stamps_ns[int(node.id)] = round(node.stamp * 1e9)
        graph = message.graph
        if len(graph.poses_id) != len(graph.poses):
            raise ValueError(
                f'graph: expected one pose an id, got {len(graph.poses_id)} ids and '
                f'{len(graph.poses)} poses'
            )
        known = [
            (self._stamps_ns[int(number)], pose_matrix_of(pose))
            for number, pose in zip(graph.poses_id, graph.poses, strict=True)
            if int(number) in self._stamps_ns
        ]
        poses = np.array([pose for _, pose in known]).reshape(-1, 4, 4)
        return frame_of(graph) or frame_of(message), [stamp for stamp, _ in known], poses
