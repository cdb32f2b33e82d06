"""What a recording had to leave out, and what it says about itself that may be wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


class NoFramesError(ValueError):
    """A recording of which no frame can be used.

    Args:
        place: The file or folder.
        ledger: Why each frame was left out.
    """

    def __init__(self, place: object, ledger: Ledger) -> None:
        reasons = [f'{name}: {reason}' for name, reason in ledger.left_out.items()]
        more = f' (and {len(reasons) - 1} more)' if len(reasons) > 1 else ''
        why = f'{reasons[0]}{more}' if reasons else 'there is none'
        super().__init__(f'{place}: no frame can be used: {why}')
        self.ledger = ledger


@dataclass
class Ledger:
    """Frames left out and warnings, each told once and kept.

    Attributes:
        source: Name of the recording.
        left_out: Name and reason of each frame that is left out.
        warnings: Everything else that a person should know before training on it.
    """

    source: str
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def leave_out(self, name: str, reason: object) -> None:
        """Notes a frame that is left out, with one warning for each."""
        if name not in self.left_out:
            self.left_out[name] = str(reason)
            logger.warning('%s: %s left out: %s', self.source, name, reason)

    def warn(self, sentence: str) -> None:
        """Notes a warning, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            logger.warning('%s: %s', self.source, sentence)

    def summarise(self, kept: int) -> None:
        """Tells how many frames were left out of how many."""
        if self.left_out:
            logger.warning(
                '%s: %d of %d frames left out',
                self.source,
                len(self.left_out),
                len(self.left_out) + kept,
            )
