"""Compressed pictures to arrays and back: JPEG and PNG colour, PNG and RVL depth.

Depth comes in two forms: a plain 16-bit PNG, as keyframes and folders carry it, and that of the
``compressedDepth`` transport, which puts 12 bytes before the PNG or RVL data and stores float
depth as ``A / (value - B)``. What comes in is anything with the fields of
``sensor_msgs/CompressedImage``. The orientation that EXIF tells is not applied: calibrations and
poses speak of the stored pixels.
"""

from __future__ import annotations

import re
import struct
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from lerf_ros.frames import rvl
from lerf_ros.frames.encodings import LAYOUTS, encoding_of, metric_depth, millimetres, pixels

try:
    # The same decoder as OpenCV's, to the bit, which also tells that data was damaged.
    import simplejpeg
except ImportError:
    simplejpeg = None

PNG_MAGIC = b'\x89PNG'
JPEG_MAGIC = b'\xff\xd8'
JPEG_END = b'\xff\xd9'
PNG_END = b'IEND'
# Types of colour that have a channel of alpha.
ALPHA_TYPES = (b'\x04', b'\x06')
TRANSPORT_HEADER = struct.Struct('<iff')
RVL_SIZE = struct.Struct('<II')
# Larger pictures are refused before memory is asked for: a header is easily damaged.
MAX_PIXELS = 2**28
# Fast: a 640x480 depth picture takes 5 ms; more effort gains a few per cent of size.
PNG_EFFORT = 1
# Cheap cameras put a few bytes of filling before a marker; their pictures are whole.
FILLING_BYTES = 8


@runtime_checkable
class CompressedPicture(Protocol):
    """What is asked of a compressed image message."""

    format: Any
    data: Any


def compressed_image_array(message: CompressedPicture) -> UInt8[np.ndarray, 'height width 3']:
    """Returns the RGB picture of a JPEG or PNG message.

    Raises:
        ValueError: The data is no picture, or a damaged one.
    """
    return decode_rgb(bytes(message.data), f'format {str(message.format)!r}')


def decode_rgb(data: bytes, origin: str = 'data') -> UInt8[np.ndarray, 'height width 3']:
    """Returns the RGB picture of JPEG or PNG bytes.

    Raises:
        ValueError: The data is no picture, or a damaged one.
    """
    if data.startswith(JPEG_MAGIC):
        if JPEG_END not in data[-1024:]:
            raise ValueError(
                f'image: expected a whole JPEG, got {len(data)} bytes without its end in {origin}'
            )
        if simplejpeg is not None:
            return _decode_jpeg(data, origin)
    picture = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, 'image', origin)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def decode_alpha(data: bytes) -> Bool[np.ndarray, 'height width'] | None:
    """Returns where a PNG with an alpha channel is opaque; None where it has no such channel."""
    # Looked up in its head: most PNG have none, and unpacking takes long.
    if not data.startswith(PNG_MAGIC) or not (
        data[25:26] in ALPHA_TYPES or b'tRNS' in data[:2048]
    ):
        return None
    picture = _decode(data, cv2.IMREAD_UNCHANGED, 'image', 'png')
    if picture.ndim != 3 or picture.shape[2] not in (2, 4):
        return None
    return picture[..., -1] > np.iinfo(picture.dtype).max // 2


def alpha_mask(message: Any) -> Bool[np.ndarray, 'height width'] | None:
    """Returns where the picture of an Image or a CompressedImage is opaque; None: everywhere.

    A picture that is transparent altogether is one whose driver leaves alpha unset.

    Raises:
        ValueError: The message is malformed.
    """
    if hasattr(message, 'format'):
        visible = decode_alpha(bytes(message.data))
    elif LAYOUTS.get(encoding_of(message), ('', 0))[1] == 4:
        values = pixels(message)
        visible = values[..., 3] > np.iinfo(values.dtype).max // 2
    else:
        return None
    return None if visible is None or visible.all() or not visible.any() else visible


def encode_mask(visible: Bool[np.ndarray, 'height width']) -> bytes:
    """Returns a mask as PNG, 0 where the picture is hidden and 255 where it is visible."""
    values = np.where(visible, np.uint8(255), np.uint8(0))
    return cv2.imencode('.png', values, [cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT])[1].tobytes()


