"""Waiting for what happens in other threads and processes."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Callable
from typing import Any

LOOK_S = 0.01


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """Waits until a condition holds; returns what it gave, and fails with its name if it does not.

    Args:
        condition: Looked at again and again: what other processes do tells nobody here.
        what: What is waited for.
        timeout_s: For how long.
    """
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            faulthandler.dump_traceback()  # what each thread waits for instead
            raise AssertionError(f'{what}: not within {timeout_s:g} s')
        time.sleep(LOOK_S)
    return value
