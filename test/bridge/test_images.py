"""Image messages: every encoding in and out, padding, byte order, bad messages."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lerf_ros.bridge import images
from lerf_ros.bridge.images import (
    LAYOUTS,
    depth_array,
    image_array,
    image_message,
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
    message = image_message(np.ascontiguousarray(as_sent(rgb, encoding)), encoding, Header())
    np.testing.assert_array_equal(image_array(message), rgb)


def test_grey_pictures_become_rgb() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(image_array(image_message(grey, 'mono8', Header())), expected)
    deep = grey.astype(np.uint16) * 256
    np.testing.assert_array_equal(image_array(image_message(deep, 'mono16', Header())), expected)


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
    found = image_array(image_message(picture, encoding, Header()))
    np.testing.assert_array_equal(found[2:-2, 2:-2], np.broadcast_to(RED, (4, 4, 3)))


@pytest.mark.parametrize(
    ('encoding', 'order'), [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv')]
)
def test_yuv_pictures_of_one_colour_keep_it(encoding: str, order: str) -> None:
    # BT.601, studio swing, of pure red.
    values = {'y': 81, 'u': 90, 'v': 240}
    packed = np.array([values[c] for c in order], np.uint8).reshape(2, 2)
    picture = np.tile(packed, (4, 2, 1))
    found = image_array(image_message(picture, encoding, Header()))
    assert np.abs(found.astype(int) - (254, 0, 0)).max() <= 3


def test_padded_rows_are_cut() -> None:
    rows = np.zeros((2, 8), np.uint8)
    rows[:, :6] = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]
    message = Image(height=2, width=2, encoding='rgb8', step=8)
    message.data = array.array('B', rows.tobytes())
    expected = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]
    np.testing.assert_array_equal(image_array(message), expected)


def test_depth_in_millimetres_and_metres() -> None:
    raw = np.array([[0, 1500], [65535, 1]], np.uint16)
    expected = np.array([[np.nan, 1.5], [65.535, 0.001]], np.float32)
    np.testing.assert_allclose(depth_array(image_message(raw, '16UC1', Header())), expected)
    metres = np.array([[np.nan, 1.5], [np.inf, -1.0]], np.float32)
    found = depth_array(image_message(metres, '32FC1', Header()))
    np.testing.assert_array_equal(found, [[np.nan, np.float32(1.5)], [np.nan, np.nan]])


def test_big_endian_depth() -> None:
    message = Image(height=1, width=2, encoding='16UC1', step=4, is_bigendian=1)
    message.data = array.array('B', np.array([[1000, 2000]], '>u2').tobytes())
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
        ({'data': array.array('B')}, '0 bytes'),
    ],
)
def test_bad_pictures_are_refused_with_a_sentence(
    rgb: np.ndarray, changes: dict, words: str
) -> None:
    message = image_message(rgb, 'rgb8', Header())
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match=words):
        image_array(message)


def test_colour_is_no_depth(rgb: np.ndarray) -> None:
    with pytest.raises(ValueError, match='16UC1 millimetres or 32FC1 metres'):
        depth_array(image_message(rgb, 'rgb8', Header()))


def test_arrays_of_another_type_are_refused(rgb: np.ndarray) -> None:
    with pytest.raises(ValueError, match='float32'):
        image_message(rgb, '32FC1', Header())


def test_result_owns_its_memory(rgb: np.ndarray) -> None:
    message = image_message(rgb, 'rgb8', Header())
    found = image_array(message)
    found[:] = 0
    np.testing.assert_array_equal(image_array(message), rgb)


@pytest.mark.skipif(images.CvBridge is None, reason='cv_bridge is not installed or cannot load')
@pytest.mark.parametrize('encoding', sorted(LAYOUTS))
def test_cv_bridge_agrees(encoding: str) -> None:
    dtype, channels = LAYOUTS[encoding]
    shape = (8, 8) if channels == 1 else (8, 8, channels)
    values = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    message = image_message(values, encoding, Header())
    bridge = images.CvBridge()
    if encoding in images.COLOUR_ENCODINGS:
        theirs = bridge.imgmsg_to_cv2(message, 'rgb8')
        np.testing.assert_array_equal(image_array(message), theirs)
    else:
        theirs = bridge.imgmsg_to_cv2(message, 'passthrough')
        np.testing.assert_allclose(depth_array(message), metric_depth(theirs))
