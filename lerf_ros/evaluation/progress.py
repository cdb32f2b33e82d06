"""A progress bar on a terminal's error stream; silent elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

BAR_WIDTH = 30


class Progress:
    """Shows how far a known amount of work has come.

    Args:
        total: Amount of work, in any unit.
        stream: Where to draw; nothing is drawn unless it is a terminal.
    """

    def __init__(self, total: float, stream: TextIO | None = None) -> None:
        self._total = max(total, 1e-9)
        self._stream = sys.stderr if stream is None else stream
        self._visible = self._stream.isatty()
        self._done = 0.0
        self._start = time.monotonic()

    def advance(self, amount: float, text: str = '') -> None:
        """Counts work as done and shows what is under way."""
        self._done = min(self._done + amount, self._total)
        if not self._visible:
            return
        share = self._done / self._total
        elapsed = time.monotonic() - self._start
        left = elapsed * (1 - share) / share if share > 0 else 0.0
        bar = ('#' * round(share * BAR_WIDTH)).ljust(BAR_WIDTH, '.')
        self._stream.write(f'\r[{bar}] {share:4.0%} {left:5.0f} s left  {text[:40]:<40}')
        self._stream.flush()

    def close(self) -> None:
        """Ends the line."""
        if self._visible:
            self._stream.write('\n')
            self._stream.flush()
