"""Feeds recorded or simulated frames into a live map as a camera would.

Two clocks: with the *nominal* clock a fixed number of training steps belongs to each second of the
camera, so that the same frames give the same map on any machine; with the *real* clock training
takes the time that is left, and frames that come while the map is busy are dropped, as on a robot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from lerf_ros.config import KeyframeOptions
from lerf_ros.frames import Keyframe, KeyframeSelector, PosedFrame
from lerf_ros.frames.resizing import limited

if TYPE_CHECKING:
    from lerf_ros.maps.atlas import Atlas
    from lerf_ros.maps.submap import Submap


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame that is read only when the camera has moved enough for a keyframe.

    Attributes:
        stamp_ns: Time of exposure.
        camera_to_world: Pose.
        read: Returns the frame; None if it cannot be read.
    """

    stamp_ns: int
    camera_to_world: Float[np.ndarray, '4 4']
    read: Callable[[], PosedFrame | None]


def shots_of(frames: Iterable[PosedFrame]) -> list[Shot]:
    """Returns frames that are in memory as shots."""
    return [
        Shot(frame.stamp_ns, frame.camera_to_world, lambda frame=frame: frame)  # type: ignore[misc]
        for frame in frames
    ]


@dataclass
class Effort:
    """What the map has done so far.

    Attributes:
        steps: Training steps.
        training_s: Time in them.
        intake_s: Time in the intake of keyframes, features included.
        keyframes: Keyframes taken in.
        dropped: Frames that came while the map was busy; on the real clock only.
    """

    steps: int = 0
    training_s: float = 0.0
    intake_s: float = 0.0
    keyframes: int = 0
    dropped: int = 0

    @property
    def steps_per_s(self) -> float | None:
        """Training steps per second of training."""
        return self.steps / self.training_s if self.training_s > 0 else None


@dataclass
class Stream:
    """Shots on their way into a map.

    Attributes:
        live_map: The map.
        shots: In the order of their stamps; time starts at the first.
        options: Which shots become keyframes.
        steps_per_second: Training steps for each second of the nominal clock.
        realtime: Whether the real clock runs instead.
        on_keyframe: Called with each keyframe after its intake.
        effort: What has been done.
    """

    live_map: Atlas | Submap
    shots: Iterable[Shot]
    options: KeyframeOptions
    steps_per_second: float = 15.0
    realtime: bool = False
    on_keyframe: Callable[[Keyframe], None] | None = None
    effort: Effort = field(default_factory=Effort)

    def run(self, until_s: Sequence[float]) -> Iterator[float]:
        """Yields each of these times when the map has come there; the clock stops meanwhile.

        Shots after the last time are left out; after the last shot training goes on.

        Raises:
            ValueError: The times do not ascend from above 0.
        """
        times = list(until_s)
        if not times or any(b <= a for a, b in zip([0.0, *times], times, strict=False)):
            raise ValueError(f'seconds: expected ascending times above 0, got {times}')
        selector = KeyframeSelector(self.options)
        coming = iter(self.shots)
        shot = next(coming, None)
        start_ns = 0 if shot is None else shot.stamp_ns
        clock = _RealClock() if self.realtime else None
        for time_s in times:
            while shot is not None and (shot.stamp_ns - start_ns) * 1e-9 < time_s:
                self._train_until((shot.stamp_ns - start_ns) * 1e-9, clock)
                following = next(coming, None)
                next_s = np.inf if following is None else (following.stamp_ns - start_ns) * 1e-9
                if clock is not None and clock.now_s() >= next_s:
                    self.effort.dropped += 1
                elif selector.wants(shot.camera_to_world, shot.stamp_ns):
                    frame = shot.read()
                    fit = None if frame is None else limited(frame, self.options)
                    for chosen in [] if fit is None else selector.choose(fit):
                        self._take_in(chosen)
                shot = following
            if shot is None:
                for chosen in selector.give_up_waiting():
                    self._take_in(chosen)
            self._train_until(time_s, clock)
            if clock is not None:
                clock.stop()
            yield time_s
            if clock is not None:
                clock.resume()

    def _take_in(self, frame: PosedFrame) -> None:
        started = time.perf_counter()
        keyframe = self.live_map.ingest(frame)
        self.effort.intake_s += time.perf_counter() - started
        self.effort.keyframes += 1
        if self.on_keyframe is not None:
            self.on_keyframe(keyframe)

    def _train_until(self, time_s: float, clock: _RealClock | None) -> None:
        if clock is not None:
            while clock.now_s() < time_s:
                if self.live_map.ready():
                    self._step()
                else:
                    time.sleep(0.002)  # until the clock says that the next frame is there
            return
        while self.live_map.ready() and self.effort.steps < int(time_s * self.steps_per_second):
            self._step()

    def _step(self) -> None:
        started = time.perf_counter()
        self.live_map.step()
        self.effort.training_s += time.perf_counter() - started
        self.effort.steps += 1


class _RealClock:
    """Seconds since it was made, without the pauses."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._stopped: float | None = None

    def now_s(self) -> float:
        return (time.monotonic() if self._stopped is None else self._stopped) - self._start

    def stop(self) -> None:
        self._stopped = time.monotonic()

    def resume(self) -> None:
        if self._stopped is not None:
            self._start += time.monotonic() - self._stopped
            self._stopped = None
