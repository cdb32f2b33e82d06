"""Image messages to arrays and back.

Colour is ``(height, width, 3)`` uint8 RGB; depth is ``(height, width)`` float32 metres along the
optical axis with NaN where unknown (REP 118: ``32FC1`` metres, ``16UC1`` millimetres, 0 unknown).
Arrays that come out own their memory.
"""

from __future__ import annotations

import array

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from sensor_msgs.msg import Image
from std_msgs.msg import Header

try:
    # Knows more encodings than we do; its binaries fail beside NumPy 2 on some distributions.
    from cv_bridge import CvBridge
except (ImportError, AttributeError):
    CvBridge = None

# Encoding -> (dtype, channels).
LAYOUTS = {
    'rgb8': (np.uint8, 3),
    'bgr8': (np.uint8, 3),
    '8UC3': (np.uint8, 3),
    'rgba8': (np.uint8, 4),
    'bgra8': (np.uint8, 4),
    '8UC4': (np.uint8, 4),
    'mono8': (np.uint8, 1),
    '8UC1': (np.uint8, 1),
    'mono16': (np.uint16, 1),
    '16UC1': (np.uint16, 1),
    '32FC1': (np.float32, 1),
    'bayer_rggb8': (np.uint8, 1),
    'bayer_bggr8': (np.uint8, 1),
    'bayer_gbrg8': (np.uint8, 1),
    'bayer_grbg8': (np.uint8, 1),
    'yuv422': (np.uint8, 2),
    'uyvy': (np.uint8, 2),
    'yuv422_yuy2': (np.uint8, 2),
    'yuyv': (np.uint8, 2),
}
# OpenCV names a Bayer pattern after its second row: ROS's rggb is OpenCV's BG.
TO_RGB = {
    'bgr8': cv2.COLOR_BGR2RGB,
    '8UC3': cv2.COLOR_BGR2RGB,
    'rgba8': cv2.COLOR_RGBA2RGB,
    'bgra8': cv2.COLOR_BGRA2RGB,
    '8UC4': cv2.COLOR_BGRA2RGB,
    'mono8': cv2.COLOR_GRAY2RGB,
    '8UC1': cv2.COLOR_GRAY2RGB,
    'mono16': cv2.COLOR_GRAY2RGB,
    'bayer_rggb8': cv2.COLOR_BayerBG2RGB,
    'bayer_bggr8': cv2.COLOR_BayerRG2RGB,
    'bayer_gbrg8': cv2.COLOR_BayerGR2RGB,
    'bayer_grbg8': cv2.COLOR_BayerGB2RGB,
    'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'uyvy': cv2.COLOR_YUV2RGB_UYVY,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUY2,
    'yuyv': cv2.COLOR_YUV2RGB_YUY2,
}
COLOUR_ENCODINGS = ('rgb8', *TO_RGB)
DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')


