"""How far a browser has come with what was sent to it.

Nothing in viser's protocol says that. But a browser reports its camera whenever its field of view
is set, which it does in the order in which messages came: a change of it that nobody can see comes
back when all that was sent before has crossed the link and is about to be drawn. So what is sent
between two pulses is all that can lie in buffers on the way, however slow link and browser are.
"""

from __future__ import annotations

import time

from viser import CameraHandle

# A thousandth of a pixel row at the border of a large window; viser takes 1e-5 for no change.
NUDGE = 1 + 4e-5
SAME = 1e-6
# A pulse may get lost, as when something else sets the field of view; then another is sent.
LOST_S = 10.0


class Pulse:
    """Sends pulses to a browser, one at a time.

    Args:
        camera: The browser's camera.

    Attributes:
        seconds: How long the last one took; 0 before the first came back.
    """

    def __init__(self, camera: CameraHandle) -> None:
        self._camera = camera
        self._expected: float | None = None
        self._sent_s = 0.0
        self._up = False
        self.seconds = 0.0

    @property
    def beating(self) -> bool:
        """Whether one is on its way."""
        if self._expected is not None and time.perf_counter() - self._sent_s > LOST_S:
            # Nothing but the pulse itself is sent again: the way may be full.
            self._send()
        return self._expected is not None

    def send(self) -> None:
        """Sends one after all that has been sent."""
        self._sent_s = time.perf_counter()
        self._send()

    def _send(self) -> None:
        fov = self._camera.fov
        self._up = not self._up
        self._expected = fov * NUDGE if self._up else fov / NUDGE
        self._camera.fov = self._expected

    def came_back(self) -> bool:
        """Takes a report of the camera; tells whether it is that of the pulse."""
        expected = self._expected
        if expected is None or abs(self._camera.fov - expected) > SAME * expected:
            return False
        self._expected = None
        self.seconds = time.perf_counter() - self._sent_s
        return True
