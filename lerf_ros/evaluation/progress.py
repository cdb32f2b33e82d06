"""A progress bar on a terminal's error stream; silent elsewhere."""

from __future__ import annotations

import sys
from io import TextIOBase
from typing import TextIO

from tqdm import tqdm

BAR = '{percentage:3.0f}% |{bar:30}| {remaining} left {postfix}'


class Progress:
    """Shows how far a known amount of work has come.

    Args:
        total: Amount of work, in any unit.
        stream: Where to draw; nothing is drawn unless it is a terminal.
    """

    def __init__(self, total: float, stream: TextIO | TextIOBase | None = None) -> None:
        # None is tqdm's word for silence where the stream is no terminal.
        file = sys.stderr if stream is None else stream
        self._bar = tqdm(total=total, file=file, disable=None, bar_format=BAR)

    def advance(self, amount: float, text: str = '') -> None:
        """Counts work as done and shows what is under way."""
        self._bar.set_postfix_str(text[:40], refresh=False)
        self._bar.update(min(amount, self._bar.total - self._bar.n))

    def close(self) -> None:
        """Ends the line."""
        self._bar.close()
