"""Learns the map from keyframes and answers questions meanwhile.

Subscribes ``keyframes``. Serves ``query``, ``render_view``, ``~/pause``, ``~/resume``,
``~/reset``, ``~/save``, ``~/load``. Publishes ``status``, ``surface_cloud``, ``relevancy_cloud``,
``maxima``, ``markers``. One worker thread owns the device; everything here is a job for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
from geometry_msgs.msg import PoseArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from lerf_ros.bridge import answers, qos
from lerf_ros.bridge.cameras import Rectifier
from lerf_ros.bridge.clouds import cloud_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.keyframes import keyframe_of
from lerf_ros.bridge.parameters import declare_options, follow_live_options
from lerf_ros.bridge.poses import pose_matrix_of, stamp_message
from lerf_ros.bridge.transforms import TransformError, listen_to_tf
from lerf_ros.config import LerfConfig
from lerf_ros.geometry import inverse_transform, require_rigid
from lerf_ros.mapping import LiveMap, NotReadyError
from lerf_ros.msg import FieldStatus, Keyframe
from lerf_ros.nodes.health import Health, Rate
from lerf_ros.nodes.intake import Intake
from lerf_ros.nodes.spinning import spin
from lerf_ros.query.engine import QueryResult
from lerf_ros.srv import FilePath, QueryLanguage, RenderView
from lerf_ros.training.trainer import StepReport
from lerf_ros.training.worker import CONTROL, INGEST, QUERY, Priority, Worker, WorkerStopped

T = TypeVar('T')

MAX_VIEW_PX = 4_000_000
DEFAULT_MAXIMA = 8
# What a callback may meet and answers with a sentence.
EXPECTED = (
    ValueError,
    OSError,
    NotReadyError,
    TransformError,
    WorkerStopped,
    CancelledError,
    FutureTimeoutError,
)


class FieldNode(Node):
    """The map as a node."""

    def __init__(self) -> None:
        super().__init__('field_node', namespace='lerf')
        self._config = declare_options(self)
        follow_live_options(self, self._config, self._apply)
        self._health = Health(self, self._values)
        self._steps, self._keyframes = Rate(), Rate()
        self._loss, self._surface_points, self._query_s = math.nan, 0, 0.0
        self._last_results: list[QueryResult] | None = None
        self._process = psutil.Process()
        self._tf = listen_to_tf(self)
        self._map = LiveMap(self._config)
        self._worker = self._start_worker()
        self._intake = Intake(
            lambda job: self._worker.submit(job, INGEST),
            self._config.node.keyframe_backlog,
            lambda sentence: self._health.complain('dropped_keyframes', sentence),
            self._note_surface,
        )
        self._next_id = 0
        self._publish_topics()
        self._offer_services()
        self.get_logger().info(
            f'encoder {self._map.encoder.name} on {self._map.device}, waiting for keyframes on '
            f'{self.resolve_topic_name("keyframes")}'
        )

    def _publish_topics(self) -> None:
        self._status = self.create_publisher(FieldStatus, 'status', qos.LATCHED)
        self._surface = self.create_publisher(PointCloud2, 'surface_cloud', qos.LATCHED)
        self._relevancy = self.create_publisher(PointCloud2, 'relevancy_cloud', qos.LATCHED)
        self._maxima = self.create_publisher(PoseArray, 'maxima', qos.LATCHED)
        self._markers = self.create_publisher(MarkerArray, 'markers', qos.LATCHED)
        self.create_subscription(
            Keyframe,
            'keyframes',
            self._on_keyframe,
            qos.KEYFRAMES,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        # Status is news of the process, not of the scene: it goes on while /clock stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        options, group = self._config.node, MutuallyExclusiveCallbackGroup()
        self.create_timer(options.status_period_s, self._publish_status, group, clock=steady)
        clouds = MutuallyExclusiveCallbackGroup()
        self.create_timer(options.cloud_period_s, self._publish_clouds, clouds, clock=steady)

    def _offer_services(self) -> None:
        queries, control = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        for kind, name, callback, group in (
            (QueryLanguage, 'query', self._on_query, queries),
            (RenderView, 'render_view', self._on_render_view, queries),
            (Trigger, '~/pause', self._on_pause, control),
            (Trigger, '~/resume', self._on_resume, control),
            (Trigger, '~/reset', self._on_reset, control),
            (FilePath, '~/save', self._on_save, control),
            (FilePath, '~/load', self._on_load, control),
        ):
            answer = self._answering(callback)
            self.create_service(kind, name, answer, callback_group=group)

    def _start_worker(self) -> Worker[StepReport]:
        worker = Worker(lambda: self._map.step(), lambda: self._map.ready(), self._on_step)
        worker.start()
        return worker

    def _apply(self, config: LerfConfig) -> None:
        self._config = config

    def _on_step(self, report: StepReport) -> None:
        self._steps.tick()
        self._loss = report.loss

    def _note_surface(self) -> None:
        self._keyframes.tick()
        self._surface_points = len(self._map.surface())

    def _on_keyframe(self, message: Keyframe) -> None:
        id_, self._next_id = self._next_id, self._next_id + 1
        self._intake.take(
            lambda: keyframe_of(message, id_, self._config.node.world_frame), self._map.ingest_jobs
        )

    def _run(self, job: Callable[[], T], priority: Priority) -> T:
        """Runs a job in the worker and waits for it.

        Raises:
            TimeoutError: It took longer than the option says; it is not run if it still waits.
        """
        future: Future[T] = self._worker.submit(job, priority)
        timeout_s = self._config.node.query_timeout_s
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            future.cancel()
            raise FutureTimeoutError(f'no answer within {timeout_s:g} s') from None

    def _answering(self, callback: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
        """Returns a service callback that always answers: what goes wrong becomes a sentence."""

        def answer(request: Any, response: Any) -> Any:
            try:
                callback(request, response)
                response.success = True
            except EXPECTED as error:
                response.message = str(error) or type(error).__name__
            except Exception as error:
                self.get_logger().error(f'{callback.__name__}: {error!r}')
                response.message = f'internal error: {error!r}'
            if not response.success:
                self._health.complain('refused_requests', response.message)
            return response

        return answer

    def _on_query(self, message: QueryLanguage.Request, response: QueryLanguage.Response) -> None:
        frame = message.frame_id or self._config.node.world_frame
        world_from_frame = self._world_from(frame)
        request, region = answers.request_of(message, world_from_frame, DEFAULT_MAXIMA)

        def ask() -> tuple[list[QueryResult], int]:
            return self._map.query(request), self._map.trainer.step_count

        started = self.get_clock().now()
        results, response.step = self._run(ask, QUERY)
        self._query_s = (self.get_clock().now() - started).nanoseconds * 1e-9
        results = answers.within(results, region, request.max_maxima)
        stamp = stamp_message(results[0].stamp_ns)
        response.header = Header(stamp=stamp, frame_id=frame)
        frame_from_world = inverse_transform(world_from_frame)
        response.results = [
            answers.phrase_result_message(
                result, frame_from_world, response.header, message.with_cloud
            )
            for result in results
        ]
        response.viewpoints = answers.viewpoint_messages(results, frame_from_world)
        self._show(results)

    def _world_from(self, frame: str) -> np.ndarray:
        """Returns where a frame was when the last keyframe was taken."""
        world_frame = self._config.node.world_frame
        if frame == world_frame:
            return np.eye(4)
        if self._tf is None:
            raise TransformError(
                f'frame_id: expected {world_frame!r}, got {frame!r}; other frames need TF, '
                'and neither tf2_ros nor tf2_msgs is installed'
            )
        return self._tf.lookup(world_frame, frame, self._map.last_stamp_ns)

    def _show(self, results: Sequence[QueryResult]) -> None:
        """Publishes the last answer for people; the cloud only where somebody listens."""
        stamp = stamp_message(results[0].stamp_ns)
        header = Header(stamp=stamp, frame_id=self._config.node.world_frame)
        self._maxima.publish(answers.maxima_message(results, header))
        self._markers.publish(answers.markers_message(results, header))
        self._last_results = list(results)
        self._publish_relevancy()

    def _publish_relevancy(self) -> None:
        results = self._last_results
        if results is None or self._relevancy.get_subscription_count() == 0:
            return
        self._last_results = None
        header = Header(
            stamp=stamp_message(results[0].stamp_ns), frame_id=self._config.node.world_frame
        )
        best = np.max([result.relevancy for result in results], axis=0)
        first = results[0]
        self._relevancy.publish(cloud_message(first.positions, first.colours, best, header))

    def _publish_clouds(self) -> None:
        self._publish_relevancy()
        if self._surface.get_subscription_count() == 0 or self._map.keyframe_count == 0:
            return
        try:
            points, stamp_ns = self._run(
                lambda: (self._map.surface(), self._map.last_stamp_ns), QUERY
            )
        except EXPECTED as error:
            self._health.complain('clouds', f'surface cloud: {error}')
            return
        header = Header(stamp=stamp_message(stamp_ns), frame_id=self._config.node.world_frame)
        self._surface.publish(cloud_message(points.positions, points.colours, None, header))

    def _publish_status(self) -> None:
        cuda = self._map.device.type == 'cuda'
        error = self._worker.error
        message = FieldStatus(
            state=self._worker.state,
            step=self._map.trainer.step_count,
            steps_per_second=self._steps.hz if self._steps.age_s < 2 else 0.0,
            loss=float(self._loss),
            keyframes_received=self._intake.received,
            keyframes_integrated=self._intake.integrated,
            keyframes_dropped=self._intake.dropped,
            surface_points=self._surface_points,
            device=str(self._map.device),
            memory_bytes=self._process.memory_info().rss,
            device_memory_bytes=torch.cuda.memory_allocated(self._map.device) if cuda else 0,
            last_error=str(error) if error is not None else self._health.last_error,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._config.node.world_frame
        self._status.publish(message)

    def _values(self) -> dict[str, object]:
        return {
            'state': self._worker.state,
            'steps_per_second': self._steps.hz,
            'loss': self._loss,
            'keyframe_rate_hz': self._keyframes.hz,
            'keyframe_age_s': self._keyframes.age_s,
            'keyframes_received': self._intake.received,
            'keyframes_integrated': self._intake.integrated,
            'keyframes_dropped': self._intake.dropped,
            'query_s': self._query_s,
            'memory_mb': self._process.memory_info().rss / 2**20,
        }

    def _on_render_view(self, message: RenderView.Request, response: RenderView.Response) -> None:
        pose = message.camera_pose
        world_from_frame = self._world_from(pose.header.frame_id or self._config.node.world_frame)
        camera_to_world = require_rigid(world_from_frame @ pose_matrix_of(pose.pose))
        info = message.camera_info
        camera = Rectifier(info).camera if info.width else self._map.last_camera
        if camera is None:
            raise NotReadyError('no keyframe has arrived yet: give camera_info')
        if camera.width * camera.height > MAX_VIEW_PX:
            raise ValueError(
                f'camera_info: expected at most {MAX_VIEW_PX} pixels, '
                f'got {camera.width}x{camera.height}'
            )
        view = self._run(lambda: self._map.render(camera, camera_to_world), QUERY)
        stamp = stamp_message(self._map.last_stamp_ns)
        header = Header(stamp=stamp, frame_id=pose.header.frame_id)
        response.image = image_message(view.image, 'rgb8', header)
        depth_m = np.where(view.accumulation > 0.5, view.depth_m, np.nan).astype(np.float32)
        response.depth = image_message(depth_m, '32FC1', header)
        if message.phrase:
            heat = self._run(
                lambda: self._map.heat_map(message.phrase, camera, camera_to_world), QUERY
            )
            response.relevancy = image_message(heat.astype(np.float32), '32FC1', header)

    def _on_pause(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._worker.pause()
        response.message = 'paused: questions are still answered'

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._worker.resume()
        response.message = 'learning goes on'

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._revive()
        self._run(self._map.reset, CONTROL)
        self._intake.reset()
        self._loss, self._surface_points, self._last_results = math.nan, 0, None
        response.message = 'the map is empty'

    def _on_save(self, message: FilePath.Request, response: FilePath.Response) -> None:
        path = _absolute(message.path)
        self._run(lambda: self._map.save(path), CONTROL)
        response.path = str(path)

    def _on_load(self, message: FilePath.Request, response: FilePath.Response) -> None:
        path = _absolute(message.path)
        self._revive()
        self._run(lambda: self._map.load(path), CONTROL)
        self._surface_points = self._run(lambda: len(self._map.surface()), QUERY)
        response.path = str(path)

    def _revive(self) -> None:
        """Starts a new worker in place of one that has failed."""
        if self._worker.error is not None:
            self._worker = self._start_worker()

    def close(self) -> None:
        """Ends the worker; whoever waits for it gets an answer."""
        self._worker.stop(timeout_s=4.0)


def _absolute(path: str) -> Path:
    if not path.strip() or '\0' in path:
        raise ValueError(f'path: expected the name of a file, got {path!r}')
    return Path(path).expanduser().absolute()


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(FieldNode, threads=6)


if __name__ == '__main__':
    sys.exit(main())
