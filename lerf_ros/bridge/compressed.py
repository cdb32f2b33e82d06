"""Compressed image messages to arrays and back: JPEG and PNG colour, PNG depth.

Depth comes in two forms: a plain 16-bit PNG in millimetres, as keyframes carry it, and that of
the ``compressedDepth`` transport, which puts 12 bytes before the PNG and stores float depth as
``A / (value - B)``.
"""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from lerf_ros.bridge.images import metric_depth, millimetres

PNG_MAGIC = b'\x89PNG'
TRANSPORT_HEADER = struct.Struct('<iff')
# Fast: a 640x480 depth picture takes 5 ms; more effort gains a few per cent of size.
PNG_EFFORT = 1


def compressed_image_array(message: CompressedImage) -> UInt8[np.ndarray, 'height width 3']:
    """Returns the RGB picture of a JPEG or PNG message.

    Raises:
        ValueError: The data is no picture.
    """
    picture = _decode(message, cv2.IMREAD_COLOR, 'image')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def compressed_depth_array(message: CompressedImage) -> Float[np.ndarray, 'height width']:
    """Returns the depth in metres of a plain 16-bit PNG or a compressedDepth message.

    Raises:
        ValueError: The data is no 16-bit PNG.
    """
    data = bytes(message.data)
    if data.startswith(PNG_MAGIC):
        values = _decode(message, cv2.IMREAD_UNCHANGED, 'depth')
        _require_depth(values, message)
        return metric_depth(values)
    if data[TRANSPORT_HEADER.size :].startswith(PNG_MAGIC):
        _, scale, offset = TRANSPORT_HEADER.unpack_from(data)
        body = CompressedImage(format=message.format, data=data[TRANSPORT_HEADER.size :])
        values = _decode(body, cv2.IMREAD_UNCHANGED, 'depth')
        _require_depth(values, message)
        if not message.format.startswith('32FC1'):
            return metric_depth(values)
        with np.errstate(divide='ignore', invalid='ignore'):
            return metric_depth(np.where(values > 0, scale / (values - offset), np.nan))
    raise ValueError(
        f'depth: expected a 16-bit PNG or compressedDepth png, got format {message.format!r}'
    )


def compressed_image_message(
    image: UInt8[np.ndarray, 'height width 3'], quality: int, header: Header
) -> CompressedImage:
    """Returns the picture as a JPEG message."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _message(data, 'rgb8; jpeg compressed bgr8', header)


def compressed_depth_message(
    depth_m: Float[np.ndarray, 'height width'], header: Header
) -> CompressedImage:
    """Returns the depth as a 16-bit PNG message in millimetres."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT]
    _, data = cv2.imencode('.png', millimetres(depth_m), options)
    return _message(data, '16UC1; png', header)


def _message(data: np.ndarray, name: str, header: Header) -> CompressedImage:
    message = CompressedImage(header=header, format=name)
    message.data = array.array('B', data.tobytes())
    return message


def _decode(message: CompressedImage, flags: int, name: str) -> np.ndarray:
    data = np.frombuffer(message.data, np.uint8)
    try:
        picture = cv2.imdecode(data, flags) if len(data) else None
    except cv2.error:
        picture = None
    if picture is None:
        raise ValueError(
            f'{name}: expected JPEG or PNG data, got {len(data)} bytes of format '
            f'{message.format!r} that no decoder reads'
        )
    return picture


def _require_depth(values: np.ndarray, message: CompressedImage) -> None:
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ValueError(
            f'depth: expected a 16-bit PNG with one channel, got {values.dtype} {values.shape} '
            f'in format {message.format!r}'
        )
