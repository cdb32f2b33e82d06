"""Raw pictures as bytes to arrays: every encoding that cameras send.

Colour is ``(height, width, 3)`` uint8 RGB; depth is ``(height, width)`` float32 metres along the
optical axis with NaN where unknown (REP 118: ``32FC1`` metres, ``16UC1`` millimetres, 0 unknown).
Arrays that come out own their memory. What comes in is anything with the fields of
``sensor_msgs/Image``: a message heard live, or one read from a recording.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

logger = logging.getLogger(__name__)

# Encoding -> (dtype, channels).
LAYOUTS = {
    'rgb8': (np.uint8, 3),
    'bgr8': (np.uint8, 3),
    '8UC3': (np.uint8, 3),
    'rgba8': (np.uint8, 4),
    'bgra8': (np.uint8, 4),
    '8UC4': (np.uint8, 4),
    'rgb16': (np.uint16, 3),
    'bgr16': (np.uint16, 3),
    'rgba16': (np.uint16, 4),
    'bgra16': (np.uint16, 4),
    'mono8': (np.uint8, 1),
    '8UC1': (np.uint8, 1),
    'mono16': (np.uint16, 1),
    '16UC1': (np.uint16, 1),
    '32FC1': (np.float32, 1),
    'bayer_rggb8': (np.uint8, 1),
    'bayer_bggr8': (np.uint8, 1),
    'bayer_gbrg8': (np.uint8, 1),
    'bayer_grbg8': (np.uint8, 1),
    'bayer_rggb16': (np.uint16, 1),
    'bayer_bggr16': (np.uint16, 1),
    'bayer_gbrg16': (np.uint16, 1),
    'bayer_grbg16': (np.uint16, 1),
    'yuv422': (np.uint8, 2),
    'uyvy': (np.uint8, 2),
    'yuv422_yuy2': (np.uint8, 2),
    'yuyv': (np.uint8, 2),
    'nv12': (np.uint8, 1),
    'nv21': (np.uint8, 1),
    'nv24': (np.uint8, 1),
}
# OpenCV names a Bayer pattern after its second row: ROS's rggb is OpenCV's BG.
TO_RGB = {
    'bgr8': cv2.COLOR_BGR2RGB,
    '8UC3': cv2.COLOR_BGR2RGB,
    'rgba8': cv2.COLOR_RGBA2RGB,
    'bgra8': cv2.COLOR_BGRA2RGB,
    '8UC4': cv2.COLOR_BGRA2RGB,
    'bgr16': cv2.COLOR_BGR2RGB,
    'rgba16': cv2.COLOR_RGBA2RGB,
    'bgra16': cv2.COLOR_BGRA2RGB,
    'mono8': cv2.COLOR_GRAY2RGB,
    '8UC1': cv2.COLOR_GRAY2RGB,
    'mono16': cv2.COLOR_GRAY2RGB,
    'bayer_rggb8': cv2.COLOR_BayerBG2RGB,
    'bayer_bggr8': cv2.COLOR_BayerRG2RGB,
    'bayer_gbrg8': cv2.COLOR_BayerGR2RGB,
    'bayer_grbg8': cv2.COLOR_BayerGB2RGB,
    'bayer_rggb16': cv2.COLOR_BayerBG2RGB,
    'bayer_bggr16': cv2.COLOR_BayerRG2RGB,
    'bayer_gbrg16': cv2.COLOR_BayerGR2RGB,
    'bayer_grbg16': cv2.COLOR_BayerGB2RGB,
    'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'uyvy': cv2.COLOR_YUV2RGB_UYVY,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUY2,
    'yuyv': cv2.COLOR_YUV2RGB_YUY2,
    'nv12': cv2.COLOR_YUV2RGB_NV12,
    'nv21': cv2.COLOR_YUV2RGB_NV21,
}
AS_THEY_ARE = ('rgb8', 'rgb16')
COLOUR_ENCODINGS = (*AS_THEY_ARE, *TO_RGB, 'nv24')
DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')
# Two planes: rows of luma above rows of chroma; rows of chroma for each two of luma.
PLANES = {'nv12': 1, 'nv21': 1, 'nv24': 4}
# The names of the same layouts in ROS's own header, in OpenCV's and in the kernel's.
ALIASES = {
    'yuv422_uyvy': 'uyvy',
    'UYVY': 'uyvy',
    'YUYV': 'yuyv',
    'YUY2': 'yuyv',
    'yuy2': 'yuyv',
    'yuv422_yuyv': 'yuyv',
    'NV12': 'nv12',
    'NV21': 'nv21',
    'NV24': 'nv24',
}


@runtime_checkable
class RawImage(Protocol):
    """What is asked of an image message."""

    height: Any
    width: Any
    encoding: Any
    is_bigendian: Any
    step: Any
    data: Any


def encoding_of(message: RawImage) -> str:
    """Returns the name by which an encoding is known here."""
    name = str(message.encoding)
    return ALIASES.get(name, name)


def pixels(message: RawImage) -> np.ndarray:
    """Returns the pixels as they were sent, without a copy where byte order allows.

    Raises:
        ValueError: The encoding is unknown, or size, step and data do not fit together.
    """
    encoding = encoding_of(message)
    if encoding not in LAYOUTS:
        raise ValueError(
            f'image: expected an encoding of {", ".join(LAYOUTS)}, got {message.encoding!r}'
        )
    kind, channels = LAYOUTS[encoding]
    dtype: np.dtype = np.dtype(kind)
    width, height, step = int(message.width), int(message.height), int(message.step)
    if width == 0 or height == 0:
        raise ValueError(f'image: expected pixels, got {width}x{height}')
    rows = height + height * PLANES.get(encoding, 0) // 2
    row_bytes = width * channels * dtype.itemsize
    if step < row_bytes or len(message.data) != step * rows:
        raise ValueError(
            f'image: expected {rows} rows of at least {row_bytes} bytes for '
            f'{width}x{height} {message.encoding}, '
            f'got step {step} and {len(message.data)} bytes'
        )
    if encoding in PLANES and (width % 2 or height % 2):
        raise ValueError(f'image: {encoding} has an even size, got {width}x{height}')
    lines = np.frombuffer(message.data, np.uint8).reshape(rows, step)
    swapped = dtype.newbyteorder('>' if message.is_bigendian else '<')
    values = np.ascontiguousarray(lines[:, :row_bytes]).view(swapped)
    values = values.astype(dtype, copy=False)
    return values.reshape((rows, width) if channels == 1 else (rows, width, channels))


def image_array(message: RawImage) -> UInt8[np.ndarray, 'height width 3']:
    """Returns the RGB picture of an image message.

    Raises:
        ValueError: The message is no colour or grey picture, or is malformed.
    """
    encoding = encoding_of(message)
    if encoding in LAYOUTS and encoding not in COLOUR_ENCODINGS:
        raise ValueError(
            f'image: expected a colour or grey picture, got {message.encoding!r}, which is depth; '
            'are the image and depth topics exchanged?'
        )
    if encoding not in LAYOUTS:
        return _colour_by_cv_bridge(message)
    values = pixels(message)
    if encoding.startswith('bayer') and min(values.shape) < 2:
        raise ValueError(f'image: a Bayer picture needs 2x2 pixels, got shape {values.shape}')
    if LAYOUTS[encoding][1] == 2 and message.width % 2:
        raise ValueError(f'image: a 4:2:2 picture has an even width, got {message.width}')
    if values.dtype == np.uint16:
        values = (values >> 8).astype(np.uint8)
    if encoding in AS_THEY_ARE:
        return values.copy()
    if encoding == 'nv24':
        return _from_full_chroma(values, int(message.height), int(message.width))
    return cv2.cvtColor(values, TO_RGB[encoding])


def depth_array(
    message: RawImage, unit_m: float | None = None
) -> Float[np.ndarray, 'height width']:
    """Returns the depth in metres of an image message, NaN where unknown.

    Args:
        message: The message.
        unit_m: What 1 means in the picture, metres; None: as REP 118 says of its encoding.

    Raises:
        ValueError: The message is no depth picture, or is malformed.
    """
    if encoding_of(message) not in DEPTH_ENCODINGS:
        raise ValueError(
            f'depth: expected 16UC1 millimetres or 32FC1 metres, got {message.encoding!r}'
        )
    return metric_depth(pixels(message), unit_m)


def metric_depth(
    values: np.ndarray, unit_m: float | None = None
) -> Float[np.ndarray, 'height width']:
    """Returns depth in metres from integers (millimetres) or floats (metres), NaN where unknown.

    Args:
        values: Depth as sent or stored; 0, negative and not finite values are unknown.
        unit_m: What 1 means, metres; None: a millimetre in integers, a metre in floats.
    """
    if unit_m is None:
        unit_m = 1e-3 if values.dtype.kind in 'ui' else 1.0
    depth_m = values.astype(np.float32) * np.float32(unit_m)
    depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
    return depth_m


def millimetres(depth_m: Float[np.ndarray, 'height width']) -> np.ndarray:
    """Returns uint16 millimetres, 0 where unknown or beyond 65.5 m."""
    known = np.isfinite(depth_m) & (depth_m > 0) & (depth_m < 65.5)
    return np.where(known, np.rint(np.where(known, depth_m, 0) * 1000), 0).astype(np.uint16)


def _from_full_chroma(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns RGB of NV24: luma, then a pair of chroma for every pixel."""
    chroma = values[height:].reshape(height, width, 2)
    # OpenCV knows no NV24: the same studio swing of BT.601 as its other YUV conversions.
    y = 1.164 * (values[:height].astype(np.float32) - 16)
    u, v = chroma[..., 0].astype(np.float32) - 128, chroma[..., 1].astype(np.float32) - 128
    rgb = np.stack([y + 1.596 * v, y - 0.391 * u - 0.813 * v, y + 2.018 * u], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def load_cv_bridge() -> Any:
    """Returns a ``CvBridge`` where its binary part really loads, else None.

    Its package swallows its own ImportError, and a binary built against another NumPy ends the
    process at the first picture: the binary module is asked first, since that one raises.
    """
    try:
        importlib.import_module('cv_bridge.boost.cv_bridge_boost')
        return importlib.import_module('cv_bridge').CvBridge()
    except Exception as error:
        logger.debug('without cv_bridge: %s', error)
        return None


_cv_bridge: list[Any] = []


def _colour_by_cv_bridge(message: RawImage) -> UInt8[np.ndarray, 'height width 3']:
    if not _cv_bridge:
        _cv_bridge.append(load_cv_bridge())
    if _cv_bridge[0] is None:
        raise ValueError(
            f'image: expected an encoding of {", ".join(COLOUR_ENCODINGS)}, got '
            f'{message.encoding!r}'
        )
    try:
        return np.array(_cv_bridge[0].imgmsg_to_cv2(message, 'rgb8'))
    except Exception as error:  # cv_bridge raises its own type and cv2.error alike
        raise ValueError(f'image: cannot read encoding {message.encoding!r}: {error}') from error
