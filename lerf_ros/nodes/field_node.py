"""Learns the map from keyframes and answers questions meanwhile.

Subscribes ``keyframes``, ``ask`` (:mod:`lerf_ros.nodes.ask_topic`) and ``corrected_poses``
(:mod:`lerf_ros.nodes.corrections`). Publishes ``status``, the map and its answers
(:mod:`lerf_ros.nodes.map_topics`), and ``relevancy_image``
(:mod:`lerf_ros.nodes.relevancy_stream`). For its services see
:mod:`lerf_ros.nodes.field_services`. One worker thread owns the device; everything here is a job
for it, and nothing here waits for one.
"""

from __future__ import annotations

import functools
import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import Future

import psutil
import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.keyframes import frame_of, source_of
from lerf_ros.bridge.parameters import declare_options, follow_live_options
from lerf_ros.bridge.transforms import listen_to_tf
from lerf_ros.config import NodeOptions
from lerf_ros.frames import PosedFrame
from lerf_ros.msg import FieldStatus, Keyframe
from lerf_ros.nodes.ask_topic import AskTopic
from lerf_ros.nodes.corrections import Corrections
from lerf_ros.nodes.field_services import FieldServices
from lerf_ros.nodes.health import Health
from lerf_ros.nodes.map_topics import MapLook, MapTopics, look_at_map
from lerf_ros.nodes.page import open_page
from lerf_ros.nodes.relevancy_stream import RelevancyStream
from lerf_ros.nodes.spinning import spin
from lerf_ros.nodes.stream_report import counted, stream_messages, stream_values
from lerf_ros.query.engine import QueryResult
from lerf_ros.runtime.host import MapHost
from lerf_ros.scheduling.worker import QUERY

# Status, clouds, keyframes, services, expiry; none of them waits for the map.
THREADS = 5
STOP_S = 4.0


class FieldNode(Node):
    """The map as a node.

    Args:
        parameters: Values that go before those of the command line.
    """

    def __init__(self, parameters: Sequence[Parameter] = ()) -> None:
        super().__init__('field_node', namespace='lerf', parameter_overrides=list(parameters))
        self._host = MapHost(declare_options(self))
        follow_live_options(self, self._host.options)
        self._health = Health(self, self._values)
        self._process = psutil.Process()
        self._run = uuid.uuid4().hex[:12]
        intake = self._host.intake
        intake.on_complaint = functools.partial(self._health.complain, 'rejected_keyframes')
        intake.on_note = functools.partial(self._health.note, 'lost_keyframes')
        intake.on_clash = functools.partial(self._health.complain, 'same_source')
        self._topics = MapTopics(self, lambda: self._options.world_frame)
        self._stream = RelevancyStream(
            self,
            self._host,
            lambda sentence: self._health.complain('missed_pictures', sentence),
        )
        self._requests = FieldServices(
            self, self._host, listen_to_tf(self), self._health, self._show
        )
        self._host.on_replaced.append(lambda: self._requests.later(self._forget))
        self._looking: Future[MapLook] | None = None
        self._ask = AskTopic(self, self._host, self._requests.later, self._show)
        self._corrections = Corrections(
            self,
            self._host.correct,
            self._host.intake.name_of,
            self._options,
            functools.partial(self._health.complain, 'rejected_corrections'),
        )
        self._page = open_page(self, self._host, self._health)
        self._listen()
        self.get_logger().info(
            f'encoder {self._host.map.encoder.name} on {self._host.map.device}, waiting for '
            f'keyframes on {self.resolve_topic_name("keyframes")}'
        )

    @property
    def _options(self) -> NodeOptions:
        return self._host.options.current.node

    def _listen(self) -> None:
        self._status = self.create_publisher(FieldStatus, 'status', qos.LATCHED)
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
            (self._options.status_period_s, self._publish_status),
            (self._options.cloud_period_s, self._publish_clouds),
        ):
            self.create_timer(period_s, callback, MutuallyExclusiveCallbackGroup(), clock=steady)

    def _on_keyframe(self, message: Keyframe) -> None:
        world_frame = self._options.world_frame

        def read() -> PosedFrame:
            return frame_of(message, world_frame)

        self._stream.offer(read)
        self._host.intake.take(read, source_of(message), message.index, message.run)

    def _show(self, results: Sequence[QueryResult], phrase: str) -> None:
        """Publishes the last answer for people and planners, and what its phrase looks like."""
        # A question by pictures only leaves the phrase before it.
        self._stream.phrase = phrase or self._stream.phrase
        self._topics.show(results)

    def _forget(self) -> None:
        """Takes back what was shown of a map that is gone."""
        self._stream.phrase = ''
        self._topics.clear()
        self._publish_status()

    def _publish_clouds(self) -> None:
        self._requests.later(self._topics.publish_relevancy)
        live_map, topics = self._host.map, self._topics
        waits = self._looking is not None and not self._looking.done()
        wanted = topics.wants_surface or topics.wants_keyframes
        if waits or not wanted or live_map.keyframe_count == 0:
            return
        map_id = live_map.id
        self._looking = self._host.submit(lambda: look_at_map(live_map), QUERY)
        self._looking.add_done_callback(
            lambda look: self._requests.later(lambda: self._show_map(map_id, look))
        )

    def _show_map(self, map_id: str, look: Future[MapLook]) -> None:
        error = look.exception()
        if error is not None:
            self._health.complain('missed_clouds', f'surface_cloud: {error}')
        elif self._host.map.id == map_id:
            self._topics.show_map(look.result())

    def _publish_status(self) -> None:
        host, live_map, error = self._host, self._host.map, self._host.error
        cuda = live_map.device.type == 'cuda'
        message = FieldStatus(
            header=Header(
                stamp=self.get_clock().now().to_msg(), frame_id=self._options.world_frame
            ),
            state=host.state,
            map_id=live_map.id,
            run=self._run,
            step=live_map.step_count,
            pose_epoch=live_map.pose_epoch,
            steps_per_second=host.steps_per_second,
            loss=float(host.loss),
            keyframes_received=counted(host.intake.received),
            keyframes_integrated=counted(host.intake.integrated),
            keyframes_dropped=counted(host.intake.dropped),
            streams=stream_messages(host.intake),
            surface_points=host.surface_points,
            device=str(live_map.device),
            memory_bytes=self._process.memory_info().rss,
            device_memory_bytes=torch.cuda.memory_allocated(live_map.device) if cuda else 0,
            last_error=str(error) if error is not None else self._health.complaint,
        )
        self._status.publish(message)

    def _values(self) -> dict[str, object]:
        host = self._host
        return {
            'state': host.state,
            'map_id': host.map.id,
            'steps_per_second': host.steps_per_second,
            'loss': host.loss,
            'keyframe_rate_hz': host.keyframes.hz,
            'keyframe_age_s': host.keyframes.age_s,
            'keyframes_received': host.intake.received,
            'keyframes_integrated': host.intake.integrated,
            'keyframes_dropped': host.intake.dropped,
            'keyframes_repeated': host.intake.repeated,
            **stream_values(host.intake),
            'waiting_questions': host.questions.waiting,
            'query_s': self._requests.query_s,
            'memory_mb': self._process.memory_info().rss / 2**20,
        }

    def close(self) -> None:
        """Ends the worker; clients that wait get an answer."""
        if self._page is not None:
            self._page.close()
        self._host.stop(STOP_S)
        self._requests.close()


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(FieldNode, threads=THREADS)


if __name__ == '__main__':
    sys.exit(main())
