"""How many threads torch's operators and the native library use.

A training step of two CPU cores is some hundred operators, most of which take microseconds; waking
a second thread for one of them costs more than it saves. The native functions are few and long.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

_local = threading.local()


def native_threads() -> int:
    """Returns how many threads a native function may use in this thread."""
    return getattr(_local, 'count', None) or torch.get_num_threads()


@contextlib.contextmanager
def only_native_threads() -> Iterator[None]:
    """Runs torch's operators on one thread; native functions keep as many as torch had."""
    count = torch.get_num_threads()
    _local.count = count
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
        _local.count = None
