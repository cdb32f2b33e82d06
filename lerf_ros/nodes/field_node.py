"""Learns the map from keyframes and answers questions meanwhile.

Subscribes ``keyframes``. Publishes ``status``, ``surface_cloud``, ``relevancy_cloud``,
``maxima``, ``markers``, ``detections`` where vision_msgs is installed, and ``relevancy_image``
(:mod:`lerf_ros.nodes.relevancy_stream`). For its services see
:mod:`lerf_ros.nodes.field_services`. One worker thread owns the device; everything here is a job
for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import psutil
import torch
from geometry_msgs.msg import PoseArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from lerf_ros.bridge import qos, reply
from lerf_ros.bridge.clouds import cloud_message
from lerf_ros.bridge.detections import Detection3DArray, detections_message
from lerf_ros.bridge.keyframes import keyframe_of
from lerf_ros.bridge.parameters import declare_options, follow_live_options
from lerf_ros.bridge.poses import stamp_message
from lerf_ros.bridge.transforms import listen_to_tf
from lerf_ros.config import LerfConfig
from lerf_ros.frames import Keyframe as MapKeyframe
from lerf_ros.frames import KeyframeId
from lerf_ros.msg import FieldStatus, Keyframe
from lerf_ros.nodes.field_services import EXPECTED, FieldServices
from lerf_ros.nodes.health import Health
from lerf_ros.nodes.relevancy_stream import RelevancyStream
from lerf_ros.nodes.spinning import spin
from lerf_ros.query.engine import QueryResult
from lerf_ros.runtime.host import MapHost
from lerf_ros.runtime.intake import Intake
from lerf_ros.scheduling.rate import Rate
from lerf_ros.scheduling.worker import INGEST, QUERY

THREADS = 6
STOP_S = 4.0


class FieldNode(Node):
    """The map as a node.

    Args:
        parameters: Values that go before those of the command line.
    """

    def __init__(self, parameters: Sequence[Parameter] = ()) -> None:
        super().__init__('field_node', namespace='lerf', parameter_overrides=list(parameters))
        self._config = declare_options(self)
        follow_live_options(self, self._config, self._apply)
        self._host = MapHost(self._config)
        self._health = Health(self, self._values)
        self._process = psutil.Process()
        self._keyframes = Rate()
        self._next_id = self._surface_points = 0
        # The last answer, until its cloud is published.
        self._unseen: Sequence[QueryResult] | None = None
        self._intake = Intake(
            lambda job: self._host.submit(job, INGEST),
            self._config.node.keyframe_backlog,
            lambda sentence: self._health.complain('rejected_keyframes', sentence),
            lambda sentence: self._health.note('overflowed_keyframes', sentence),
            self._on_integrated,
        )
        self._stream = RelevancyStream(
            self,
            self._host,
            lambda: self._config,
            lambda sentence: self._health.complain('missed_pictures', sentence),
        )
        self._requests = FieldServices(
            self,
            self._host,
            listen_to_tf(self),
            self._health,
            lambda: self._config,
            self._show,
            self._on_replaced,
        )
        self._make_topics()
        self.get_logger().info(
            f'encoder {self._host.map.encoder.name} on {self._host.map.device}, waiting for '
            f'keyframes on {self.resolve_topic_name("keyframes")}'
        )

    def _make_topics(self) -> None:
        self._status = self.create_publisher(FieldStatus, 'status', qos.LATCHED)
        self._surface = self.create_publisher(PointCloud2, 'surface_cloud', qos.LATCHED)
        self._relevancy = self.create_publisher(PointCloud2, 'relevancy_cloud', qos.LATCHED)
        self._maxima = self.create_publisher(PoseArray, 'maxima', qos.LATCHED)
        self._markers = self.create_publisher(MarkerArray, 'markers', qos.LATCHED)
        self._detections = None
        if Detection3DArray is not None:
            self._detections = self.create_publisher(Detection3DArray, 'detections', qos.LATCHED)
        self.create_subscription(
            Keyframe,
            'keyframes',
            self._on_keyframe,
            qos.KEYFRAMES,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        # Status is news of the process, not of the scene: it goes on while /clock stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for period_s, callback in (
            (self._config.node.status_period_s, self._publish_status),
            (self._config.node.cloud_period_s, self._publish_clouds),
        ):
            self.create_timer(period_s, callback, MutuallyExclusiveCallbackGroup(), clock=steady)

    def _apply(self, config: LerfConfig) -> None:
        self._config = config

    def _on_keyframe(self, message: Keyframe) -> None:
        id_, self._next_id = KeyframeId('camera', self._next_id), self._next_id + 1
        world_frame = self._config.node.world_frame
        self._intake.take(
            lambda: keyframe_of(message, id_, world_frame), self._host.map.ingest_jobs
        )

    def _on_integrated(self, keyframe: MapKeyframe) -> None:
        self._keyframes.tick()
        self._surface_points = len(self._host.map.surface())
        self._stream.offer(keyframe)

    def _on_replaced(self) -> None:
        """Forgets what was counted of the map that is gone."""
        self._intake.reset()
        self._unseen = None
        self._surface_points = self._host.run(
            lambda: len(self._host.map.surface()), QUERY, self._config.node.query_timeout_s
        )

    def _header(self, stamp_ns: int) -> Header:
        return Header(stamp=stamp_message(stamp_ns), frame_id=self._config.node.world_frame)

    def _show(self, results: Sequence[QueryResult], phrase: str) -> None:
        """Publishes the last answer for people and planners, and what its phrase looks like."""
        # A question by pictures only leaves the phrase before it.
        self._stream.phrase = phrase or self._stream.phrase
        header = self._header(results[0].stamp_ns)
        self._maxima.publish(reply.maxima_message(results, header))
        self._markers.publish(reply.markers_message(results, header))
        if self._detections is not None:
            self._detections.publish(detections_message(results, header))
        self._unseen = results
        self._publish_relevancy()

    def _publish_relevancy(self) -> None:
        """Publishes the last answer's cloud, as soon as somebody listens."""
        results = self._unseen
        if results is None or self._relevancy.get_subscription_count() == 0:
            return
        self._unseen = None
        first = results[0]
        best = np.max([result.relevancy for result in results], axis=0)
        header = self._header(first.stamp_ns)
        self._relevancy.publish(cloud_message(first.positions, first.colours, best, header))

    def _publish_clouds(self) -> None:
        self._publish_relevancy()
        live_map = self._host.map
        if self._surface.get_subscription_count() == 0 or live_map.keyframe_count == 0:
            return
        try:
            points, stamp_ns = self._host.run(
                lambda: (live_map.surface(), live_map.last_stamp_ns),
                QUERY,
                self._config.node.query_timeout_s,
            )
        except EXPECTED as error:
            self._health.complain('missed_clouds', f'surface_cloud: {error}')
            return
        header = self._header(stamp_ns)
        self._surface.publish(cloud_message(points.positions, points.colours, None, header))

    def _publish_status(self) -> None:
        live_map, error = self._host.map, self._host.error
        cuda = live_map.device.type == 'cuda'
        message = FieldStatus(
            header=Header(
                stamp=self.get_clock().now().to_msg(), frame_id=self._config.node.world_frame
            ),
            state=self._host.state,
            step=live_map.trainer.step_count,
            steps_per_second=self._host.steps_per_second,
            loss=float(self._host.loss),
            keyframes_received=self._intake.received,
            keyframes_integrated=self._intake.integrated,
            keyframes_dropped=self._intake.dropped,
            surface_points=self._surface_points,
            device=str(live_map.device),
            memory_bytes=self._process.memory_info().rss,
            device_memory_bytes=torch.cuda.memory_allocated(live_map.device) if cuda else 0,
            last_error=str(error) if error is not None else self._health.last_error,
        )
        self._status.publish(message)

    def _values(self) -> dict[str, object]:
        return {
            'state': self._host.state,
            'steps_per_second': self._host.steps_per_second,
            'loss': self._host.loss,
            'keyframe_rate_hz': self._keyframes.hz,
            'keyframe_age_s': self._keyframes.age_s,
            'keyframes_received': self._intake.received,
            'keyframes_integrated': self._intake.integrated,
            'keyframes_dropped': self._intake.dropped,
            'query_s': self._requests.query_s,
            'memory_mb': self._process.memory_info().rss / 2**20,
        }

    def close(self) -> None:
        """Ends the worker; whoever waits for it gets an answer."""
        self._host.stop(STOP_S)


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(FieldNode, threads=THREADS)


if __name__ == '__main__':
    sys.exit(main())
