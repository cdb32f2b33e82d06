"""What the field node answers: questions, views, and the life of the map.

Every request is answered: what goes wrong becomes ``success=False`` with one sentence. A client
that waits holds no thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from lerf_ros.bridge import reply
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import stamp_message
from lerf_ros.frames.calibration import ideal_camera
from lerf_ros.frames.messages import pose_matrix_of
from lerf_ros.frames.pose_track import TransformError
from lerf_ros.frames.transforms import TransformSource
from lerf_ros.geometry import PinholeCamera, inverse_transform, require_rigid
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.view import MapView
from lerf_ros.nodes.deferred import DeferredServices
from lerf_ros.nodes.health import Health
from lerf_ros.query.engine import QueryResult
from lerf_ros.runtime.host import Answer, MapHost
from lerf_ros.runtime.questions import BusyError
from lerf_ros.scheduling.worker import WorkerStopped
from lerf_ros.srv import FilePath, QueryLanguage, RenderView

MAX_VIEW_PX = 4_000_000
DEFAULT_MAXIMA = 8
# How often questions that have waited too long are looked for.
EXPIRY_PERIOD_S = 0.1
# What a request may meet through no fault of ours.
EXPECTED = (
    ValueError,
    OSError,
    NotReadyError,
    BusyError,
    TransformError,
    WorkerStopped,
    CancelledError,
    FutureTimeoutError,
)

Begun = tuple[Future[Any], Callable[[Any], None]]


class FieldServices:
    """The services of a field node.

    Args:
        node: The node.
        host: The map.
        tf: Where frames are; None where TF is not installed.
        health: Counts refused requests.
        on_results: Called with the results of each query, and its first phrase or an empty one;
            always from one thread.

    Attributes:
        query_s: Seconds the last query took, waiting included.
    """

    def __init__(
        self,
        node: Node,
        host: MapHost,
        tf: TransformSource | None,
        health: Health,
        on_results: Callable[[Sequence[QueryResult], str], None],
    ) -> None:
        self._node, self._host, self._tf, self._health = node, host, tf, health
        self._on_results = on_results
        self.query_s = 0.0
        self._services = DeferredServices(node, self._fail)
        # Callbacks only begin work, so one thread serves them all.
        group = MutuallyExclusiveCallbackGroup()
        for kind, name, begin in (
            (QueryLanguage, 'query', self._query),
            (RenderView, 'render_view', self._render_view),
            (Trigger, 'pause', self._pause),
            (Trigger, 'resume', self._resume),
            (Trigger, 'reset', self._reset),
            (FilePath, 'save', self._save),
            (FilePath, 'load', self._load),
        ):
            self._services.create(kind, name, begin, group)
        node.create_timer(
            EXPIRY_PERIOD_S,
            host.questions.expire,
            MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def later(self, work: Callable[[], None]) -> None:
        """Does work in the one thread in which answers are made."""
        self._services.later(work)

    def close(self) -> None:
        """Sends what is ready, and nothing after it."""
        self._services.close()

    def _fail(self, response: Any, error: BaseException) -> Any:
        """Returns the response that tells what went wrong."""
        response.success = False
        if isinstance(error, EXPECTED):
            response.message = str(error) or type(error).__name__
        else:
            self._node.get_logger().error(f'{type(response).__name__}: {error!r}')
            response.message = f'internal error: {error!r}'
        self._health.complain('refused_requests', f'refused: {response.message}')
        return response

    @property
    def _world_frame(self) -> str:
        return self._host.options.current.node.world_frame

    def _world_from(self, frame: str) -> np.ndarray:
        """Returns where a frame was when the last keyframe was taken.

        Raises:
            TransformError: The frame is unknown.
        """
        if frame in ('', self._world_frame):
            return np.eye(4)
        if self._tf is None:
            raise TransformError(
                f'frame_id: expected {self._world_frame!r}, got {frame!r}; other frames need TF, '
                'and neither tf2_ros nor tf2_msgs is installed'
            )
        try:
            return self._tf.lookup(self._world_frame, frame, self._host.map.last_stamp_ns)
        except TransformError as error:
            raise TransformError(f'frame_id: {error}') from error

    def _query(self, message: QueryLanguage.Request, response: QueryLanguage.Response) -> Begun:
        world_from_frame = self._world_from(message.frame_id)
        request = reply.request_of(message, world_from_frame, DEFAULT_MAXIMA)
        started = time.monotonic()

        def fill(answer: Answer) -> None:
            self.query_s = time.monotonic() - started
            results = answer.results
            response.header = Header(
                stamp=stamp_message(answer.stamp_ns),
                frame_id=message.frame_id or self._world_frame,
            )
            response.step, response.map_id = answer.step, answer.map_id
            response.pose_epoch = answer.pose_epoch
            frame_from_world = inverse_transform(world_from_frame)
            response.results = [
                reply.phrase_result_message(
                    result, frame_from_world, response.header, message.with_cloud
                )
                for result in results
            ]
            response.viewpoints = reply.viewpoint_messages(results, frame_from_world)
            response.success = True
            if answer.map_id == self._host.map.id:
                self._on_results(results, next(iter(message.positives), ''))

        return self._host.ask(request), fill

    def _render_view(self, message: RenderView.Request, response: RenderView.Response) -> Begun:
        pose = message.camera_pose
        world_from_frame = self._world_from(pose.header.frame_id)
        camera_to_world = require_rigid(world_from_frame @ pose_matrix_of(pose.pose))
        camera = self._camera_of(message)

        def fill(view: MapView) -> None:
            header = Header(stamp=stamp_message(view.stamp_ns), frame_id=pose.header.frame_id)
            response.image = image_message(view.image, 'rgb8', header)
            response.depth = image_message(view.depth_m, '32FC1', header)
            if view.relevancy is not None:
                response.relevancy = image_message(view.relevancy, '32FC1', header)
            response.success = True

        pieces = self._host.map.view_pieces(camera, camera_to_world, message.phrase)
        return self._host.draw(pieces), fill

    def _camera_of(self, message: RenderView.Request) -> PinholeCamera:
        info = message.camera_info
        camera = ideal_camera(info) if info.width else self._host.map.last_camera
        if camera is None:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        if camera.width * camera.height > MAX_VIEW_PX:
            raise ValueError(
                f'camera_info: expected at most {MAX_VIEW_PX} pixels, '
                f'got {camera.width}x{camera.height}'
            )
        return camera

    def _pause(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._host.pause()
        response.success = True
        response.message = 'paused: questions are still answered'

    def _resume(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._host.resume()
        response.success = True
        response.message = 'learning goes on'

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Begun:
        return self._host.reset(), _done(response, message='the map is empty')

    def _save(self, message: FilePath.Request, response: FilePath.Response) -> Begun:
        path = _absolute(message.path)
        return self._host.save(path), _done(response, path=str(path))

    def _load(self, message: FilePath.Request, response: FilePath.Response) -> Begun:
        path = _absolute(message.path)
        return self._host.load(path), _done(response, path=str(path))


def _done(response: Any, **values: str) -> Callable[[Any], None]:
    """Returns what fills a response that says that it is done."""

    def fill(_: object) -> None:
        response.success = True
        for name, value in values.items():
            setattr(response, name, value)

    return fill


def _absolute(path: str) -> Path:
    if not path.strip() or '\0' in path:
        raise ValueError(f'path: expected the name of a file, got {path!r}')
    return Path(path).expanduser().absolute()
