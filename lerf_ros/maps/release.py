"""Gives memory that is free in this process back to the system.

Submaps come and go with tensors of all sizes. The C library keeps what they leave for itself: on a
walk through 75 square metres a quarter of a gigabyte.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


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
