"""Messages as plain objects with the fields of ROS's: tests of `frames` need no ROS."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np

from lerf_ros.frames.encodings import LAYOUTS, PLANES
from lerf_ros.frames.lens import opencv_matrix
from lerf_ros.geometry import PinholeCamera, quaternion_from_rotation


def header(stamp_ns: int = 0, frame_id: str = 'camera') -> Message:
    stamp = Message(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return Message(stamp=stamp, frame_id=frame_id)


def image(values: np.ndarray, encoding: str, *, stamp_ns: int = 0, pad: int = 0) -> Message:
    """Returns an Image of an array as it is sent: rows of chroma below those of luma."""
    rows = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, pad)))
    height = len(values) * 2 // (2 + PLANES.get(encoding, 0))
    channels = LAYOUTS[encoding][1] if encoding in LAYOUTS else 1
    width = values.shape[1] if channels == 1 or values.ndim == 3 else values.shape[1] // channels
    return Message(
        header=header(stamp_ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=rows.tobytes(),
    )


def compressed(data: bytes, name: str, *, stamp_ns: int = 0) -> Message:
    return Message(header=header(stamp_ns), format=name, data=data)


def camera_info(camera: PinholeCamera, *, stamp_ns: int = 0, **changes: object) -> Message:
    matrix = opencv_matrix(camera)
    fields = {
        'header': header(stamp_ns),
        'width': camera.width,
        'height': camera.height,
        'distortion_model': 'plumb_bob',
        'd': [],
        'k': matrix.reshape(-1).tolist(),
        'r': np.eye(3).reshape(-1).tolist(),
        'p': [number for row in matrix.tolist() for number in (*row, 0.0)],
        'binning_x': 0,
        'binning_y': 0,
        'roi': Message(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    }
    return Message(**{**fields, **changes})


def pose(matrix: np.ndarray) -> Message:
    x, y, z, w = quaternion_from_rotation(matrix[:3, :3])
    px, py, pz = matrix[:3, 3]
    return Message(position=Message(x=px, y=py, z=pz), orientation=Message(x=x, y=y, z=z, w=w))


def transform(matrix: np.ndarray) -> Message:
    found = pose(matrix)
    return Message(translation=found.position, rotation=found.orientation)


def pose_stamped(matrix: np.ndarray, stamp_ns: int, frame_id: str = 'map') -> Message:
    return Message(header=header(stamp_ns, frame_id), pose=pose(matrix))


def with_covariance(matrix: np.ndarray, stamp_ns: int, frame_id: str = 'map') -> Message:
    return Message(header=header(stamp_ns, frame_id), pose=Message(pose=pose(matrix)))


def odometry(
    matrix: np.ndarray, stamp_ns: int, frame_id: str = 'map', child: str = 'base_link'
) -> Message:
    return Message(
        header=header(stamp_ns, frame_id), child_frame_id=child, pose=Message(pose=pose(matrix))
    )


def transform_stamped(
    matrix: np.ndarray, stamp_ns: int, frame_id: str = 'map', child: str = 'camera'
) -> Message:
    return Message(
        header=header(stamp_ns, frame_id), child_frame_id=child, transform=transform(matrix)
    )
