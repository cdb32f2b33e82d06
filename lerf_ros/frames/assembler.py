"""Parts of frames in, complete posed frames out: pairing, and a queue that waits for poses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames.messages import frame_of, stamp_of
from lerf_ros.frames.pairing import Kind, Pairer, Pairing
from lerf_ros.frames.pose_source import PoseSource
from lerf_ros.frames.pose_track import TransformError

#: Called with a kind (a word), the stamp it is about and a sentence.
Complaint = Callable[[str, int, str], object]


@dataclass(frozen=True, eq=False)
class PosedPairing:
    """Messages that belong together, and where the camera was; nothing is decoded yet."""

    pairing: Pairing
    camera_to_world: Float[np.ndarray, '4 4']


class Assembler:
    """Waits for the parts of frames and for their poses.

    Args:
        pairer: Puts images, infos and depth together.
        poses: Knows where the camera is.
        wait_s: A complete frame waits this long for its pose.
        capacity: So many frames may wait for their pose; the oldest is dropped.
        complain: Hears of every image that is dropped.

    Attributes:
        paired: Number of images whose parts came.
    """

    def __init__(
        self,
        pairer: Pairer,
        poses: PoseSource,
        *,
        wait_s: float,
        capacity: int,
        complain: Complaint,
    ) -> None:
        self.pairer, self.poses = pairer, poses
        self.wait_s = wait_s
        self._capacity, self._complain = capacity, complain
        self._waiting: deque[tuple[Pairing, float]] = deque()
        self.paired = 0

    @property
    def waiting(self) -> int:
        """Number of complete frames that wait for their pose."""
        return len(self._waiting)

    def add(self, kind: Kind, message: Any, now_s: float) -> list[PosedPairing]:
        """Takes a message of a kind; returns what a jump of its stamp brings to an end."""
        jumps = self.pairer.jumps
        stamp_ns = stamp_of(message)
        complete = self.pairer.add(kind, stamp_ns, message, now_s)
        self.paired += len(complete)
        ended: list[PosedPairing] = []
        if self.pairer.jumps != jumps:
            # What belongs to the time before has its last chance, then its poses are forgotten.
            old = [pairing for pairing in complete if pairing.stamp_ns > stamp_ns]
            complete = [pairing for pairing in complete if pairing.stamp_ns <= stamp_ns]
            self._waiting.extend((pairing, now_s) for pairing in old)
            ended = self._with_poses(now_s, last_chance=True)
            self.poses.start_again()
            self._complain('time_jumps', stamp_ns, 'stamps went back: starting anew')
        self._waiting.extend((pairing, now_s) for pairing in complete)
        return ended

    def ready(self, now_s: float, *, flush: bool = False) -> list[PosedPairing]:
        """Returns the frames whose pose is known, oldest first.

        Args:
            now_s: The time, on the clock that `add` was told.
            flush: Whether nothing more will come.
        """
        late = self.pairer.expire(float('inf') if flush else now_s)
        self.paired += len(late)
        self._waiting.extend((pairing, now_s) for pairing in late)
        for stamp_ns in self.pairer.take_lost():
            self._complain('unpaired', stamp_ns, 'image dropped: no camera_info ever came')
        while len(self._waiting) > self._capacity:
            pairing, _ = self._waiting.popleft()
            self._complain(
                'without_pose', pairing.stamp_ns, 'images arrive faster than their poses'
            )
        return self._with_poses(now_s, last_chance=flush)

    def _with_poses(self, now_s: float, *, last_chance: bool) -> list[PosedPairing]:
        """Returns the waiting frames whose pose is known; those that waited enough are dropped."""
        found = []
        for _ in range(len(self._waiting)):
            pairing, since_s = self._waiting.popleft()
            last = last_chance or now_s - since_s >= self.wait_s
            try:
                pose = self.poses.lookup(
                    frame_of(pairing.image), pairing.stamp_ns, last_chance=last
                )
            except TransformError as error:
                if last:
                    self._complain('without_pose', pairing.stamp_ns, f'image dropped: {error}')
                else:
                    self._waiting.append((pairing, since_s))
                continue
            found.append(PosedPairing(pairing, pose))
        return sorted(found, key=lambda posed: posed.pairing.stamp_ns)
