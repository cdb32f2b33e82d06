"""What the field node shows of the map: clouds, places, markers, cameras; all latched.

Publishes ``surface_cloud``, ``relevancy_cloud``, ``maxima``, ``markers``, ``keyframe_path``,
``keyframe_frusta``, and ``detections`` where vision_msgs is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseArray
from jaxtyping import Float
from nav_msgs.msg import Path
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from lerf_ros.bridge import qos, reply
from lerf_ros.bridge.clouds import cloud_message
from lerf_ros.bridge.detections import Detection3DArray, detections_message
from lerf_ros.bridge.keyframe_path import frusta_message, path_message
from lerf_ros.bridge.markers import markers_message
from lerf_ros.bridge.poses import stamp_message
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryResult
from lerf_ros.surface.points import SurfacePoints


@dataclass(frozen=True, eq=False)
class MapLook:
    """What is shown of a map that nobody asked.

    Attributes:
        surface: The surface cloud.
        poses: `camera_to_world` of its keyframes, oldest first.
        camera: Their intrinsics; None without any.
        stamp_ns: Stamp of the newest.
    """

    surface: SurfacePoints
    poses: Float[np.ndarray, 'n 4 4']
    camera: PinholeCamera | None
    stamp_ns: int


def look_at_map(live_map: Atlas | Submap) -> MapLook:
    """Looks at a map; to be called where the map may be touched."""
    return MapLook(
        live_map.surface(),
        live_map.keyframe_poses(),
        live_map.last_camera,
        live_map.last_stamp_ns,
    )


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
        self._path = node.create_publisher(Path, 'keyframe_path', qos.LATCHED)
        self._frusta = node.create_publisher(Marker, 'keyframe_frusta', qos.LATCHED)
        self._poses: np.ndarray | None = None
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

    @property
    def wants_keyframes(self) -> bool:
        """Whether somebody listens to where keyframes were taken."""
        return any(topic.get_subscription_count() for topic in (self._path, self._frusta))

    def show(self, results: Sequence[QueryResult]) -> None:
        """Publishes an answer."""
        self._publish_places(results, self._header(results[0].stamp_ns))
        self._shown.add('answer')
        self._unseen = results
        self.publish_relevancy()

    def _publish_places(self, results: Sequence[QueryResult], header: Header) -> None:
        self._maxima.publish(reply.maxima_message(results, header))
        self._markers.publish(markers_message(results, header))
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

    def show_map(self, look: MapLook) -> None:
        """Publishes the surface, and where keyframes were taken if that has changed."""
        header = self._header(look.stamp_ns)
        if self.wants_surface:
            points = look.surface
            self._surface.publish(cloud_message(points.positions, points.colours, None, header))
            self._shown.add('surface')
        if self._poses is None or not np.array_equal(self._poses, look.poses):
            self._poses = look.poses
            self._path.publish(path_message(look.poses, header))
            self._frusta.publish(frusta_message(look.poses, look.camera, header))
            self._shown.add('keyframes')

    def clear(self) -> None:
        """Takes back what a late listener would still hear of a map that is gone."""
        header, shown = self._header(0), self._shown
        self._unseen, self._shown, self._poses = None, set(), None
        no_points, no_colours = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
        if 'answer' in shown:
            self._publish_places((), header)
        if 'relevancy' in shown:
            empty = cloud_message(no_points, no_colours, np.zeros(0, np.float32), header)
            self._relevancy.publish(empty)
        if 'surface' in shown:
            self._surface.publish(cloud_message(no_points, no_colours, None, header))
        if 'keyframes' in shown:
            self._path.publish(path_message(np.zeros((0, 4, 4)), header))
            self._frusta.publish(frusta_message(np.zeros((0, 4, 4)), None, header))
