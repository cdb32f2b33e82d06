"""Messages and bags, written without ROS."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin

from lerf_ros.geometry import quaternion_from_rotation
from lerf_ros.sources.bag_writer import BagWriter, message_store

KEYFRAME = Path(__file__).parents[2] / 'msg' / 'Keyframe.msg'
STORE = message_store(Keyframe=KEYFRAME.read_text())
T = STORE.types


def make(name: str, **fields):
    return T[name](**fields)


def header(stamp_ns: int, frame: str = 'camera'):
    stamp = make('builtin_interfaces/msg/Time', sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return make('std_msgs/msg/Header', stamp=stamp, frame_id=frame)


def image(stamp_ns: int, pixels: np.ndarray, encoding: str, pad: int = 0):
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (0, pad)))
    return make(
        'sensor_msgs/msg/Image',
        header=header(stamp_ns),
        height=len(pixels),
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.shape[1],
        data=np.ascontiguousarray(data).reshape(-1),
    )


def compressed(stamp_ns: int, pixels: np.ndarray, kind: str = 'png'):
    data = cv2.imencode(f'.{kind}', pixels)[1].reshape(-1)
    return make('sensor_msgs/msg/CompressedImage', header=header(stamp_ns), format=kind, data=data)


def unpacked(stamp_ns: int, data: bytes, kind: str):
    return make(
        'sensor_msgs/msg/CompressedImage',
        header=header(stamp_ns),
        format=kind,
        data=np.frombuffer(data, np.uint8),
    )


def info(stamp_ns: int = 0, distortion=(), **changes):
    roi = make(
        'sensor_msgs/msg/RegionOfInterest',
        x_offset=0,
        y_offset=0,
        height=0,
        width=0,
        do_rectify=False,
    )
    k = np.array([20.0, 0, 7.5, 0, 21.0, 5.5, 0, 0, 1])
    fields = {
        'header': header(stamp_ns),
        'height': 12,
        'width': 16,
        'distortion_model': 'plumb_bob',
        'd': np.array(distortion, np.float64),
        'k': k,
        'r': np.eye(3).reshape(-1),
        'p': np.array([20.0, 0, 7.5, 0, 0, 21.0, 5.5, 0, 0, 0, 1, 0]),
        'binning_x': 0,
        'binning_y': 0,
        'roi': roi,
    }
    return make('sensor_msgs/msg/CameraInfo', **{**fields, **changes})


def pose_parts(matrix: np.ndarray, kind: str):
    q = quaternion_from_rotation(matrix[:3, :3])
    point = 'Point' if kind == 'Pose' else 'Vector3'
    names = ('position', 'orientation') if kind == 'Pose' else ('translation', 'rotation')
    x, y, z = matrix[:3, 3]
    return make(
        f'geometry_msgs/msg/{kind}',
        **{
            names[0]: make(f'geometry_msgs/msg/{point}', x=x, y=y, z=z),
            names[1]: make('geometry_msgs/msg/Quaternion', x=q[0], y=q[1], z=q[2], w=q[3]),
        },
    )


def stamped_pose(stamp_ns: int, matrix: np.ndarray):
    return make(
        'geometry_msgs/msg/PoseStamped',
        header=header(stamp_ns, 'map'),
        pose=pose_parts(matrix, 'Pose'),
    )


def with_covariance(stamp_ns: int, matrix: np.ndarray):
    covered = make(
        'geometry_msgs/msg/PoseWithCovariance',
        pose=pose_parts(matrix, 'Pose'),
        covariance=np.zeros(36),
    )
    return make(
        'geometry_msgs/msg/PoseWithCovarianceStamped',
        header=header(stamp_ns, 'map'),
        pose=covered,
    )


def odometry(stamp_ns: int, matrix: np.ndarray, child: str = 'base_link'):
    covered = make(
        'geometry_msgs/msg/PoseWithCovariance',
        pose=pose_parts(matrix, 'Pose'),
        covariance=np.zeros(36),
    )
    still = make('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
    twist = make(
        'geometry_msgs/msg/TwistWithCovariance',
        twist=make('geometry_msgs/msg/Twist', linear=still, angular=still),
        covariance=np.zeros(36),
    )
    return make(
        'nav_msgs/msg/Odometry',
        header=header(stamp_ns, 'map'),
        child_frame_id=child,
        pose=covered,
        twist=twist,
    )


def tf(stamp_ns: int, parent: str, child: str, matrix: np.ndarray):
    link = make(
        'geometry_msgs/msg/TransformStamped',
        header=header(stamp_ns, parent),
        child_frame_id=child,
        transform=pose_parts(matrix, 'Transform'),
    )
    return make('tf2_msgs/msg/TFMessage', transforms=[link])


def write(path: Path, messages, plugin=StoragePlugin.SQLITE3, store=STORE) -> Path:
    with BagWriter(path, store, plugin) as writer:
        for topic, record_ns, message in messages:
            writer.write(topic, record_ns, message)
    return path
