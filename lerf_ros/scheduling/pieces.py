"""Long work cut into short pieces: whoever asks meanwhile waits for one piece only.

Such work is a generator that yields between its pieces and returns its result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar('T')

Pieces = Generator[None, None, T]


def finish(pieces: Pieces[T]) -> T:
    """Does all pieces at once; returns the result."""
    while True:
        try:
            next(pieces)
        except StopIteration as stop:
            return stop.value
