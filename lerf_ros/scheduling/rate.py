"""How often something happens."""

from __future__ import annotations

import time
from collections import deque

RECENT_S = 5.0


class Rate:
    """How often something happens, over the last seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)

    def tick(self) -> None:
        """Counts one event."""
        self._times.append(time.monotonic())

    @property
    def age_s(self) -> float:
        """Seconds since the last event; infinity if there was none."""
        return time.monotonic() - self._times[-1] if self._times else float('inf')

    @property
    def hz(self) -> float:
        """Events a second."""
        now = time.monotonic()
        recent = [moment for moment in list(self._times) if now - moment < RECENT_S]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-9)
