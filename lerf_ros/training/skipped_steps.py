"""Steps that moved nothing, because a loss or a gradient was not finite."""

from __future__ import annotations

import logging

import torch
from jaxtyping import Bool
from torch import Tensor

_log = logging.getLogger(__name__)

# Steps between two looks at how many were skipped: a look waits for the device.
_TELL_STEPS = 100


class SkippedSteps:
    """Counts them, and warns of them now and then.

    Args:
        device: Where it is told whether a step was finite.
    """

    def __init__(self, device: torch.device) -> None:
        self._count = torch.zeros((), dtype=torch.long, device=device)
        self._told = 0

    @property
    def count(self) -> int:
        """Their number; waits for the device."""
        return int(self._count)

    def follow(self, step: int, finite: Bool[Tensor, '']) -> None:
        """Takes note of a step.

        Args:
            step: Number of training steps so far.
            finite: Whether all of it was.
        """
        self._count += ~finite
        if step % _TELL_STEPS:
            return
        count = self.count
        if count > self._told:
            _log.warning(
                '%d of the last %d steps skipped: a loss or gradient is not finite',
                count - self._told,
                _TELL_STEPS,
            )
        self._told = count
