"""Keyframe messages to keyframes and back."""

from __future__ import annotations

from std_msgs.msg import Header

from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import compressed_message
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.compressed import encode_depth, encode_jpeg, encode_mask
from lerf_ros.frames.decoding import keyframe_frame
from lerf_ros.msg import Keyframe as KeyframeMessage


def keyframe_message(
    frame: PosedFrame,
    index: int,
    world_frame: str,
    jpeg_quality: int,
    *,
    source: str = '',
    run: str = '',
) -> KeyframeMessage:
    """Returns the message of a rectified frame, number `index` of a run of a stream."""
    stamp = stamp_message(frame.stamp_ns)
    camera_header = Header(stamp=stamp, frame_id=frame.frame_id)
    message = KeyframeMessage(
        header=Header(stamp=stamp, frame_id=world_frame),
        source=source,
        run=run,
        index=index,
        camera_info=camera_info_message(frame.camera, camera_header),
        pose=pose_message(frame.camera_to_world),
        image=compressed_message(
            encode_jpeg(frame.image, jpeg_quality), 'rgb8; jpeg compressed bgr8', camera_header
        ),
    )
    if frame.depth is not None:
        message.depth = compressed_message(encode_depth(frame.depth), '16UC1; png', camera_header)
    if frame.visible is not None:
        message.mask = compressed_message(encode_mask(frame.visible), 'mono8; png', camera_header)
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
    return keyframe_frame(message)
