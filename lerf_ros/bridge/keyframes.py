"""Keyframe messages to keyframes and back."""

from __future__ import annotations

import cv2
import numpy as np
from std_msgs.msg import Header

from lerf_ros.bridge.cameras import Rectifier, camera_info_message
from lerf_ros.bridge.compressed import (
    compressed_depth_array,
    compressed_depth_message,
    compressed_image_array,
    compressed_image_message,
)
from lerf_ros.bridge.poses import nanoseconds, pose_matrix_of, pose_message, stamp_message
from lerf_ros.frames import PosedFrame
from lerf_ros.msg import Keyframe as KeyframeMessage


def keyframe_message(
    frame: PosedFrame, index: int, world_frame: str, jpeg_quality: int, *, source: str = ''
) -> KeyframeMessage:
    """Returns the message of a rectified frame, number `index` of a stream."""
    stamp = stamp_message(frame.stamp_ns)
    camera_header = Header(stamp=stamp, frame_id=frame.frame_id)
    message = KeyframeMessage(
        header=Header(stamp=stamp, frame_id=world_frame),
        source=source,
        index=index,
        camera_info=camera_info_message(frame.camera, camera_header),
        pose=pose_message(frame.camera_to_world),
        image=compressed_image_message(frame.image, jpeg_quality, camera_header),
    )
    if frame.depth is not None:
        message.depth = compressed_depth_message(frame.depth, camera_header)
    return message


def source_of(message: KeyframeMessage) -> str:
    """Returns the name of the stream that a keyframe message belongs to."""
    return message.source or message.camera_info.header.frame_id or 'camera'


def frame_of(message: KeyframeMessage, world_frame: str) -> PosedFrame:
    """Returns the frame of a keyframe message.

    Args:
        message: The message.
        world_frame: The frame its pose must be given in.

    Raises:
        ValueError: A part is malformed, or the pose is in another frame.
    """
    if message.header.frame_id != world_frame:
        raise ValueError(
            f'keyframe: expected a pose in the frame {world_frame!r}, '
            f'got {message.header.frame_id!r}; set node.world_frame alike on both nodes'
        )
    rectifier = Rectifier(message.camera_info)
    depth_m = compressed_depth_array(message.depth) if len(message.depth.data) else None
    return PosedFrame(
        image=rectifier.image(compressed_image_array(message.image)),
        depth=None if depth_m is None else rectifier.depth(depth_m),
        camera=rectifier.camera,
        camera_to_world=pose_matrix_of(message.pose),
        stamp_ns=nanoseconds(message.header.stamp),
        frame_id=message.camera_info.header.frame_id,
    )


def shrunk(frame: PosedFrame, max_width: int, max_depth_m: float) -> PosedFrame:
    """Returns the frame at most so wide, with depth beyond a limit unknown."""
    depth_m = frame.depth
    if depth_m is not None:
        depth_m = np.where(depth_m > max_depth_m, np.float32(np.nan), depth_m)
    image, camera = frame.image, frame.camera
    if camera.width > max_width:
        size = (max_width, max(1, round(camera.height * max_width / camera.width)))
        camera = camera.resized(*size)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if depth_m is not None:
            depth_m = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST)
    return PosedFrame(
        image=image,
        depth=depth_m,
        camera=camera,
        camera_to_world=frame.camera_to_world,
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
    )
