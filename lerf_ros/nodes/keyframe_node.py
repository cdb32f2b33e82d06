"""Thins a camera's stream to keyframes. Runs on the robot and needs no torch.

Subscribes ``image``, ``camera_info``, ``depth`` and either TF or ``pose``, each in the type that
is published; publishes ``keyframes``. Callbacks only enqueue; one timer pairs, looks poses up,
selects and publishes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lerf_ros.bridge import qos
from lerf_ros.bridge.parameters import declare_options, follow_live_options
from lerf_ros.bridge.topics import Input
from lerf_ros.bridge.transforms import listen_to_tf
from lerf_ros.config import LerfConfig
from lerf_ros.frames import KeyframeSelector, PosedFrame
from lerf_ros.frames.assembler import Assembler, PosedPairing
from lerf_ros.frames.decoding import FrameDecoder
from lerf_ros.frames.odometry_jumps import Jump
from lerf_ros.frames.pairing import Kind, Pairer
from lerf_ros.frames.pose_source import POSE_TYPES, PoseSource, mounting_of
from lerf_ros.frames.resizing import limited
from lerf_ros.frames.transforms import TransformSource
from lerf_ros.live_options import LiveOptions
from lerf_ros.nodes.health import Health
from lerf_ros.nodes.intake_watch import IntakeWatch
from lerf_ros.nodes.keyframe_sender import KeyframeSender
from lerf_ros.nodes.odometry_watch import OdometryWatch
from lerf_ros.nodes.spinning import spin
from lerf_ros.scheduling.inbox import Inbox
from lerf_ros.scheduling.rate import Rate

TICK_S = 0.01
# Frames that may wait for their pose; older ones are dropped.
WAITING = 30
# While depth came within this time, an image without it does not become a keyframe.
DEPTH_USUAL_S = 2.0
# Size of a message without pixels, about.
SMALL_BYTES = 1000


INFO_TYPES: dict[str, type] = {'sensor_msgs/msg/CameraInfo': CameraInfo}
POSES: dict[str, type] = dict(
    zip(
        POSE_TYPES,
        (PoseStamped, PoseWithCovarianceStamped, Odometry, TransformStamped),
        strict=True,
    )
)


def _pictures(transport: str) -> dict[str, type]:
    """Returns the types of pictures that a transport sends."""
    both: dict[str, type] = {
        'sensor_msgs/msg/Image': Image,
        'sensor_msgs/msg/CompressedImage': CompressedImage,
    }
    wanted = {'raw': Image, 'compressed': CompressedImage}.get(transport)
    return {name: kind for name, kind in both.items() if wanted in (None, kind)}


class KeyframeNode(Node):
    """Chooses keyframes and publishes them, rectified and compressed, with their pose.

    Args:
        parameters: Values that go before those of the command line.
        namespace: Namespace of the node, unless it is remapped.
        remaps: Other names of its topics.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter] = (),
        namespace: str = 'lerf',
        remaps: Mapping[str, str] | None = None,
    ) -> None:
        remapped = [word for a, b in (remaps or {}).items() for word in ('-r', f'{a}:={b}')]
        super().__init__(
            'keyframe_node',
            namespace=namespace,
            parameter_overrides=list(parameters),
            cli_args=['--ros-args', *remapped] if remapped else None,
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
        self._asked_for_tf = False
        node = self._config.node
        self._inputs = self._make_inputs()
        self._assembler = Assembler(
            Pairer(node.use_depth, int(node.depth_slop_s * 1e9), wait_s=node.tf_timeout_s),
            self._make_pose_source(),
            wait_s=node.tf_timeout_s,
            capacity=WAITING,
            complain=self._dropped,
        )
        self._decoder = FrameDecoder(
            node.depth_unit_m or None,
            rectified=node.images_rectified,
            complain=lambda sentence: self._health.complain('rejected_depth', sentence),
        )
        self._watch = IntakeWatch(
            self,
            self._health,
            self._inputs,
            self._assembler,
            self._decoder,
            rectified=node.images_rectified,
        )
        self._depth_seen_s = -float('inf')
        self._selector = KeyframeSelector(self._config.keyframes)
        self._held_since_s = 0.0
        self._sender = KeyframeSender(
            self, self._health, node.outbox_mb, on_other_map=self._selector.forget
        )
        self._odometry = OdometryWatch(self, node, self._assembler.poses, self._follow)
        # The steady clock: a recording's /clock may stand still while frames wait.
        self.create_timer(TICK_S, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _make_inputs(self) -> dict[str, Input]:
        node = self._config.node
        profile = qos.camera(node.image_reliability)
        inputs = {
            'image': self._listen(_pictures(node.image_transport), 'image', 'image', profile),
            'camera_info': self._listen(INFO_TYPES, 'camera_info', 'info', profile),
        }
        if node.use_depth:
            inputs['depth'] = self._listen(
                _pictures(node.depth_transport), 'depth', 'depth', profile
            )
        return inputs

    def _listen(
        self,
        types: dict[str, type],
        topic: str,
        kind: Kind | Literal['pose'],
        profile: QoSProfile,
    ) -> Input:
        def enqueue(message: Any) -> None:
            size_bytes = SMALL_BYTES + len(getattr(message, 'data', ()))
            if self._inbox.put((kind, message), size_bytes):
                self._health.complain(
                    'inbox_full', 'camera messages arrive faster than they are paired'
                )

        return Input(self, topic, topic, types, profile, enqueue)

    def _make_pose_source(self) -> PoseSource:
        node = self._config.node
        tf = None if node.pose_source == 'topic' else self._listen_to_tf()
        if tf is None and node.pose_source == 'tf':
            raise ValueError(
                "node.pose_source: 'tf' needs the package tf2_ros or tf2_msgs; install one "
                "or use 'topic'"
            )
        if tf is None:
            profile = qos.poses(node.pose_reliability)
            self._inputs['pose'] = self._listen(POSES, 'pose', 'pose', profile)
            self.get_logger().info(f'camera poses come from {self._inputs["pose"].topic}')
        else:
            self.get_logger().info('camera poses come from TF')
        return PoseSource(
            node.world_frame,
            tf,
            by_topic=tf is None,
            camera_frame=node.camera_frame,
            mounting=mounting_of(node.camera_extrinsic),
            gap_ns=self._pose_gap_ns,
            complain=lambda sentence: self._health.complain('assumed', sentence),
        )

    @property
    def _pose_gap_ns(self) -> int | None:
        return round(self._config.node.pose_gap_s * 1e9) or None

    def _listen_to_tf(self) -> TransformSource | None:
        return listen_to_tf(
            self,
            lambda sentence: self._health.complain('tf', sentence),
            self._config.node.pose_reliability,
            self._pose_gap_ns,
        )

    def _dropped(self, kind: str, stamp_ns: int, sentence: str) -> None:
        if kind == 'without_pose':
            self._watch.without_pose(sentence)
        self._health.complain(kind, sentence)

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
                self._publish(self._selector.give_up_waiting())
                self._selector.forget()
        for posed in self._assembler.ready(now):
            self._advance(posed)
        if now - self._held_since_s > self._config.keyframes.blur_wait_s:
            self._publish(self._selector.give_up_waiting())

    def _take_pose(self, message: Any) -> None:
        if not self._asked_for_tf and self._assembler.poses.needs_transforms(message):
            self._asked_for_tf = True
            transforms = self._listen_to_tf()
            if transforms is not None:
                self._assembler.poses.use(transforms)
        try:
            self._assembler.poses.hear(message)
        except ValueError as error:
            self._health.complain('rejected_poses', str(error))
            self._watch.pose_refused(str(error))

    def _advance(self, posed: PosedPairing) -> None:
        """Publishes a frame that shows something new, or lets it wait for a sharper one."""
        stamp_ns = posed.pairing.stamp_ns
        camera_to_world = self._odometry.mended(posed.camera_to_world, stamp_ns)
        now = time.monotonic()
        if posed.pairing.depth is not None:
            self._depth_seen_s = now
        # Told apart before anything is unpacked: most frames end here.
        if not self._selector.wants(camera_to_world, stamp_ns):
            self._watch.still()
            return
        if posed.pairing.depth is None and now - self._depth_seen_s < DEPTH_USUAL_S:
            return  # others have depth: one of them will do better
        options = self._config.keyframes
        try:
            frame = self._decoder.frame(posed.pairing, camera_to_world)
            frame = limited(frame, options)
        except ValueError as error:
            self._health.complain('rejected_images', str(error))
            self._watch.refused(str(error))
            return
        waited, known = self._selector.waits, self._selector.known
        # A frame that is refused never comes here, so it does not stand in for those after it.
        chosen = self._selector.choose(frame)
        if self._selector.waits and not waited:
            self._held_since_s = now
        if self._selector.known > known:
            self._watch.known()
        self._publish(chosen)

    def _publish(self, frames: Sequence[PosedFrame]) -> None:
        config = self._config
        for frame in frames:
            self._sender.send(
                frame,
                config.node.world_frame,
                config.keyframes.jpeg_quality,
                self._odometry.at(frame.stamp_ns),
            )
            self._watch.took(frame)

    def _follow(self, jump: Jump) -> None:
        """Moves keyframes with the odometry frame, unless localisation was reset."""
        node = self._config.node
        what = f'{node.world_frame} -> {node.odom_frame} jumped by {jump}'
        count = self._sender.follow(jump, node.world_frame)
        if jump.is_reset:
            self._selector.forget()
            self._health.complain(
                'localisation_resets',
                f'{what}: that is taken for a reset of the localisation, and keyframes stay where '
                'they are; reset the map if they are wrong now, or raise node.reset_move_m or '
                'node.reset_turn_deg',
            )
            return
        self._selector.move(jump.move)
        self._selector.move(jump.move)
        self._health.note('corrections', f'{what}: {count} keyframes follow')

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
            **self._sender.values(),
            'blurred_frames': self._selector.blurred,
            **self._watch.values(),
        }


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(KeyframeNode)


if __name__ == '__main__':
    sys.exit(main())
