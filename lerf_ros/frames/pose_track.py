"""Where one thing was at a stamp, by the poses that were heard of it."""

from __future__ import annotations

import bisect
import math

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from lerf_ros.geometry import inverse_transform

Pose = Float[np.ndarray, '4 4']

# By more than this stamps do not go back without reason.
STEP_BACK_NS = 50_000_000
# What moved less between two poses is where they say, however long they are apart.
STILL_M = 0.02
STILL_DEG = 1.0
#: What to do about gaps between poses; ends the sentence that tells of one.
GAP_ADVICE = 'have poses come more often, or allow longer gaps (node.pose_gap_s, --pose-gap)'


class TransformError(LookupError, ValueError):
    """A transform is not known, or not known at that stamp; the message says which."""


class PoseTrack:
    """The poses of one thing over time.

    Args:
        history_ns: Poses older than the newest by more are forgotten; None: none is.
        gap_ns: Between poses that are further apart nothing is interpolated, unless it hardly
            moved there: how it moved is not known. None: over any time.
    """

    def __init__(self, history_ns: int | None = None, gap_ns: int | None = None) -> None:
        self._history_ns, self._gap_ns = history_ns, gap_ns
        self._stamps_ns: list[int] = []
        self._poses: list[Pose | str] = []
        # How often stamps had gone back when each pose was heard, and the last stamp heard.
        self._rounds: list[int] = []
        self._round = 0
        self._last_ns: int | None = None

    def __len__(self) -> int:
        return len(self._stamps_ns)

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def add(self, stamp_ns: int, pose: Pose | str) -> None:
        """Adds a pose, or why there is none at that stamp.

        They may come in any order, and of two with one stamp the last counts.
        """
        if self._last_ns is not None and stamp_ns < self._last_ns - STEP_BACK_NS:
            self._round += 1
        self._last_ns = stamp_ns
        at = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if at < len(self._stamps_ns) and self._stamps_ns[at] == stamp_ns:
            self._poses[at], self._rounds[at] = pose, self._round
            return
        self._stamps_ns.insert(at, stamp_ns)
        self._poses.insert(at, pose)
        self._rounds.insert(at, self._round)
        if self._history_ns is not None:
            old = bisect.bisect_left(self._stamps_ns, self._stamps_ns[-1] - self._history_ns)
            del self._stamps_ns[:old], self._poses[:old], self._rounds[:old]

    def forget_after(self, stamp_ns: int) -> None:
        """Forgets what is newer."""
        at = bisect.bisect_right(self._stamps_ns, stamp_ns)
        del self._stamps_ns[at:], self._poses[at:], self._rounds[at:]

    def start_again(self) -> None:
        """Forgets what was heard before the stamps of this track went back: all, if they did not.

        Nothing of the time before holds any more, not even at a stamp that both times have.
        """
        keep = [i for i, number in enumerate(self._rounds) if 0 < self._round == number]
        self._stamps_ns = [self._stamps_ns[i] for i in keep]
        self._poses = [self._poses[i] for i in keep]
        self._rounds = [0] * len(keep)
        self._round = 0
        self._last_ns = self.newest_ns

    def at(self, stamp_ns: int, name: str = 'the camera') -> Pose:
        """Returns the pose at a stamp, interpolated between its neighbours.

        Raises:
            TransformError: The stamp lies outside the track or in a gap of it, or the pose there
                was refused.
        """
        stamps, poses = self._stamps_ns, self._poses
        at = bisect.bisect_left(stamps, stamp_ns)
        if at < len(stamps) and stamps[at] == stamp_ns:
            exact = poses[at]
            if isinstance(exact, str):
                raise TransformError(exact)
            return exact
        before, after = at - 1, at
        while before >= 0 and isinstance(poses[before], str):
            before -= 1
        while after < len(poses) and isinstance(poses[after], str):
            after += 1
        if before < 0 or after >= len(poses):
            raise TransformError(self._why_not(stamp_ns, name, before >= 0))
        share = (stamp_ns - stamps[before]) / (stamps[after] - stamps[before])
        first, second = poses[before], poses[after]
        assert not isinstance(first, str)  # those were passed over
        assert not isinstance(second, str)
        self._check_gap(name, stamp_ns, stamps[after] - stamps[before], first, second)
        return interpolate(first, second, share)

    def _check_gap(
        self, name: str, stamp_ns: int, apart_ns: int, first: Pose, second: Pose
    ) -> None:
        if self._gap_ns is None or apart_ns <= self._gap_ns:
            return
        between = inverse_transform(first) @ second
        move_m = float(np.linalg.norm(between[:3, 3]))
        turn_deg = math.degrees(Rotation.from_matrix(between[:3, :3]).magnitude())
        if move_m > STILL_M or turn_deg > STILL_DEG:
            raise TransformError(
                f'no pose of {name!r} at {stamp_ns * 1e-9:.3f} s: its neighbours are '
                f'{apart_ns * 1e-9:.2f} s apart, and it moved by {100 * move_m:.0f} cm and '
                f'{turn_deg:.0f} degrees between them; {GAP_ADVICE}'
            )

    def _why_not(self, stamp_ns: int, name: str, has_older: bool) -> str:
        if not self._stamps_ns:
            return f'no pose of {name!r} was heard yet'
        nearest = self._stamps_ns[-1] if has_older else self._stamps_ns[0]
        return (
            f'no pose of {name!r} at {stamp_ns * 1e-9:.3f} s: '
            f'the {"newest" if has_older else "oldest"} is of {nearest * 1e-9:.3f} s, '
            f'{abs(nearest - stamp_ns) * 1e-9:.3f} s {"older" if has_older else "newer"}'
        )


def interpolate(first: Pose, second: Pose, share: float) -> Pose:
    """Returns the pose a share of the way from the first to the second, at constant speed."""
    turns = Rotation.from_matrix(np.stack([first[:3, :3], second[:3, :3]]))
    result = np.eye(4)
    result[:3, :3] = Slerp([0.0, 1.0], turns)(share).as_matrix()
    result[:3, 3] = first[:3, 3] + share * (second[:3, 3] - first[:3, 3])
    return result