def pixels(message: Image) -> np.ndarray:
    """Returns the pixels as they were sent, without a copy where byte order allows.

    Raises:
        ValueError: The encoding is unknown, or size, step and data do not fit together.
    """
    if message.encoding not in LAYOUTS:
        raise ValueError(
            f'image: expected an encoding of {", ".join(LAYOUTS)}, got {message.encoding!r}'
        )
    kind, channels = LAYOUTS[message.encoding]
    dtype: np.dtype = np.dtype(kind)
    row_bytes = message.width * channels * dtype.itemsize
    if message.width == 0 or message.height == 0:
        raise ValueError(f'image: expected pixels, got {message.width}x{message.height}')
    if message.step < row_bytes or len(message.data) != message.step * message.height:
        raise ValueError(
            f'image: expected {message.height} rows of at least {row_bytes} bytes for '
            f'{message.width}x{message.height} {message.encoding}, '
            f'got step {message.step} and {len(message.data)} bytes'
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    swapped = dtype.newbyteorder('>' if message.is_bigendian else '<')
    values = np.ascontiguousarray(rows[:, :row_bytes]).view(swapped)
    values = values.astype(dtype, copy=False)
    shape = (message.height, message.width)
    return values.reshape(shape if channels == 1 else (*shape, channels))


def image_array(message: Image) -> UInt8[np.ndarray, 'height width 3']:
    """Returns the RGB picture of an image message.

    Raises:
        ValueError: The message is no colour or grey picture, or is malformed.
    """
    if message.encoding not in COLOUR_ENCODINGS and CvBridge is not None:
        return _colour_by_cv_bridge(message)
    if message.encoding in LAYOUTS and message.encoding not in COLOUR_ENCODINGS:
        raise ValueError(
            f'image: expected a colour or grey picture, got {message.encoding!r}, which is depth; '
            'are the image and depth topics exchanged?'
        )
    values = pixels(message)
    if message.encoding == 'rgb8':
        return values.copy()
    if message.encoding == 'mono16':
        values = (values >> 8).astype(np.uint8)
    if message.encoding.startswith('bayer') and min(values.shape) < 2:
        raise ValueError(f'image: a Bayer picture needs 2x2 pixels, got shape {values.shape}')
    if LAYOUTS[message.encoding][1] == 2 and message.width % 2:
        raise ValueError(f'image: a 4:2:2 picture has an even width, got {message.width}')
    return cv2.cvtColor(values, TO_RGB[message.encoding])


def _colour_by_cv_bridge(message: Image) -> UInt8[np.ndarray, 'height width 3']:
    try:
        return np.array(CvBridge().imgmsg_to_cv2(message, 'rgb8'))
    except Exception as error:  # cv_bridge raises its own type and cv2.error alike
        raise ValueError(f'image: cannot read encoding {message.encoding!r}: {error}') from error


def depth_array(message: Image) -> Float[np.ndarray, 'height width']:
    """Returns the depth in metres of an image message, NaN where unknown.

    Raises:
        ValueError: The message is no depth picture, or is malformed.
    """
    if message.encoding not in DEPTH_ENCODINGS:
        raise ValueError(
            f'depth: expected 16UC1 millimetres or 32FC1 metres, got {message.encoding!r}'
        )
    return metric_depth(pixels(message))


def metric_depth(values: np.ndarray) -> Float[np.ndarray, 'height width']:
    """Returns depth in metres from uint16 millimetres or float metres, NaN where unknown."""
    if values.dtype == np.uint16:
        depth_m = values.astype(np.float32) * np.float32(1e-3)
    else:
        depth_m = values.astype(np.float32)
    depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
    return depth_m


def millimetres(depth_m: Float[np.ndarray, 'height width']) -> np.ndarray:
    """Returns uint16 millimetres, 0 where unknown or beyond 65.5 m."""
    known = np.isfinite(depth_m) & (depth_m > 0) & (depth_m < 65.5)
    return np.where(known, np.rint(np.where(known, depth_m, 0) * 1000), 0).astype(np.uint16)


def image_message(values: np.ndarray, encoding: str, header: Header) -> Image:
    """Returns an image message of an array that has the dtype and shape of the encoding.

    Raises:
        ValueError: The array does not fit the encoding.
    """
    dtype, channels = LAYOUTS[encoding]
    shape = values.shape[:2] if channels == 1 else (*values.shape[:2], channels)
    if values.dtype != dtype or values.shape != shape:
        raise ValueError(
            f'image: expected {channels} channels of {np.dtype(dtype)} for {encoding}, '
            f'got {values.dtype} {values.shape}'
        )
    message = Image(header=header, encoding=encoding, is_bigendian=0)
    message.height, message.width = values.shape[:2]
    message.step = values.shape[1] * channels * values.itemsize
    # An array.array is taken as it is; any other sequence is copied byte by byte in Python.
    message.data = array.array('B', values.tobytes())
    return message
