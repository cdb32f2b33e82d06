"""Image messages: every encoding in and out, padding, byte order, bad messages."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from plain_messages import Message, image

from lerf_ros.frames import encodings
from lerf_ros.frames.encodings import (
    LAYOUTS,
    depth_array,
    image_array,
    load_cv_bridge,
    metric_depth,
    millimetres,
)

RED, GREEN, BLUE = (200, 10, 20), (5, 180, 30), (15, 25, 220)


@pytest.fixture
def rgb() -> np.ndarray:
    """A picture whose channels cannot be mistaken for one another."""
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[:2], picture[2], picture[3] = RED, GREEN, BLUE
    return picture


def as_sent(rgb: np.ndarray, encoding: str) -> np.ndarray:
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    return {
        'rgb8': rgb,
        'bgr8': rgb[..., ::-1],
        '8UC3': rgb[..., ::-1],
        'rgba8': np.concatenate([rgb, alpha], axis=2),
        'bgra8': np.concatenate([rgb[..., ::-1], alpha], axis=2),
        '8UC4': np.concatenate([rgb[..., ::-1], alpha], axis=2),
    }[encoding]


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', '8UC3', 'rgba8', 'bgra8', '8UC4'])
def test_colour_encodings_give_the_same_rgb(rgb: np.ndarray, encoding: str) -> None:
    message = image(np.ascontiguousarray(as_sent(rgb, encoding)), encoding)
    np.testing.assert_array_equal(image_array(message), rgb)


def test_grey_pictures_become_rgb() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(image_array(image(grey, 'mono8')), expected)
    deep = grey.astype(np.uint16) * 256
    np.testing.assert_array_equal(image_array(image(deep, 'mono16')), expected)


@pytest.mark.parametrize(
    ('encoding', 'cell'),
    [
        ('bayer_rggb8', 'rggb'),
        ('bayer_bggr8', 'bggr'),
        ('bayer_gbrg8', 'gbrg'),
        ('bayer_grbg8', 'grbg'),
    ],
)
def test_bayer_pictures_of_one_colour_keep_it(encoding: str, cell: str) -> None:
    mosaic = np.array([dict(zip('rgb', RED, strict=True))[c] for c in cell], np.uint8)
    picture = np.tile(mosaic.reshape(2, 2), (4, 4))
    found = image_array(image(picture, encoding))
    np.testing.assert_array_equal(found[2:-2, 2:-2], np.broadcast_to(RED, (4, 4, 3)))


@pytest.mark.parametrize(
    ('encoding', 'order'), [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv')]
)
def test_yuv_pictures_of_one_colour_keep_it(encoding: str, order: str) -> None:
    # BT.601, studio swing, of pure red.
    values = {'y': 81, 'u': 90, 'v': 240}
    packed = np.array([values[c] for c in order], np.uint8).reshape(2, 2)
    picture = np.tile(packed, (4, 2, 1))
    found = image_array(image(picture, encoding))
    assert np.abs(found.astype(int) - (254, 0, 0)).max() <= 3


def test_padded_rows_are_cut() -> None:
    rows = np.zeros((2, 8), np.uint8)
    rows[:, :6] = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]
    message = Message(height=2, width=2, encoding='rgb8', step=8, is_bigendian=0)
    message.data = rows.tobytes()
    expected = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]
    np.testing.assert_array_equal(image_array(message), expected)


def test_depth_in_millimetres_and_metres() -> None:
    raw = np.array([[0, 1500], [65535, 1]], np.uint16)
    expected = np.array([[np.nan, 1.5], [65.535, 0.001]], np.float32)
    np.testing.assert_allclose(depth_array(image(raw, '16UC1')), expected)
    metres = np.array([[np.nan, 1.5], [np.inf, -1.0]], np.float32)
    found = depth_array(image(metres, '32FC1'))
    np.testing.assert_array_equal(found, [[np.nan, np.float32(1.5)], [np.nan, np.nan]])


def test_big_endian_depth() -> None:
    message = Message(height=1, width=2, encoding='16UC1', step=4, is_bigendian=1)
    message.data = np.array([[1000, 2000]], '>u2').tobytes()
    np.testing.assert_allclose(depth_array(message), [[1.0, 2.0]])


def test_millimetres_and_back() -> None:
    depth_m = np.array([[np.nan, 0.25], [1.2344, 70.0]], np.float32)
    np.testing.assert_array_equal(millimetres(depth_m), [[0, 250], [1234, 0]])
    np.testing.assert_allclose(
        metric_depth(millimetres(depth_m)), [[np.nan, 0.25], [1.234, np.nan]]
    )


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'encoding': '64FC3'}, 'encoding'),
        ({'encoding': ''}, 'encoding'),
        ({'encoding': '16UC1'}, 'depth'),
        ({'width': 0}, '0x4'),
        ({'height': 5}, '5 rows'),
        ({'step': 3}, 'step 3'),
        ({'data': b''}, '0 bytes'),
    ],
)
def test_bad_pictures_are_refused_with_a_sentence(
    rgb: np.ndarray, changes: dict, words: str
) -> None:
    message = image(rgb, 'rgb8')
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match=words):
        image_array(message)


def test_colour_is_no_depth(rgb: np.ndarray) -> None:
    with pytest.raises(ValueError, match='16UC1 millimetres or 32FC1 metres'):
        depth_array(image(rgb, 'rgb8'))


def test_result_owns_its_memory(rgb: np.ndarray) -> None:
    message = image(rgb, 'rgb8')
    found = image_array(message)
    found[:] = 0
    np.testing.assert_array_equal(image_array(message), rgb)


def test_nv12_and_its_kin_keep_one_colour() -> None:
    # BT.601, studio swing, of pure red.
    luma = np.full((4, 6), 81, np.uint8)
    for encoding, pair, rows in (('nv12', (90, 240), 2), ('nv21', (240, 90), 2)):
        chroma = np.tile(np.array(pair, np.uint8), (rows, 3))
        found = image_array(image(np.vstack([luma, chroma]), encoding))
        assert found.shape == (4, 6, 3)
        assert np.abs(found.astype(int) - (254, 0, 0)).max() <= 3
    full = np.tile(np.array((90, 240), np.uint8), (4, 6)).reshape(8, 6)
    found = image_array(image(np.vstack([luma, full]), 'nv24'))
    assert np.abs(found.astype(int) - (254, 0, 0)).max() <= 3


@pytest.mark.parametrize('name', ['yuv422_uyvy', 'UYVY', 'YUYV', 'YUY2', 'yuv422_yuyv'])
def test_every_name_of_an_encoding_means_it(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (4, 6, 2)).astype(np.uint8)
    known = 'uyvy' if 'uyvy' in name.lower() else 'yuyv'
    message = image(picture, known)
    expected = image_array(message)
    message.encoding = name
    np.testing.assert_array_equal(image_array(message), expected)


def test_sixteen_bit_colours_keep_their_high_byte(rgb: np.ndarray) -> None:
    deep = rgb.astype(np.uint16) << 8 | 7
    np.testing.assert_array_equal(image_array(image(deep, 'rgb16')), rgb)
    np.testing.assert_array_equal(image_array(image(deep[..., ::-1], 'bgr16')), rgb)
    message = image(deep.astype('>u2'), 'rgb16')
    message.is_bigendian = 1
    np.testing.assert_array_equal(image_array(message), rgb)


def test_a_depth_unit_that_people_give_goes_before_the_encoding() -> None:
    raw = np.array([[5000, 0]], np.uint16)
    np.testing.assert_allclose(depth_array(image(raw, '16UC1'), 1 / 5000), [[1.0, np.nan]])
    metres = np.array([[1500.0, -1.0]], np.float32)
    np.testing.assert_allclose(depth_array(image(metres, '32FC1'), 1e-3), [[1.5, np.nan]])


def test_a_cv_bridge_that_swallows_its_error_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Built against another NumPy: the package imports, its first picture would end the process.
    package = ModuleType('cv_bridge')
    package.__path__ = []  # type: ignore[attr-defined]

    class CvBridge:
        def imgmsg_to_cv2(self, *_: object) -> None:
            raise AssertionError('the process would end here')

    package.CvBridge = CvBridge  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'cv_bridge', package)
    monkeypatch.setattr(encodings, '_cv_bridge', [])
    assert load_cv_bridge() is None
    message = image(np.zeros((2, 2), np.uint8), 'mono8')
    message.encoding = '64FC3'
    with pytest.raises(ValueError, match='expected an encoding'):
        image_array(message)
    with pytest.raises(ValueError, match='which is depth'):
        image_array(image(np.zeros((2, 2), np.uint16), '16UC1'))


@pytest.mark.skipif(load_cv_bridge() is None, reason='cv_bridge is not installed or cannot load')
@pytest.mark.parametrize('encoding', sorted(set(LAYOUTS) - {'nv12', 'nv21', 'nv24', '8UC1'}))
def test_cv_bridge_agrees(encoding: str) -> None:
    from sensor_msgs.msg import Image  # where cv_bridge is, ROS is

    dtype, channels = LAYOUTS[encoding]
    shape = (8, 8) if channels == 1 else (8, 8, channels)
    values = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    plain = image(values, encoding)
    message = Image(height=8, width=8, encoding=encoding, step=plain.step, data=plain.data)
    bridge = load_cv_bridge()
    if encoding in encodings.COLOUR_ENCODINGS:
        theirs = bridge.imgmsg_to_cv2(message, 'rgb8')
        np.testing.assert_array_equal(image_array(message), theirs)
    else:
        theirs = bridge.imgmsg_to_cv2(message, 'passthrough')
        np.testing.assert_allclose(depth_array(message), metric_depth(theirs))
