"""Image messages of arrays; `lerf_ros.frames.encodings` reads them."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lerf_ros.frames.encodings import LAYOUTS


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


def compressed_message(data: bytes, name: str, header: Header) -> CompressedImage:
    """Returns a compressed image message; ``name`` says what the data is."""
    message = CompressedImage(header=header, format=name)
    message.data = array.array('B', data)
    return message
