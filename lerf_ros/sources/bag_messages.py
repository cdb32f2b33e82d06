"""Posed frames to the messages of a camera, for a bag that is written without a ROS install.

Pictures are PNG, so that what is read back is what was written, to the bit in colour and to the
millimetre in depth; what a mask hides is transparent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.compressed import PNG_EFFORT, encode_depth
from lerf_ros.geometry import quaternion_from_rotation

IMAGE, INFO = '/camera/image/compressed', '/camera/camera_info'
DEPTH, POSE = '/camera/depth/compressed', '/camera/pose'
WORLD = 'map'


class FrameMessages:
    """Makes the messages of frames.

    Args:
        store: Knows the types.
    """

    def __init__(self, store: Typestore) -> None:
        self._types = store.types

    def of(self, frame: PosedFrame) -> Iterator[tuple[str, Any]]:
        """Yields topic and message of each part of a frame, the pose first."""
        name = frame.frame_id or 'camera'
        header = self._header(frame.stamp_ns, name)
        yield POSE, self._pose(frame)
        yield INFO, self._info(frame, header)
        yield IMAGE, self._packed(header, _png(frame), 'rgb8; png')
        if frame.depth is not None:
            yield DEPTH, self._packed(header, encode_depth(frame.depth), '16UC1; png')

    def _make(self, name: str, **fields: Any) -> Any:
        return self._types[name](**fields)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        seconds, rest = divmod(stamp_ns, 10**9)
        stamp = self._make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)
        return self._make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)

    def _packed(self, header: Any, data: bytes, name: str) -> Any:
        return self._make(
            'sensor_msgs/msg/CompressedImage',
            header=header,
            format=name,
            data=np.frombuffer(data, np.uint8),
        )

    def _pose(self, frame: PosedFrame) -> Any:
        x, y, z = (float(value) for value in frame.camera_to_world[:3, 3])
        qx, qy, qz, qw = (
            float(value) for value in quaternion_from_rotation(frame.camera_to_world[:3, :3])
        )
        pose = self._make(
            'geometry_msgs/msg/Pose',
            position=self._make('geometry_msgs/msg/Point', x=x, y=y, z=z),
            orientation=self._make('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw),
        )
        header = self._header(frame.stamp_ns, WORLD)
        return self._make('geometry_msgs/msg/PoseStamped', header=header, pose=pose)

    def _info(self, frame: PosedFrame, header: Any) -> Any:
        camera = frame.camera
        # The centre of the first pixel is 0 in ROS and 0.5 here.
        u, v = camera.cx - 0.5, camera.cy - 0.5
        region = self._make(
            'sensor_msgs/msg/RegionOfInterest',
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        )
        return self._make(
            'sensor_msgs/msg/CameraInfo',
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model='plumb_bob',
            d=np.zeros(0),
            k=np.array([camera.fx, 0, u, 0, camera.fy, v, 0, 0, 1.0]),
            r=np.eye(3).reshape(-1),
            p=np.array([camera.fx, 0, u, 0, 0, camera.fy, v, 0, 0, 0, 1.0, 0]),
            binning_x=0,
            binning_y=0,
            roi=region,
        )


def _png(frame: PosedFrame) -> bytes:
    pixels = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    if frame.visible is not None:
        pixels = np.dstack([pixels, np.where(frame.visible, np.uint8(255), np.uint8(0))])
    return cv2.imencode('.png', pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT])[1].tobytes()
