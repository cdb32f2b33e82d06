"""What the field node shows of the map: clouds, places, markers, detections; all latched."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from lerf_ros.bridge import qos, reply
from lerf_ros.bridge.clouds import cloud_message
from lerf_ros.bridge.detections import Detection3DArray, detections_message
from lerf_ros.bridge.poses import stamp_message
from lerf_ros.query.engine import QueryResult
from lerf_ros.surface.points import SurfacePoints


class MapTopics:
    """Publishes answers and the surface; to be called from one thread.

    Args:
        node: The node.
        world_frame: Returns the frame of everything published.
    """

    def __init__(self, node: Node, world_frame: Callable[[], str]) -> None:
        self._world_frame = world_frame
        self._surface = node.create_publisher(PointCloud2, 'surface_cloud', qos.LATCHED)
        self._relevancy = node.create_publisher(PointCloud2, 'relevancy_cloud', qos.LATCHED)
        self._maxima = node.create_publisher(PoseArray, 'maxima', qos.LATCHED)
        self._markers = node.create_publisher(MarkerArray, 'markers', qos.LATCHED)
        self._detections = None
        if Detection3DArray is not None:
            self._detections = node.create_publisher(Detection3DArray, 'detections', qos.LATCHED)
        # The last answer, until its cloud is published.
        self._unseen: Sequence[QueryResult] | None = None
        self._shown: set[str] = set()

    def _header(self, stamp_ns: int) -> Header:
        return Header(stamp=stamp_message(stamp_ns), frame_id=self._world_frame())

    @property
    def wants_surface(self) -> bool:
        """Whether somebody listens to the surface cloud."""
        return self._surface.get_subscription_count() > 0

    def show(self, results: Sequence[QueryResult]) -> None:
        """Publishes an answer."""
        self._publish_places(results, self._header(results[0].stamp_ns))
        self._shown.add('answer')
        self._unseen = results
        self.publish_relevancy()

    def _publish_places(self, results: Sequence[QueryResult], header: Header) -> None:
        self._maxima.publish(reply.maxima_message(results, header))
        self._markers.publish(reply.markers_message(results, header))
        if self._detections is not None:
            self._detections.publish(detections_message(results, header))

    def publish_relevancy(self) -> None:
        """Publishes the last answer's cloud, as soon as somebody listens."""
        results = self._unseen
        if results is None or self._relevancy.get_subscription_count() == 0:
            return
        self._unseen = None
        first = results[0]
        best = np.max([result.relevancy for result in results], axis=0)
        header = self._header(first.stamp_ns)
        self._relevancy.publish(cloud_message(first.positions, first.colours, best, header))
        self._shown.add('relevancy')

    def show_surface(self, points: SurfacePoints, stamp_ns: int) -> None:
        """Publishes the surface."""
        header = self._header(stamp_ns)
        self._surface.publish(cloud_message(points.positions, points.colours, None, header))
        self._shown.add('surface')

    def clear(self) -> None:
        """Takes back what a late listener would still hear of a map that is gone."""
        header, shown = self._header(0), self._shown
        self._unseen, self._shown = None, set()
        no_points, no_colours = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
        if 'answer' in shown:
            self._publish_places((), header)
        if 'relevancy' in shown:
            empty = cloud_message(no_points, no_colours, np.zeros(0, np.float32), header)
            self._relevancy.publish(empty)
        if 'surface' in shown:
            self._surface.publish(cloud_message(no_points, no_colours, None, header))
