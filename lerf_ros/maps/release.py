"""Gives memory that is free in this process back to the system.

Submaps come and go with tensors of all sizes. The C library keeps what they leave for itself: on a
walk through 75 square metres a quarter of a gigabyte.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable

# Blocks of so many bytes get pages of their own, which go back to the system as soon as the block
# is free. From one megabyte on, fresh pages would cost a quarter of the intake of a keyframe.
_OWN_PAGES_BYTES = 8 * 2**20
_M_MMAP_THRESHOLD = -3  # of <malloc.h>


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library than glibc
        return None


def release_memory() -> None:
    """Returns what is free to the system, where the C library can; some milliseconds."""
    trim = _trim()
    if trim is not None:
        trim(0)


def keep_large_blocks_apart() -> None:
    """Gives every large block pages of its own, where the C library can.

    By itself it stops doing so once a few of them have been freed: they are then cut from one
    heap, and what is free between those in use stays there. The setting is the whole process's;
    where the environment holds `MALLOC_MMAP_THRESHOLD_`, that is left alone.
    """
    if 'MALLOC_MMAP_THRESHOLD_' in os.environ:
        return
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
    except (AttributeError, OSError):  # another C library than glibc
        return
