"""Plays a source as live topics: a recording of any kind, or the simulated tabletop.

Publishes ``image``, ``camera_info``, ``depth``, ``pose``, and TF where tf2_msgs is installed,
stamped with the time at which they are sent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import pose_message, transform_message
from lerf_ros.bridge.transforms import TFMessage
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.encodings import millimetres
from lerf_ros.nodes.spinning import spin

# Frames of a loop are kept up to this size, so that only the first round renders or decodes.
KEEP_BYTES = 512 * 2**20
MAX_RATE_HZ = 200.0

Value = TypeVar('Value', str, int, float, bool)


class PlayerNode(Node):
    """Publishes the frames of a source at a steady rate.

    Args:
        parameters: Values that go before those of the command line.
        on_end: Called after the last frame.
        namespace: Namespace of the node and its topics, unless it is remapped.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter] = (),
        on_end: Callable[[], object] = rclpy.try_shutdown,
        namespace: str = 'camera',
    ) -> None:
        super().__init__('player_node', namespace=namespace, parameter_overrides=list(parameters))
        self._on_end = on_end
        source = self._declare('source', 'tabletop', "'tabletop' or a recording.")
        seed = self._declare('seed', 9000, 'Scene of the tabletop.')
        path = self._declare('path', 'orbit', 'Camera path: orbit, handheld or wrist.')
        seconds = self._declare('seconds', 20.0, 'Duration of the camera path, s.', 3600.0)
        rate_hz = self._declare('rate_hz', 10.0, 'Frames a second.', MAX_RATE_HZ)
        unit_m = self._declare(
            'depth_unit_m', 0.0, 'What 1 means in its depth, m; 0: as it says.', 1000.0
        )
        focal_px = self._declare(
            'colour_focal_px',
            0.0,
            'Focal length of colour that is not registered to depth, px; 0: it is.',
            1e5,
        )
        loop = self._declare('loop', False, 'Whether to start again at the end.')
        self._world_frame = self._declare('world_frame', 'map', 'Frame of the poses.')
        self._wait = self._declare(
            'wait_for_subscriber', True, 'Whether to wait until somebody listens to the image.'
        )
        if not 0 < rate_hz <= MAX_RATE_HZ:
            raise ValueError(f'rate_hz: expected more than 0, at most 200, got {rate_hz}')
        profile = QoSProfile(depth=5)
        self._image = self.create_publisher(Image, 'image', profile)
        self._info = self.create_publisher(CameraInfo, 'camera_info', profile)
        self._depth = self.create_publisher(Image, 'depth', profile)
        self._pose = self.create_publisher(PoseStamped, 'pose', profile)
        self._tf = self.create_publisher(TFMessage, '/tf', 100) if TFMessage else None
        open_frames = open_source(source, seed, path, seconds, rate_hz, unit_m, focal_px)
        self._frames = looped(open_frames) if loop else iter(open_frames())
        self._sent = 0
        self._timer = self.create_timer(
            1 / rate_hz, self._send, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _declare(self, name: str, default: Value, text: str, high: float | None = None) -> Value:
        descriptor = ParameterDescriptor(description=text, read_only=True)
        if high is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=0.0, to_value=high)]
        return self.declare_parameter(name, default, descriptor).value

    def _send(self) -> None:
        if self._wait and self._image.get_subscription_count() == 0:
            return
        self._wait = False
        frame = next(self._frames, None)
        if frame is None:
            self.get_logger().info(f'the end: {self._sent} frames were sent')
            self._timer.cancel()
            self._on_end()
            return
        stamp = self.get_clock().now().to_msg()
        camera_header = Header(stamp=stamp, frame_id=frame.frame_id or 'camera')
        world_header = Header(stamp=stamp, frame_id=self._world_frame)
        pose = pose_message(frame.camera_to_world)
        # The pose goes first, so that it is there when the picture arrives.
        self._pose.publish(PoseStamped(header=world_header, pose=pose))
        if self._tf is not None:
            transform = TransformStamped(
                header=world_header,
                child_frame_id=camera_header.frame_id,
                transform=transform_message(frame.camera_to_world),
            )
            self._tf.publish(TFMessage(transforms=[transform]))
        self._info.publish(camera_info_message(frame.camera, camera_header))
        self._image.publish(colour_message(frame, camera_header))
        if frame.depth is not None:
            depth = image_message(millimetres(frame.depth), '16UC1', camera_header)
            self._depth.publish(depth)
        self._sent += 1


def colour_message(frame: PosedFrame, header: Header) -> Image:
    """Returns the picture of a frame; what is hidden is transparent."""
    if frame.visible is None:
        return image_message(frame.image, 'rgb8', header)
    alpha = np.where(frame.visible, np.uint8(255), np.uint8(0))
    return image_message(np.dstack([frame.image, alpha]), 'rgba8', header)


def open_source(
    source: str,
    seed: int,
    path: str,
    seconds: float,
    rate_hz: float,
    depth_unit_m: float = 0.0,
    colour_focal_px: float = 0.0,
) -> Callable[[], Iterable[PosedFrame]]:
    """Returns a function that gives the frames of a source from the beginning.

    Raises:
        ValueError: The source is unknown or unusable.
    """
    if source == 'tabletop':
        from lerf_ros.simulation import TabletopScene

        scene = TabletopScene(seed=seed)
        return lambda: scene.frames(path, seconds, rate_hz)
    if not Path(source).exists():
        raise ValueError(f"source: expected 'tabletop' or a recording, got {source!r}")
    from lerf_ros.sources.detection import SourceOptions, kind_of, open_bag_of, open_recording

    options = SourceOptions(
        depth_unit_m=depth_unit_m or None, colour_focal_px=colour_focal_px or None
    )
    if kind_of(Path(source)) == 'bag':
        bag = open_bag_of(source, options)
        return lambda: bag
    recording = open_recording(source, options)
    return lambda: recording


def looped(open_frames: Callable[[], Iterable[PosedFrame]]) -> Iterator[PosedFrame]:
    """Yields frames for ever; those that fit into memory are made only once."""
    kept: list[PosedFrame] = []
    size = 0
    whole = True
    for frame in open_frames():
        size += frame.image.nbytes + (0 if frame.depth is None else frame.depth.nbytes)
        whole = whole and size <= KEEP_BYTES
        if whole:
            kept.append(frame)
        yield frame
    if whole:
        yield from cycle(kept)
    while True:
        yield from open_frames()


def main() -> int:
    """Runs the node; returns the exit status."""
    return spin(PlayerNode)


if __name__ == '__main__':
    sys.exit(main())