def decode_mask(data: bytes, origin: str = 'data') -> Bool[np.ndarray, 'height width']:
    """Returns where a mask is not black.

    Raises:
        ValueError: The data is no picture, or a damaged one.
    """
    values = _decode(data, cv2.IMREAD_UNCHANGED, 'mask', origin)
    if values.ndim == 3:
        values = values[..., :3].max(axis=2) if values.shape[2] != 2 else values[..., 0]
    return values > 0


def compressed_depth_array(
    message: CompressedPicture, unit_m: float | None = None
) -> Float[np.ndarray, 'height width']:
    """Returns the depth in metres of a plain 16-bit PNG or a compressedDepth message.

    Args:
        message: The message.
        unit_m: What 1 means in the picture, metres; None: a millimetre, or a metre in floats.

    Raises:
        ValueError: The data is no depth picture, or a damaged one.
    """
    data, name = bytes(message.data), str(message.format)
    if data.startswith(PNG_MAGIC):
        return metric_depth(decode_depth(data, f'format {name!r}'), unit_m)
    body = data[TRANSPORT_HEADER.size :]
    if body.startswith(PNG_MAGIC):
        values = decode_depth(body, f'format {name!r}')
    elif 'rvl' in name.lower() and len(body) > RVL_SIZE.size:
        width, height = RVL_SIZE.unpack_from(body)
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError(f'depth: expected an RVL picture, got a size of {width}x{height}')
        values = rvl.decode(body[RVL_SIZE.size :], height, width)
    else:
        raise ValueError(
            f'depth: expected a 16-bit PNG or compressedDepth png or rvl, got {len(data)} bytes '
            f'of format {name!r}'
        )
    if not name.startswith('32FC1'):
        return metric_depth(values, unit_m)
    _, scale, offset = TRANSPORT_HEADER.unpack_from(data)
    with np.errstate(divide='ignore', invalid='ignore'):
        metres = np.where(values > 0, scale / (values.astype(np.float32) - offset), np.nan)
    return metric_depth(metres, unit_m)


def decode_depth(data: bytes, origin: str = 'data') -> np.ndarray:
    """Returns the numbers of a 16-bit PNG.

    Raises:
        ValueError: The data is no PNG with one channel of 16 bits, or a damaged one.
    """
    values = _decode(data, cv2.IMREAD_UNCHANGED, 'depth', origin)
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ValueError(
            f'depth: expected a 16-bit PNG with one channel, got {values.dtype} {values.shape} '
            f'in {origin}'
        )
    return values


def encode_jpeg(image: UInt8[np.ndarray, 'height width 3'], quality: int) -> bytes:
    """Returns an RGB picture as JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_depth(depth_m: Float[np.ndarray, 'height width']) -> bytes:
    """Returns depth as a 16-bit PNG in millimetres."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT]
    return cv2.imencode('.png', millimetres(depth_m), options)[1].tobytes()


def _decode_jpeg(data: bytes, origin: str) -> UInt8[np.ndarray, 'height width 3']:
    """Decodes and refuses what was overwritten; OpenCV would paint whatever comes out."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError(f'a size of {width}x{height}')
        try:
            return simplejpeg.decode_jpeg(data, 'RGB', strict=True)
        except ValueError as error:
            filling = re.search(r'(\d+) extraneous bytes', str(error))
            if filling is None or int(filling[1]) > FILLING_BYTES:
                raise
            return simplejpeg.decode_jpeg(data, 'RGB', strict=False)
    except ValueError as error:
        raise ValueError(f'image: a damaged JPEG in {origin}: {error}') from error


def _decode(data: bytes, flags: int, name: str, origin: str) -> np.ndarray:
    if data.startswith(PNG_MAGIC) and PNG_END not in data[-1024:]:
        raise ValueError(f'{name}: expected a whole PNG, got {len(data)} bytes without its end')
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        picture = None
    if picture is None:
        raise ValueError(
            f'{name}: expected JPEG or PNG data, got {len(data)} bytes in {origin} that no '
            'decoder reads'
        )
    return picture
