"""Messages with anything in any field: refused with a sentence, or sound; never another error.

Ten thousand messages in all: two thousand examples of each of five kinds. Drawing them takes
longer than reading them: strategies are made once, and one number says which fields are odd.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace as Message
from typing import Any

import cv2
import numpy as np
import plain_messages as plain
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lerf_ros.frames.calibration import Calibration
from lerf_ros.frames.decoding import decode_depth, decode_image, keyframe_frame
from lerf_ros.frames.encodings import ALIASES, LAYOUTS
from lerf_ros.frames.messages import stamp_of, stamped_matrix_of
from lerf_ros.geometry import PinholeCamera

FUZZ = settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CAMERA = PinholeCamera(20.0, 21.0, 4.0, 3.0, 8, 6)
PICTURE = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
JPEG = cv2.imencode('.jpg', PICTURE)[1].tobytes()
PNG = cv2.imencode('.png', np.arange(48, dtype=np.uint16).reshape(6, 8) * 50)[1].tobytes()
MASK = cv2.imencode('.png', np.uint8(255) * (PICTURE[..., 0] > 80))[1].tobytes()
HIDDEN = cv2.imencode('.png', np.zeros((6, 8), np.uint8))[1].tobytes()
# None, good, cut, of another size or kind, hiding all, or damaged at some place.
MASKS = st.one_of(
    st.sampled_from([b'', MASK, MASK[:30], JPEG, PNG, HIDDEN]),
    st.builds(lambda at: MASK[:at] + b'?' + MASK[at + 1 :], st.integers(0, len(MASK) - 1)),
)
RVL = struct.pack('<iffII', 0, 0, 0, 8, 6) + bytes(range(64))
NUMBERS = st.one_of(st.floats(-3, 3), st.floats(allow_nan=True, allow_infinity=True, width=64))
SIZES = st.one_of(st.integers(0, 16), st.integers(0, 2**32 - 1))
FORMATS = (
    'jpeg',
    'rgb8; jpeg compressed bgr8',
    '16UC1; png',
    '16UC1; compressedDepth png',
    '32FC1; compressedDepth png',
    '16UC1; compressedDepth rvl',
    '32FC1; compressedDepth rvl',
)


SHORT, BYTE, FEW = st.text(max_size=8), st.integers(0, 255), st.integers(0, 3)
HEADERS = st.builds(
    Message,
    stamp=st.builds(
        Message, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1)
    ),
    frame_id=SHORT,
)
ENCODINGS = st.one_of(st.sampled_from([*LAYOUTS, *ALIASES]), st.text(max_size=6))
COUNTS, PIXELS = st.integers(0, 64), st.binary(min_size=16, max_size=16)
FILES = st.sampled_from([JPEG, PNG, bytes(12) + PNG, RVL, b''])
FORMAT = st.one_of(st.sampled_from(FORMATS), SHORT)
LENSES = st.one_of(st.just([]), st.lists(NUMBERS, max_size=14))
MODELS = st.one_of(
    st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', '']), st.text(max_size=6)
)
# How many numbers of K, R and P are odd: up to two of each.
ODD = st.integers(0, 26)
MATRICES = (('k', st.integers(0, 8)), ('r', st.integers(0, 8)), ('p', st.integers(0, 11)))
# Four fields that are odd half of the time, then four that are so a quarter of it.
ODD_SIZES = st.integers(0, 2**12 - 1)
# Seven numbers of a pose, each odd a quarter of the time.
ODD_POSE = st.integers(0, 4**7 - 1)
POSES = st.sampled_from(
    [plain.pose_stamped, plain.with_covariance, plain.odometry, plain.transform_stamped]
)


@st.composite
def images(draw: st.DrawFn) -> Message:
    encoding = draw(ENCODINGS)
    kind, channels = LAYOUTS.get(encoding, (np.uint8, 2))
    height, width = draw(SIZES), draw(SIZES)
    right = width * channels * np.dtype(kind).itemsize + draw(FEW)
    step = draw(st.one_of(st.just(min(right, 2**32 - 1)), SIZES))
    count = step * height if step * height < 4096 else draw(COUNTS)
    count = max(0, count + draw(st.sampled_from([0, 0, 0, -1, 1, count // 2, 2 * count])))
    return Message(
        header=draw(HEADERS),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=draw(BYTE),
        step=step,
        data=(draw(PIXELS) * (count // 16 + 1))[:count],
    )


@st.composite
def packed(draw: st.DrawFn) -> Message:
    data = bytearray(draw(FILES))
    for _ in range(draw(FEW) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(BYTE)
    data = data[: draw(st.one_of(st.none(), st.integers(0, len(data))))]
    return Message(header=draw(HEADERS), format=draw(FORMAT), data=bytes(data))


@st.composite
def infos(draw: st.DrawFn) -> Message:
    info = plain.camera_info(CAMERA)
    odd = draw(ODD)
    for name, places in MATRICES:
        values = list(getattr(info, name))
        odd, count = divmod(odd, 3)
        for _ in range(count):
            values[draw(places)] = draw(NUMBERS)
        setattr(info, name, values)
    info.d = draw(LENSES)
    info.distortion_model = draw(MODELS)
    odd = draw(ODD_SIZES)
    for name in ('width', 'height', 'binning_x', 'binning_y'):
        odd, other = divmod(odd, 2)
        if other:
            setattr(info, name, draw(SIZES))
    for name in ('x_offset', 'y_offset', 'width', 'height'):
        odd, other = divmod(odd, 4)
        if other == 3:
            setattr(info.roi, name, draw(SIZES))
    return info


def inner(message: Message) -> Message:
    found = message.transform if hasattr(message, 'transform') else message.pose
    return getattr(found, 'pose', found)


@st.composite
def poses(draw: st.DrawFn) -> Message:
    message = draw(POSES)(np.eye(4), 0)
    message.header = draw(HEADERS)
    odd = draw(ODD_POSE)
    for part in vars(inner(message)).values():
        for name in vars(part):
            odd, other = divmod(odd, 4)
            if other == 3:
                setattr(part, name, draw(NUMBERS))
    return message


def sound_depth(depth_m: np.ndarray) -> None:
    known = depth_m[~np.isnan(depth_m)]
    assert np.isfinite(known).all()
    assert (known > 0).all()


def sound_pose(matrix: np.ndarray) -> None:
    assert np.isfinite(matrix).all()
    turn = matrix[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) > 0
    assert matrix[3].tolist() == [0, 0, 0, 1]


def sound_camera(camera: PinholeCamera) -> None:
    assert np.isfinite([camera.fx, camera.fy, camera.cx, camera.cy]).all()
    assert min(camera.fx, camera.fy, camera.width, camera.height) > 0


def sound_frame(frame: Any) -> None:
    sound_camera(frame.camera)
    assert frame.image.shape == (frame.camera.height, frame.camera.width, 3)
    sound_pose(frame.camera_to_world)
    if frame.visible is not None:
        assert frame.visible.any()
        assert frame.depth is None or np.isnan(frame.depth[~frame.visible]).all()
    if frame.depth is not None:
        sound_depth(frame.depth)


@FUZZ
@given(images())
def test_images(message: Message) -> None:
    for read, kind in ((decode_image, np.uint8), (decode_depth, np.float32)):
        try:
            found = read(message)
        except ValueError:
            continue
        assert (found.shape[:2], found.dtype) == ((message.height, message.width), kind)
        if kind is np.float32:
            sound_depth(found)


@FUZZ
@given(packed())
def test_compressed_images(message: Message) -> None:
    for read in (decode_image, decode_depth):
        try:
            found = read(message)
        except ValueError:
            continue
        assert found.size
        if read is decode_depth:
            sound_depth(found)


@FUZZ
@given(infos())
def test_camera_infos(message: Message) -> None:
    try:
        lens = Calibration.of(message).lens()
        sound_camera(lens.rectified)
    except ValueError:
        return
    assert message.k[0] != 0
    assert np.isfinite(lens.distortion).all()


@FUZZ
@given(poses())
def test_poses(message: Message) -> None:
    assert isinstance(stamp_of(message), int)
    try:
        sound_pose(stamped_matrix_of(message))
    except ValueError:
        return


@FUZZ
@given(infos(), packed(), packed(), MASKS, poses())
def test_keyframes(
    info: Message, image: Message, depth: Message, mask: bytes, pose: Message
) -> None:
    found = inner(pose)
    if hasattr(found, 'translation'):
        found = Message(position=found.translation, orientation=found.rotation)
    message = Message(
        header=pose.header,
        camera_info=info,
        image=image,
        depth=depth,
        mask=Message(header=pose.header, format='mono8; png', data=mask),
        pose=found,
        index=0,
    )
    try:
        frame = keyframe_frame(message)
    except ValueError:
        return
    sound_frame(frame)


def test_what_is_sound_is_accepted() -> None:
    message = Message(
        header=plain.header(),
        camera_info=plain.camera_info(CAMERA),
        image=Message(header=plain.header(), format='jpeg', data=JPEG),
        depth=Message(header=plain.header(), format='16UC1; png', data=PNG),
        mask=Message(header=plain.header(), format='mono8; png', data=b''),
        pose=plain.pose(np.eye(4)),
        index=0,
    )
    sound_frame(keyframe_frame(message))
    with pytest.raises(ValueError, match='uncalibrated'):
        Calibration.of(plain.camera_info(CAMERA, k=[0.0] * 9))
