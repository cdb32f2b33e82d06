"""Relevancy along the stream: what the newest keyframe shows of the phrase that was asked last.

Publishes ``relevancy_image``. While nobody listens nothing is computed, and the work leaves
training and questions their time. It is that of the newest keyframe that came, though older ones
may wait to get into the map: a picture needs its depth and its pose only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from jaxtyping import UInt8
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import stamp_message
from lerf_ros.drawing.heat_maps import heat_overlay
from lerf_ros.frames import PosedFrame
from lerf_ros.runtime.host import MapHost
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.worker import PICTURE, WorkerStopped

# How often the stream looks whether to draw.
TICK_S = 0.1

Picture = UInt8[np.ndarray, 'height width 3']


class RelevancyStream:
    """Publishes heat maps over keyframes.

    Args:
        node: The node.
        host: The map.
        complain: Called with a sentence when a heat map fails.

    Attributes:
        phrase: What is looked for: the phrase asked last, empty before the first.
    """

    def __init__(
        self,
        node: Node,
        host: MapHost,
        complain: Callable[[str], None],
    ) -> None:
        self._host, self._complain = host, complain
        self._publisher = node.create_publisher(Image, 'relevancy_image', qos.PICTURES)
        self._newest: Callable[[], PosedFrame] | None = None
        self._drawing: Future[tuple[PosedFrame, Picture]] | None = None
        self._drawn_at = -float('inf')
        self.phrase = ''
        node.create_timer(
            TICK_S,
            self._draw_newest,
            MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    @property
    def is_drawing(self) -> bool:
        """Whether a heat map is being drawn."""
        return self._drawing is not None and not self._drawing.done()

    def offer(self, read: Callable[[], PosedFrame]) -> None:
        """Takes a keyframe that came, in place of the one before; it is read when it is drawn."""
        self._newest = read

    def _draw_newest(self) -> None:
        """Draws the newest keyframe, if somebody listens and it is time for one."""
        if (
            self._newest is None
            or not self.phrase
            or self._publisher.get_subscription_count() == 0
        ):
            return
        now, period_s = time.monotonic(), self._host.options.current.node.relevancy_image_period_s
        if self.is_drawing or now - self._drawn_at < period_s or self._host.map.step_count == 0:
            return
        self._drawn_at = now
        read, self._newest = self._newest, None
        self._drawing = self._host.start(self._pieces(read, self.phrase), PICTURE)
        self._drawing.add_done_callback(self._publish)

    def _pieces(
        self, read: Callable[[], PosedFrame], phrase: str
    ) -> Pieces[tuple[PosedFrame, Picture]]:
        frame, live_map = read(), self._host.map
        yield
        depth_m = frame.depth
        if depth_m is None:
            view = yield from live_map.view_pieces(frame.camera, frame.camera_to_world)
            depth_m = view.depth_m
        relevancy = yield from live_map.relevancy_pieces(
            phrase, depth_m, frame.camera, frame.camera_to_world
        )
        colours = self._host.options.current.node.relevancy_image_colours
        return frame, heat_overlay(frame.image, relevancy, colours)

    def _publish(self, drawn: Future[tuple[PosedFrame, Picture]]) -> None:
        error = drawn.exception()
        if error is not None:
            # A worker that stops or fails says so itself.
            if not isinstance(error, WorkerStopped):
                self._complain(f'relevancy_image: {error}')
            return
        frame, picture = drawn.result()
        header = Header(stamp=stamp_message(frame.stamp_ns), frame_id=frame.frame_id)
        self._publisher.publish(image_message(picture, 'rgb8', header))
