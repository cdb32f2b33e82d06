"""Thins a camera's stream to keyframes. Runs on the robot and needs no torch.

Subscribes ``image``, ``camera_info``, ``depth`` and either TF or ``pose``; publishes
``keyframes``. Callbacks only enqueue; one timer pairs, looks poses up, selects and publishes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Literal

from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lerf_ros.bridge import qos
from lerf_ros.bridge.keyframes import keyframe_message
from lerf_ros.bridge.parameters import declare_options, follow_live_options
from lerf_ros.bridge.transforms import listen_to_tf
from lerf_ros.config import LerfConfig
from lerf_ros.frames import KeyframeSelector
from lerf_ros.frames.assembler import Assembler, PosedPairing
from lerf_ros.frames.decoding import FrameDecoder
from lerf_ros.frames.pairing import Kind, Pairer
from lerf_ros.frames.pose_source import PoseSource
from lerf_ros.frames.resizing import limited
from lerf_ros.live_options import LiveOptions
from lerf_ros.msg import Keyframe
from lerf_ros.nodes.health import Health
from lerf_ros.nodes.spinning import spin
from lerf_ros.scheduling.inbox import Inbox
from lerf_ros.scheduling.rate import Rate

TICK_S = 0.01
# Frames that may wait for their pose; older ones are dropped.
WAITING = 30
# Size of a message without pixels, about.
SMALL_BYTES = 1000


class KeyframeNode(Node):
    """Chooses keyframes and publishes them, rectified and compressed, with their pose.

    Args:
        parameters: Values that go before those of the command line.
        namespace: Namespace of the node, unless it is remapped.
    """

    def __init__(self, parameters: Sequence[Parameter] = (), namespace: str = 'lerf') -> None:
        super().__init__(
            'keyframe_node', namespace=namespace, parameter_overrides=list(parameters)
        )
        options = LiveOptions(declare_options(self, ('keyframes', 'node')))
        self._config = options.current
        options.on_change(self._apply)
        follow_live_options(self, options)
        self._health = Health(self, self._values)
        self._rate = Rate()
        # Callbacks and the timer share one callback group, hence one thread at a time.
        self._inbox: Inbox[tuple[Kind | Literal['pose'], Any]] = Inbox(
            self._config.node.inbox_mb * 1_000_000
        )
        self._index = 0
        node = self._config.node
        image_type = CompressedImage if node.image_transport == 'compressed' else Image
        profile = qos.camera(node.image_reliability)
        self._listen(image_type, 'image', 'image', profile)
        self._listen(CameraInfo, 'camera_info', 'info', profile)
        if node.use_depth:
            self._listen(image_type, 'depth', 'depth', profile)
        self._assembler = Assembler(
            Pairer(node.use_depth, int(node.depth_slop_s * 1e9), wait_s=node.tf_timeout_s),
            self._make_pose_source(),
            wait_s=node.tf_timeout_s,
            capacity=WAITING,
            complain=lambda kind, stamp_ns, sentence: self._health.complain(kind, sentence),
        )
        self._decoder = FrameDecoder(
            complain=lambda sentence: self._health.complain('rejected_depth', sentence)
        )
        self._selector = KeyframeSelector(self._config.keyframes)
        self._publisher = self.create_publisher(Keyframe, 'keyframes', qos.KEYFRAMES)
        # The steady clock: a recording's /clock may stand still while frames wait.
        self.create_timer(TICK_S, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _listen(
        self, message_type: type, topic: str, kind: Kind | Literal['pose'], profile: QoSProfile
    ) -> None:
        def enqueue(message: Any) -> None:
            size_bytes = SMALL_BYTES + len(getattr(message, 'data', ()))
            if self._inbox.put((kind, message), size_bytes):
                self._health.complain(
                    'inbox_full', 'camera messages arrive faster than they are paired'
                )

        self.create_subscription(message_type, topic, enqueue, profile)

    def _make_pose_source(self) -> PoseSource:
        node = self._config.node
        tf = None if node.pose_source == 'topic' else listen_to_tf(self)
        if tf is None and node.pose_source == 'tf':
            raise ValueError(
                "node.pose_source: 'tf' needs the package tf2_ros or tf2_msgs; install one "
                "or use 'topic'"
            )
        if tf is None:
            self._listen(PoseStamped, 'pose', 'pose', qos.POSES)
            self.get_logger().info(f'camera poses come from {self.resolve_topic_name("pose")}')
        else:
            self.get_logger().info('camera poses come from TF')
        return PoseSource(
            node.world_frame,
            tf,
            by_topic=tf is None,
            complain=lambda sentence: self._health.complain('assumed', sentence),
        )

    def _apply(self, config: LerfConfig) -> None:
        self._config = config
        self._selector.options = config.keyframes
        self._assembler.wait_s = self._assembler.pairer.wait_s = config.node.tf_timeout_s

    def _tick(self) -> None:
        """Takes in what has arrived and publishes what became complete."""
        now = time.monotonic()
        while self._inbox:
            kind, message = self._inbox.get()
            if kind == 'pose':
                self._take_pose(message)
                continue
            if kind == 'image':
                self._rate.tick()
            jumps = self._assembler.pairer.jumps
            for posed in self._assembler.add(kind, message, now):
                self._advance(posed)
            if self._assembler.pairer.jumps != jumps:
                self._selector = KeyframeSelector(self._config.keyframes)
        for posed in self._assembler.ready(now):
            self._advance(posed)

    def _take_pose(self, message: PoseStamped) -> None:
        try:
            self._assembler.poses.hear(message)
        except ValueError as error:
            self._health.complain('rejected_poses', str(error))

    def _advance(self, posed: PosedPairing) -> None:
        """Publishes a frame that shows something new."""
        camera_to_world, stamp_ns = posed.camera_to_world, posed.pairing.stamp_ns
        # Told apart before anything is unpacked: most frames end here.
        if not self._selector.wants(camera_to_world, stamp_ns):
            return
        options, world_frame = self._config.keyframes, self._config.node.world_frame
        try:
            frame = self._decoder.frame(posed.pairing, camera_to_world)
        except ValueError as error:
            self._health.complain('rejected_images', str(error))
            return
        frame = limited(frame, options.max_width, options.max_depth_m)
        self._publisher.publish(
            keyframe_message(
                frame,
                self._index,
                world_frame,
                options.jpeg_quality,
                source=self.get_fully_qualified_name(),
            )
        )
        self._index += 1
        # Only now: a frame that is refused must not stand in for those after it.
        self._selector.keep(camera_to_world, stamp_ns)

    @property
    def waiting_for_pose(self) -> int:
        """Number of images that wait for their pose."""
        return self._assembler.waiting

    def _values(self) -> dict[str, object]:
        return {
            'image_rate_hz': self._rate.hz,
            'image_age_s': self._rate.age_s,
            'dropped_messages': self._inbox.dropped,
            'unpaired_images': self._assembler.pairer.unpaired,
            'images_without_depth': self._assembler.pairer.without_depth,
            'waiting_for_pose': self.waiting_for_pose,
            'keyframes': self._index,
        }


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(KeyframeNode)


if __name__ == '__main__':
    sys.exit(main())
