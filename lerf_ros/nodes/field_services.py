"""What the field node answers: questions, views, and the life of the map.

Every request is answered: what goes wrong becomes ``success=False`` with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from lerf_ros.bridge import reply
from lerf_ros.bridge.cameras import Rectifier
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import pose_matrix_of, stamp_message
from lerf_ros.bridge.transforms import TransformError, TransformSource
from lerf_ros.config import LerfConfig
from lerf_ros.geometry import PinholeCamera, inverse_transform, require_rigid
from lerf_ros.maps.submap import NotReadyError
from lerf_ros.nodes.health import Health
from lerf_ros.query.engine import QueryResult
from lerf_ros.runtime.host import MapHost
from lerf_ros.scheduling.worker import CONTROL, QUERY, Priority, WorkerStopped
from lerf_ros.srv import FilePath, QueryLanguage, RenderView

T = TypeVar('T')

MAX_VIEW_PX = 4_000_000
DEFAULT_MAXIMA = 8
# What a request may meet through no fault of ours.
EXPECTED = (
    ValueError,
    OSError,
    NotReadyError,
    TransformError,
    WorkerStopped,
    CancelledError,
    FutureTimeoutError,
)


class FieldServices:
    """The services of a field node.

    Args:
        node: The node.
        host: The map.
        tf: Where frames are; None where TF is not installed.
        health: Counts refused requests.
        config: Returns the options as they are now.
        on_results: Called with the results of each query, and its first phrase or an empty one.
        on_replaced: Called when another map has taken the place of the old one.

    Attributes:
        query_s: Seconds the last query took, waiting included.
    """

    def __init__(
        self,
        node: Node,
        host: MapHost,
        tf: TransformSource | None,
        health: Health,
        config: Callable[[], LerfConfig],
        on_results: Callable[[Sequence[QueryResult], str], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self._node, self._host, self._tf, self._health = node, host, tf, health
        self._config, self._on_results, self._on_replaced = config, on_results, on_replaced
        self.query_s = 0.0
        questions, control = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        for kind, name, callback, group in (
            (QueryLanguage, 'query', self._query, questions),
            (RenderView, 'render_view', self._render_view, questions),
            (Trigger, 'pause', self._pause, control),
            (Trigger, 'resume', self._resume, control),
            (Trigger, 'reset', self._reset, control),
            (FilePath, 'save', self._save, control),
            (FilePath, 'load', self._load, control),
        ):
            node.create_service(kind, name, self._answering(callback), callback_group=group)

    def _answering(self, callback: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
        """Returns a service callback that always reply."""

        def answer(request: Any, response: Any) -> Any:
            try:
                callback(request, response)
                response.success = True
            except EXPECTED as error:
                response.message = str(error) or type(error).__name__
            except Exception as error:
                self._node.get_logger().error(f'{callback.__name__}: {error!r}')
                response.message = f'internal error: {error!r}'
            if not response.success:
                self._health.complain('refused_requests', f'refused: {response.message}')
            return response

        return answer

    def _run(self, job: Callable[[], T], priority: Priority = QUERY) -> T:
        return self._host.run(job, priority, self._config().node.query_timeout_s)

    @property
    def _world_frame(self) -> str:
        return self._config().node.world_frame

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

    def _query(self, message: QueryLanguage.Request, response: QueryLanguage.Response) -> None:
        world_from_frame = self._world_from(message.frame_id)
        request, region = reply.request_of(message, world_from_frame, DEFAULT_MAXIMA)
        live_map = self._host.map

        def ask() -> tuple[list[QueryResult], int]:
            return live_map.query(request), live_map.trainer.step_count

        clock = self._node.get_clock()
        started = clock.now()
        results, response.step = self._run(ask)
        self.query_s = (clock.now() - started).nanoseconds * 1e-9
        count = message.max_maxima or DEFAULT_MAXIMA
        results = reply.within(results, region, count)
        stamp = stamp_message(results[0].stamp_ns)
        response.header = Header(stamp=stamp, frame_id=message.frame_id or self._world_frame)
        frame_from_world = inverse_transform(world_from_frame)
        response.results = [
            reply.phrase_result_message(
                result, frame_from_world, response.header, message.with_cloud
            )
            for result in results
        ]
        response.viewpoints = reply.viewpoint_messages(results, frame_from_world)
        self._on_results(results, next(iter(message.positives), ''))

    def _render_view(self, message: RenderView.Request, response: RenderView.Response) -> None:
        pose = message.camera_pose
        world_from_frame = self._world_from(pose.header.frame_id)
        camera_to_world = require_rigid(world_from_frame @ pose_matrix_of(pose.pose))
        camera = self._camera_of(message)
        pieces = self._host.map.view_pieces(camera, camera_to_world, message.phrase)
        view = self._host.run_pieces(pieces, QUERY, self._config().node.query_timeout_s)
        header = Header(stamp=stamp_message(view.stamp_ns), frame_id=pose.header.frame_id)
        response.image = image_message(view.image, 'rgb8', header)
        response.depth = image_message(view.depth_m, '32FC1', header)
        if view.relevancy is not None:
            response.relevancy = image_message(view.relevancy, '32FC1', header)

    def _camera_of(self, message: RenderView.Request) -> PinholeCamera:
        info = message.camera_info
        camera = Rectifier(info).camera if info.width else self._host.map.last_camera
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
        response.message = 'paused: questions are still answered'

    def _resume(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._host.resume()
        response.message = 'learning goes on'

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._run(self._host.map.reset, CONTROL)
        self._host.revive()
        self._on_replaced()
        response.message = 'the map is empty'

    def _save(self, message: FilePath.Request, response: FilePath.Response) -> None:
        path = _absolute(message.path)
        self._run(lambda: self._host.map.save(path), CONTROL)
        response.path = str(path)

    def _load(self, message: FilePath.Request, response: FilePath.Response) -> None:
        path = _absolute(message.path)
        self._run(lambda: self._host.map.load(path), CONTROL)
        self._host.revive()
        self._on_replaced()
        response.path = str(path)


def _absolute(path: str) -> Path:
    if not path.strip() or '\0' in path:
        raise ValueError(f'path: expected the name of a file, got {path!r}')
    return Path(path).expanduser().absolute()
