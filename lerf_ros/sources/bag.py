"""Posed frames from a ROS bag (sqlite3 or MCAP, ROS 1 too), read without a ROS install.

A bag of ``/lerf/keyframes`` needs nothing else. Otherwise colour, camera info, optional registered
depth, and the pose from a topic of PoseStamped (of the camera's optical frame) or from TF.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import Stores, get_typestore

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.pose_track import PoseTrack, TransformTracks
from lerf_ros.geometry import PinholeCamera, pose_matrix

logger = logging.getLogger(__name__)

KEYFRAME_TYPE = 'lerf_ros/msg/Keyframe'
_WAITING = 30
_DECODERS = {
    'bgr8': (np.uint8, 3, cv2.COLOR_BGR2RGB),
    'rgb8': (np.uint8, 3, None),
    'rgba8': (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    'bgra8': (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    'mono8': (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    '16UC1': (np.uint16, 1, None),
    'mono16': (np.uint16, 1, None),
    '32FC1': (np.float32, 1, None),
}


class Bag:
    """The posed frames of a bag, in the order they were recorded.

    Frames without a pose at their stamp, or that cannot be decoded, are left out; one warning at
    the end says how many and why first.

    Args:
        path: The bag: a folder (ROS 2) or a file (ROS 1, MCAP).
        image_topic: Colour, raw or compressed.
        camera_info_topic: Calibration; that beside the image topic if empty.
        depth_topic: Depth that is registered to the colour; empty for none.
        pose_topic: PoseStamped of the optical frame; empty to use TF.
        world_frame: TF frame of the world.
        keyframe_topic: Topic of keyframes; where the bag has it the others are not looked at.
        slop_s: Greatest difference of the stamps of colour and depth.

    Raises:
        ValueError: The bag cannot be read, or a topic is not in it.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        image_topic: str = '/camera/image',
        camera_info_topic: str = '',
        depth_topic: str = '',
        pose_topic: str = '',
        world_frame: str = 'map',
        keyframe_topic: str = '/lerf/keyframes',
        slop_s: float = 0.02,
    ) -> None:
        self._path = Path(path)
        self._image_topic, self._depth_topic = image_topic, depth_topic
        self._info_topic = camera_info_topic or f'{image_topic.rpartition("/")[0]}/camera_info'
        self._pose_topic, self._world_frame = pose_topic, world_frame
        self._keyframe_topic = keyframe_topic
        self._slop_ns = round(slop_s * 1e9)
        with self._open() as reader:
            self._has_keyframes = keyframe_topic in reader.topics
            if not self._has_keyframes:
                wanted = [image_topic, self._info_topic, depth_topic, pose_topic]
                for topic in filter(None, wanted):
                    if topic not in reader.topics:
                        raise ValueError(
                            f'{path}: expected the topic {topic}, got '
                            f'{", ".join(sorted(reader.topics)) or "none"}'
                        )

    def __iter__(self) -> Iterator[PosedFrame]:
        with self._open() as reader:
            problems: list[str] = []
            read = self._keyframes if self._has_keyframes else self._frames
            yield from read(reader, problems)
            if problems:
                logger.warning(
                    '%s: %d frames left out, the first because %s',
                    self._path,
                    len(problems),
                    problems[0],
                )

    @contextlib.contextmanager
    def _open(self) -> Iterator[AnyReader]:
        try:
            reader = AnyReader([self._path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
            reader.open()
        except (AnyReaderError, ReaderError, OSError) as error:
            raise ValueError(f'{self._path}: expected a bag, got {error}') from error
        try:
            yield reader
        finally:
            reader.close()

    def _messages(self, reader: AnyReader, topics: list[str]) -> Iterator[tuple[str, Any]]:
        connections = [c for c in reader.connections if c.topic in topics]
        for connection, _, raw in reader.messages(connections=connections):
            yield connection.topic, reader.deserialize(raw, connection.msgtype)

    def _keyframes(self, reader: AnyReader, problems: list[str]) -> Iterator[PosedFrame]:
        for _, message in self._messages(reader, [self._keyframe_topic]):
            try:
                depth = _decompress(message.depth) if len(message.depth.data) else None
                yield PosedFrame(
                    image=_decompress(message.image),
                    depth=None if depth is None else metric_depth(depth),
                    camera=Calibration(message.camera_info).camera,
                    camera_to_world=_pose(message.pose),
                    stamp_ns=_stamp_ns(message.header),
                    frame_id=message.camera_info.header.frame_id,
                )
            except ValueError as error:
                problems.append(str(error))

    def _frames(self, reader: AnyReader, problems: list[str]) -> Iterator[PosedFrame]:
        track, tracks = PoseTrack(), TransformTracks()
        # Poses first: a pose is often recorded after the picture it belongs to.
        for topic, message in self._messages(
            reader, [self._pose_topic] if self._pose_topic else ['/tf', '/tf_static']
        ):
            if self._pose_topic:
                track.add(_stamp_ns(message.header), _pose(message.pose))
                continue
            for link in message.transforms:
                tracks.add(
                    link.header.frame_id,
                    link.child_frame_id,
                    _stamp_ns(link.header),
                    _transform(link.transform),
                    static=topic == '/tf_static',
                )
        calibration: Calibration | None = None
        pictures: deque[Any] = deque()
        depths: deque[Any] = deque(maxlen=_WAITING)
        topics = [self._image_topic, self._info_topic, self._depth_topic]
        # After the last message whatever still waits for depth goes without.
        for topic, message in itertools.chain(self._messages(reader, topics), [('', None)]):
            if topic == self._info_topic:
                calibration = calibration or Calibration(message)
            elif topic == self._depth_topic and topic:
                depths.append(message)
            elif topic == self._image_topic:
                pictures.append(message)
            while pictures and calibration is not None:
                depth, settled = self._partner(pictures[0], depths, flush=message is None)
                if not settled and len(pictures) < _WAITING:
                    break
                picture = pictures.popleft()
                stamp_ns = _stamp_ns(picture.header)
                try:
                    pose = (
                        track.at(stamp_ns)
                        if self._pose_topic
                        else tracks.at(self._world_frame, picture.header.frame_id, stamp_ns)
                    )
                    yield calibration.frame(picture, depth, pose, stamp_ns)
                except ValueError as error:
                    problems.append(str(error))

    def _partner(self, picture: Any, depths: deque[Any], *, flush: bool) -> tuple[Any, bool]:
        """Returns the depth of a picture, and whether no better one can come."""
        if not self._depth_topic:
            return None, True
        stamp_ns = _stamp_ns(picture.header)
        near = [d for d in depths if abs(_stamp_ns(d.header) - stamp_ns) <= self._slop_ns]
        best = min(near, key=lambda d: abs(_stamp_ns(d.header) - stamp_ns), default=None)
        if best is not None and _stamp_ns(best.header) == stamp_ns:
            return best, True
        later = any(_stamp_ns(d.header) > stamp_ns + self._slop_ns for d in depths)
        return best, later or flush


class Calibration:
    """A camera info, and the pictures of its camera as an ideal camera would have taken them.

    Args:
        info: Message of type CameraInfo.

    Raises:
        ValueError: The camera is uncalibrated, or its distortion model unknown.
    """

    def __init__(self, info: Any) -> None:
        k = np.array(getattr(info, 'k', getattr(info, 'K', None)), np.float64).reshape(3, 3)
        d = np.array(getattr(info, 'd', getattr(info, 'D', None)), np.float64)
        p = np.array(getattr(info, 'p', getattr(info, 'P', None)), np.float64).reshape(3, 4)
        if d.any() and info.distortion_model not in ('plumb_bob', 'rational_polynomial'):
            raise ValueError(
                'camera_info: expected plumb_bob or rational_polynomial, got '
                f'{info.distortion_model!r}'
            )
        ideal = p[:, :3] if p[0, 0] > 0 and d.any() else k
        self.camera = PinholeCamera(
            fx=float(ideal[0, 0]),
            fy=float(ideal[1, 1]),
            cx=float(ideal[0, 2]) + 0.5,
            cy=float(ideal[1, 2]) + 0.5,
            width=int(info.width),
            height=int(info.height),
        )
        self._maps = None
        if d.any():
            size = (self.camera.width, self.camera.height)
            self._maps = cv2.initUndistortRectifyMap(k, d, np.eye(3), ideal, size, cv2.CV_32FC1)

    def frame(
        self, picture: Any, depth: Any, camera_to_world: Float[np.ndarray, '4 4'], stamp_ns: int
    ) -> PosedFrame:
        """Returns the rectified frame of a picture message and a depth message.

        Raises:
            ValueError: A message cannot be decoded or is of another size.
        """
        image = self._rectify(_decode(picture), cv2.INTER_LINEAR)
        depth_m = None
        if depth is not None:
            depth_m = self._rectify(metric_depth(_decode(depth)), cv2.INTER_NEAREST)
        return PosedFrame(
            image=image,
            depth=depth_m,
            camera=self.camera,
            camera_to_world=camera_to_world,
            stamp_ns=stamp_ns,
            frame_id=picture.header.frame_id,
        )

    def _rectify(self, values: np.ndarray, interpolation: int) -> np.ndarray:
        if self._maps is None:
            return values
        hole = float('nan') if values.dtype == np.float32 else 0
        return cv2.remap(values, *self._maps, interpolation, borderValue=hole)


def metric_depth(values: np.ndarray) -> Float[np.ndarray, 'height width']:
    """Returns depth in metres from uint16 millimetres or float metres, NaN where unknown.

    Raises:
        ValueError: The values are no depth.
    """
    if values.ndim != 2 or values.dtype not in (np.uint16, np.float32):
        raise ValueError(f'depth: expected 16UC1 or 32FC1, got {values.dtype} {values.shape}')
    depth_m = values * np.float32(0.001) if values.dtype == np.uint16 else values.copy()
    depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
    return depth_m.astype(np.float32)


def _decode(message: Any) -> np.ndarray:
    if hasattr(message, 'format'):
        return _decompress(message)
    if message.encoding not in _DECODERS:
        raise ValueError(
            f'image: expected an encoding of {", ".join(_DECODERS)}, got {message.encoding!r}'
        )
    kind, channels, conversion = _DECODERS[message.encoding]
    dtype = np.dtype(kind).newbyteorder('>' if message.is_bigendian else '<')
    row_bytes = message.width * channels * dtype.itemsize
    if message.step < row_bytes or len(message.data) < message.step * message.height:
        raise ValueError(f'image: {len(message.data)} bytes do not hold {message.height} rows')
    rows = np.asarray(message.data, np.uint8)[: message.step * message.height]
    rows = np.ascontiguousarray(rows.reshape(message.height, message.step)[:, :row_bytes])
    shape = (message.height, message.width, channels)
    values = rows.view(dtype).astype(kind).reshape(shape[: 3 if channels > 1 else 2])
    return values if conversion is None else cv2.cvtColor(values, conversion)


def _decompress(message: Any) -> np.ndarray:
    values = cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError(f'image: cannot decode a picture of format {message.format!r}')
    if values.dtype == np.uint16:
        return values
    conversion = {2: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB}[min(values.ndim, 3)]
    return cv2.cvtColor(values[..., :3] if values.ndim == 3 else values, conversion)


def _stamp_ns(header: Any) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _pose(pose: Any) -> Float[np.ndarray, '4 4']:
    p, q = pose.position, pose.orientation
    return pose_matrix(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))


def _transform(transform: Any) -> Float[np.ndarray, '4 4']:
    p, q = transform.translation, transform.rotation
    return pose_matrix(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))
