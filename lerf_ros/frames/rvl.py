"""Depth in the RVL coding of the ``compressedDepth`` transport.

After A. D. Wilson, "Fast Lossless Depth Image Compression", 2017: runs of zeros and of other
values alternate, other values are differences to their predecessor, and every number is written in
groups of three bits, low groups first, each in a half byte whose top bit says that more follow.
Half bytes fill words of 32 bits from the top; words are little-endian.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16

_WORD = np.dtype('<u4')


def decode(data: bytes, height: int, width: int) -> UInt16[np.ndarray, 'height width']:
    """Returns the picture.

    Raises:
        ValueError: The data ends early or holds more pixels than the picture.
    """
    numbers = _numbers(data)
    differences: list[np.ndarray] = []
    places: list[np.ndarray] = []
    at, pixel, count = 0, 0, height * width
    while pixel < count:
        if at + 2 > len(numbers):
            raise ValueError(f'depth: RVL data ends after {pixel} of {count} pixels')
        zeros, others = int(numbers[at]), int(numbers[at + 1])
        at, pixel = at + 2, pixel + zeros
        if pixel + others > count or at + others > len(numbers) or zeros + others == 0:
            raise ValueError(f'depth: RVL data is damaged at pixel {pixel} of {count}')
        differences.append(numbers[at : at + others])
        places.append(np.arange(pixel, pixel + others))
        at, pixel = at + others, pixel + others
    result = np.zeros(count, np.int64)
    if places:
        coded = np.concatenate(differences)
        steps = (coded >> 1) ^ -(coded & 1)  # zigzag: the sign is the lowest bit
        result[np.concatenate(places)] = np.cumsum(steps)
    if result.min(initial=0) < 0 or result.max(initial=0) > 65535:
        raise ValueError('depth: RVL data is damaged: a value is no 16-bit number')
    return result.astype(np.uint16).reshape(height, width)


def _numbers(data: bytes) -> np.ndarray:
    words = np.frombuffer(data[: len(data) // 4 * 4], _WORD)
    shifts = np.arange(28, -1, -4, dtype=np.uint32)
    nibbles = ((words[:, None] >> shifts) & 0xF).reshape(-1).astype(np.int64)
    ends = np.flatnonzero(nibbles < 8)
    if not len(ends):
        return np.zeros(0, np.int64)
    nibbles = nibbles[: ends[-1] + 1]
    starts = np.concatenate([[0], ends[:-1] + 1])
    order = np.arange(len(nibbles)) - np.repeat(starts, ends - starts + 1)
    if order.max() > 10:
        raise ValueError('depth: RVL data is damaged: a number has more than 32 bits')
    return np.add.reduceat((nibbles & 7) << (3 * order), starts)
