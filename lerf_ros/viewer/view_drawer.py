"""The rendered view of one browser: coarse at once, refined when its camera rests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

import numpy as np

from lerf_ros.geometry import PinholeCamera
from lerf_ros.viewer.map_access import EXPECTED, MapAccess
from lerf_ros.viewer.state import Drawing

COARSE_PX = 80
# A camera that has not moved for this long rests.
REST_S = 0.15
GIVE_UP_S = 30.0
LOOK_S = 0.05


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a browser looks at.

    Attributes:
        camera: Its intrinsics, in the refined size.
        camera_to_world: Its pose.
        phrase: Whose relevancy it wants; empty for none.
        negatives: What that is compared with.
        scale_m: The scale at which that is read; the best one if None.
    """

    camera: PinholeCamera
    camera_to_world: np.ndarray
    phrase: str = ''
    negatives: tuple[str, ...] = ()
    scale_m: float | None = None


class ViewDrawer:
    """Draws what is wanted last; a newer wish ends the work on an older one.

    Args:
        access: The map.
        show: Called in this drawer's thread with each drawing.
        complain: Called with a sentence when nothing can be drawn.
    """

    def __init__(
        self,
        access: MapAccess,
        show: Callable[[Wanted, Drawing], None],
        complain: Callable[[str], None],
    ) -> None:
        self._access, self._show, self._complain = access, show, complain
        self._changed = threading.Condition()
        self._wanted: Wanted | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def want(self, wanted: Wanted | None) -> None:
        """Asks for a view; None for none."""
        with self._changed:
            self._wanted = wanted
            if wanted is not None and self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name='lerf-view-drawer', daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the work."""
        with self._changed:
            self._closed, self._wanted = True, None
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)

    def _run(self) -> None:
        done: Wanted | None = None
        while True:
            with self._changed:
                while not self._closed and (self._wanted is None or self._wanted is done):
                    self._changed.wait()
                if self._closed:
                    return
                wanted = self._wanted
            assert wanted is not None
            coarse = min(COARSE_PX, wanted.camera.width)
            if self._draw(wanted, coarse) and self._rests(wanted):
                self._draw(wanted, wanted.camera.width)
            done = wanted

    def _rests(self, wanted: Wanted) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted is not wanted, REST_S)
            return self._wanted is wanted

    def _draw(self, wanted: Wanted, width: int) -> bool:
        """Draws in a size; tells whether that is still wanted."""
        height = max(1, round(wanted.camera.height * width / wanted.camera.width))
        phrases = (wanted.phrase,) if wanted.phrase else ()
        future = self._access.draw(
            wanted.camera.resized(width, height),
            wanted.camera_to_world,
            phrases,
            negatives=wanted.negatives,
            scale_m=wanted.scale_m,
        )
        try:
            drawing = self._result(future, wanted)
        except CancelledError:
            return False
        except EXPECTED as error:
            self._complain(str(error) or 'the view took too long')
            return False
        self._show(wanted, drawing)
        return True

    def _result(self, future: Future[Drawing], wanted: Wanted) -> Drawing:
        waited_s = 0.0
        while True:
            try:
                return future.result(LOOK_S)
            except FutureTimeoutError:
                waited_s += LOOK_S
            if self._wanted is not wanted or waited_s > GIVE_UP_S:
                future.cancel()
