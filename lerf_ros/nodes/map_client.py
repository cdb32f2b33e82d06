"""A client of a running field node: its status, questions and views."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.poses import pose_message
from lerf_ros.frames.encodings import depth_array, image_array
from lerf_ros.geometry import PinholeCamera
from lerf_ros.msg import FieldStatus
from lerf_ros.srv import QueryLanguage, RenderView


class MapClient:
    """Talks to `/<namespace>/query` and its neighbours from any thread.

    Args:
        namespace: Namespace of the field node.
    """

    def __init__(self, namespace: str = 'lerf') -> None:
        # Before anything can hear: the latched status arrives once the executor spins.
        self.status: FieldStatus | None = None
        self._heard = threading.Condition()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('map_client', namespace=namespace, context=self._context)
        self._node.create_subscription(FieldStatus, 'status', self._on_status, qos.LATCHED)
        self._query = self._node.create_client(QueryLanguage, 'query', qos_profile=qos.SERVICES)
        self._render = self._node.create_client(
            RenderView, 'render_view', qos_profile=qos.SERVICES
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _on_status(self, message: FieldStatus) -> None:
        with self._heard:
            self.status = message
            self._heard.notify_all()

    def wait_for_service(self, timeout_s: float) -> None:
        """Waits until the field node answers.

        Raises:
            TimeoutError: It did not come in time.
        """
        if not self._query.wait_for_service(timeout_s):
            raise TimeoutError(
                f'{self._query.srv_name}: no field node answered within {timeout_s:g} s'
            )

    def query(self, positives: list[str], timeout_s: float = 30.0, **fields: Any) -> Any:
        """Asks; returns the response of `QueryLanguage`.

        Raises:
            TimeoutError: No answer came in time.
        """
        request = QueryLanguage.Request(positives=positives, **fields)
        return self._call(self._query, request, timeout_s)

    def render(
        self,
        camera: PinholeCamera,
        camera_to_world: np.ndarray,
        phrase: str = '',
        timeout_s: float = 60.0,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Draws the map from a pose.

        Returns:
            The picture (RGB uint8), depth (metres) and relevancy of the phrase, if one is given.

        Raises:
            TimeoutError: No answer came in time.
            RuntimeError: The node could not draw it; the message says why.
        """
        request = RenderView.Request(camera_info=camera_info_message(camera), phrase=phrase)
        request.camera_pose.pose = pose_message(camera_to_world)
        response = self._call(self._render, request, timeout_s)
        if not response.success:
            raise RuntimeError(response.message)
        relevancy = depth_array(response.relevancy) if phrase else None
        image = image_array(response.image)
        return image, depth_array(response.depth), relevancy

    def _call(self, client: Any, request: Any, timeout_s: float) -> Any:
        future = client.call_async(request)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_s):
            raise TimeoutError(f'{client.srv_name}: no answer within {timeout_s:g} s')
        return future.result()

    def wait_for_keyframe(self, timeout_s: float) -> None:
        """Waits until the map has learned from a keyframe.

        Raises:
            TimeoutError: None came in time.
        """
        with self._heard:
            if not self._heard.wait_for(
                lambda: self.status is not None and self.status.keyframes_integrated, timeout_s
            ):
                raise TimeoutError(f'no keyframe reached the map within {timeout_s:g} s')

    def wait_for_status(self, timeout_s: float) -> FieldStatus:
        """Returns the newest status, waiting for the first.

        Raises:
            TimeoutError: None came in time.
        """
        with self._heard:
            if not self._heard.wait_for(lambda: self.status is not None, timeout_s):
                raise TimeoutError(f'no status within {timeout_s:g} s')
        assert self.status is not None
        return self.status

    def close(self) -> None:
        """Leaves the network."""
        self._executor.shutdown()
        rclpy.try_shutdown(context=self._context)
        self._thread.join(2.0)

    def __enter__(self) -> MapClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
