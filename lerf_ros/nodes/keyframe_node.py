"""Thins a camera's stream to keyframes. Runs on the robot and needs no torch.

Subscribes ``image``, ``camera_info``, ``depth`` and either TF or ``pose``; publishes
``keyframes``. Callbacks only enqueue; one timer pairs, looks poses up, selects and publishes.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import Rectifier
from lerf_ros.bridge.compressed import compressed_depth_array, compressed_image_array
from lerf_ros.bridge.images import depth_array, image_array
from lerf_ros.bridge.keyframes import keyframe_message, shrunk
from lerf_ros.bridge.pairing import Kind, Pairer, Pairing
from lerf_ros.bridge.parameters import declare_options, follow_live_options
from lerf_ros.bridge.poses import nanoseconds, pose_matrix_of
from lerf_ros.bridge.transforms import (
    TransformError,
    TransformSource,
    TransformTree,
    listen_to_tf,
)
from lerf_ros.config import LerfConfig
from lerf_ros.frames import KeyframeSelector, PosedFrame
from lerf_ros.geometry import require_rigid
from lerf_ros.live_options import LiveOptions
from lerf_ros.msg import Keyframe
from lerf_ros.nodes.health import Health
from lerf_ros.nodes.spinning import spin
from lerf_ros.scheduling.inbox import Inbox
from lerf_ros.scheduling.rate import Rate

TICK_S = 0.01
# Frames that may wait for their pose; older ones are dropped.
WAITING = 30
# What a message without data is counted as, bytes.
SMALL_BYTES = 1000
# The camera in the tree of poses that come by topic, which name no camera.
CAMERA = 'camera'


@dataclass(frozen=True)
class Waiting:
    """A complete frame that waits for its pose since a moment of the steady clock."""

    pairing: Pairing
    since_s: float


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
        self._waiting: deque[Waiting] = deque()
        self._index = 0
        self._rectifier: Rectifier | None = None
        self._rectified_info: CameraInfo | None = None
        self._start_anew()
        node = self._config.node
        image_type = CompressedImage if node.image_transport == 'compressed' else Image
        profile = qos.camera(node.image_reliability)
        self._listen(image_type, 'image', 'image', profile)
        self._listen(CameraInfo, 'camera_info', 'info', profile)
        if node.use_depth:
            self._listen(image_type, 'depth', 'depth', profile)
        # The poses heard on the topic; None where TF is the source.
        self._tree: TransformTree | None = None
        self._poses = self._make_pose_source()
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

    def _make_pose_source(self) -> TransformSource:
        source = self._config.node.pose_source
        if source != 'topic':
            tf = listen_to_tf(self)
            if tf is not None:
                self.get_logger().info('camera poses come from TF')
                return tf
            if source == 'tf':
                raise ValueError(
                    "node.pose_source: 'tf' needs the package tf2_ros or tf2_msgs; install one "
                    "or use 'topic'"
                )
        self._listen(PoseStamped, 'pose', 'pose', qos.POSES)
        self.get_logger().info(f'camera poses come from {self.resolve_topic_name("pose")}')
        self._tree = TransformTree()
        return self._tree

    def _start_anew(self) -> None:
        node = self._config.node
        self._pairer: Pairer = Pairer(node.use_depth, int(node.depth_slop_s * 1e9))
        self._selector = KeyframeSelector(self._config.keyframes)

    def _apply(self, config: LerfConfig) -> None:
        self._config = config
        self._selector.options = config.keyframes

    def _tick(self) -> None:
        """Takes in what has arrived and publishes what became complete."""
        while self._inbox:
            kind, message = self._inbox.get()
            if kind == 'pose':
                self._take_pose(message)
                continue
            if kind == 'image':
                self._rate.tick()
            jumps = self._pairer.jumps
            complete = self._pairer.add(kind, nanoseconds(message.header.stamp), message)
            if self._pairer.jumps != jumps:
                self._health.complain('time_jumps', 'stamps went back: starting anew')
                self._waiting.clear()
                self._selector = KeyframeSelector(self._config.keyframes)
            now = time.monotonic()
            self._waiting.extend(Waiting(pairing, now) for pairing in complete)
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._health.complain('without_pose', 'images arrive faster than their poses')
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if not self._advance(waiting):
                self._waiting.append(waiting)

    def _take_pose(self, message: PoseStamped) -> None:
        assert self._tree is not None  # only then is the topic subscribed
        world_frame = self._config.node.world_frame
        if message.header.frame_id != world_frame:
            self._health.complain(
                'rejected_poses',
                f'pose: expected the frame {world_frame!r}, got {message.header.frame_id!r}',
            )
            return
        try:
            matrix = require_rigid(pose_matrix_of(message.pose), 'pose')
        except ValueError as error:
            self._health.complain('rejected_poses', str(error))
            return
        self._tree.set(world_frame, CAMERA, matrix, nanoseconds(message.header.stamp))

    def _advance(self, waiting: Waiting) -> bool:
        """Publishes a frame if its pose is known; tells whether it is done with."""
        pairing, node = waiting.pairing, self._config.node
        image_frame = pairing.image.header.frame_id.lstrip('/')
        frame_id = CAMERA if self._tree is not None else image_frame
        try:
            camera_to_world = self._poses.lookup(node.world_frame, frame_id, pairing.stamp_ns)
        except TransformError as error:
            if time.monotonic() - waiting.since_s < node.tf_timeout_s:
                return False
            self._health.complain('without_pose', f'image dropped: {error}')
            return True
        try:
            # Told apart before anything is unpacked: most frames end here.
            if self._selector.wants(camera_to_world, pairing.stamp_ns):
                self._publish(pairing, camera_to_world)
                # Only now: a frame that is refused must not stand in for those after it.
                self._selector.keep(camera_to_world, pairing.stamp_ns)
        except ValueError as error:
            self._health.complain('rejected_images', str(error))
        return True

    def _publish(self, pairing: Pairing, camera_to_world: np.ndarray) -> None:
        options = self._config.keyframes
        rectifier = self._rectifier_of(pairing.info)
        compressed = self._config.node.image_transport == 'compressed'
        image = (compressed_image_array if compressed else image_array)(pairing.image)
        depth_m = None
        if pairing.depth is not None:
            depth_m = (compressed_depth_array if compressed else depth_array)(pairing.depth)
        frame = PosedFrame(
            image=rectifier.image(image),
            depth=None if depth_m is None else rectifier.depth(depth_m),
            camera=rectifier.camera,
            camera_to_world=camera_to_world,
            stamp_ns=pairing.stamp_ns,
            frame_id=pairing.image.header.frame_id,
        )
        frame = shrunk(frame, options.max_width, options.max_depth_m)
        world_frame = self._config.node.world_frame
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

    def _rectifier_of(self, info: CameraInfo) -> Rectifier:
        old = self._rectified_info
        if old is not None:
            old.header = info.header
        if self._rectifier is None or old != info:
            self._rectifier = Rectifier(info)
            self._rectified_info = info
        return self._rectifier

    @property
    def waiting_for_pose(self) -> int:
        """Number of images that wait for their pose."""
        return len(self._waiting)

    def _values(self) -> dict[str, object]:
        return {
            'image_rate_hz': self._rate.hz,
            'image_age_s': self._rate.age_s,
            'dropped_messages': self._inbox.dropped,
            'unpaired_images': self._pairer.unpaired,
            'waiting_for_pose': self.waiting_for_pose,
            'keyframes': self._index,
        }


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(KeyframeNode)


if __name__ == '__main__':
    sys.exit(main())
