"""Compressed pictures: colour order, depth to the millimetre, the transport's form, bad data."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from lerf_ros.bridge.compressed import (
    compressed_depth_array,
    compressed_depth_message,
    compressed_image_array,
    compressed_image_message,
)


def message_of(data: bytes, name: str) -> CompressedImage:
    message = CompressedImage(format=name)
    message.data = array.array('B', data)
    return message


def test_jpeg_keeps_red_and_blue_apart() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, :16], picture[:, 16:] = (220, 20, 20), (20, 20, 220)
    found = compressed_image_array(compressed_image_message(picture, 95, Header()))
    assert np.abs(found[16, 8].astype(int) - picture[16, 8]).max() < 12
    assert np.abs(found[16, 24].astype(int) - picture[16, 24]).max() < 12


def test_png_colour_is_exact() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    _, data = cv2.imencode('.png', picture[..., ::-1])
    message = message_of(data.tobytes(), 'bgr8; png compressed bgr8')
    np.testing.assert_array_equal(compressed_image_array(message), picture)


def test_depth_is_exact_to_the_millimetre() -> None:
    depth_m = np.random.default_rng(0).uniform(0.2, 6, (20, 30)).astype(np.float32)
    depth_m[3, 4] = np.nan
    found = compressed_depth_array(compressed_depth_message(depth_m, Header()))
    assert np.isnan(found[3, 4])
    assert np.nanmax(np.abs(found - depth_m)) <= 0.000501


def test_compressed_depth_transport_in_millimetres() -> None:
    values = np.array([[0, 1234], [500, 9000]], np.uint16)
    _, png = cv2.imencode('.png', values)
    data = struct.pack('<iff', 0, 0, 0) + png.tobytes()
    found = compressed_depth_array(message_of(data, '16UC1; compressedDepth png'))
    np.testing.assert_allclose(found, [[np.nan, 1.234], [0.5, 9.0]])


def test_compressed_depth_transport_of_floats() -> None:
    # As the transport writes them: value = A / depth + B, 0 = unknown.
    scale, offset = 2000.0, 1.0
    depth_m = np.array([[1.0, 2.0], [4.0, 0.5]])
    values = np.rint(scale / depth_m + offset).astype(np.uint16)
    values[1, 1] = 0
    _, png = cv2.imencode('.png', values)
    data = struct.pack('<iff', 0, scale, offset) + png.tobytes()
    found = compressed_depth_array(message_of(data, '32FC1; compressedDepth png'))
    np.testing.assert_allclose(found, [[1.0, 2.0], [4.0, np.nan]], rtol=1e-3)


@pytest.mark.parametrize('data', [b'', b'no picture', b'\xff\xd8\xff\xe0' + b'0' * 50])
def test_bad_colour_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match='expected JPEG or PNG data'):
        compressed_image_array(message_of(data, 'jpeg'))


def test_eight_bit_png_is_no_depth() -> None:
    _, data = cv2.imencode('.png', np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match='16-bit PNG with one channel'):
        compressed_depth_array(message_of(data.tobytes(), '8UC1; png'))


def test_rvl_depth_is_refused() -> None:
    with pytest.raises(ValueError, match='rvl'):
        compressed_depth_array(message_of(b'\x00' * 40, '16UC1; compressedDepth rvl'))
