"""Where a frame is at a stamp: a tree of frames as TF tells it.

Lookups never wait, never extrapolate and never take "the latest": a pose that is not there yet
raises :class:`TransformError`, and the caller asks again later.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lerf_ros.frames.messages import frame_of, stamp_of, transform_matrix_of
from lerf_ros.frames.pose_track import Pose, PoseTrack, TransformError
from lerf_ros.geometry import inverse_transform

HISTORY_NS = 30_000_000_000
# Stamps of a frame that go back by more than this mean that a recording started again.
JUMP_NS = 1_000_000_000


@runtime_checkable
class TransformSource(Protocol):
    """Anything that knows where frames are."""

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            TransformError: It is not known at that stamp.
        """
        ...

    def start_again(self) -> None:
        """Forgets what moved before: the recording that is heard has started again."""
        ...

    def newest_ns(self, target: str, source: str) -> int | None:
        """Returns the stamp of the newest pose on the way between two frames, if any moves."""
        ...

    def above(self, frame: str) -> list[str]:
        """Returns the frames that a frame hangs on, the nearest first."""
        ...


class TransformTree:
    """Frames that hang on one another, as TF tells them.

    Args:
        history_ns: How long poses are kept; None: for ever, as for a recording.
        complain: Called once for each frame that two publishers disagree about.
        gap_ns: Over longer times without a pose nothing that moved is interpolated; None: over
            any.
    """

    def __init__(
        self,
        history_ns: int | None = HISTORY_NS,
        complain: Callable[[str], object] = lambda sentence: None,
        gap_ns: int | None = None,
    ) -> None:
        self._history_ns, self._complain, self._gap_ns = history_ns, complain, gap_ns
        self._parents: dict[str, str] = {}
        self._static: dict[str, Pose] = {}
        self._tracks: dict[str, PoseTrack] = {}
        self._told: set[str] = set()

    @property
    def frames(self) -> list[str]:
        """Names of all frames that were heard of."""
        return sorted({*self._parents, *self._parents.values()})

    def set(self, parent: str, child: str, child_to_parent: Pose, stamp_ns: int) -> None:
        """Adds the pose of a frame at a stamp; a stamp far in the past starts anew."""
        parent, child = parent.lstrip('/'), child.lstrip('/')
        if child in self._static:
            self._tell(child, f'TF: {child!r} was said to be static and moves; it moves from now')
            del self._static[child]
        track = self._tracks.get(child)
        if track is None or self._hangs_elsewhere(parent, child):
            track = self._tracks[child] = PoseTrack(self._history_ns, self._gap_ns)
        if track.newest_ns is not None and stamp_ns < track.newest_ns - JUMP_NS:
            track.forget_after(stamp_ns)
        self._parents[child] = parent
        track.add(stamp_ns, child_to_parent)

    def set_static(self, parent: str, child: str, child_to_parent: Pose) -> None:
        """Adds the pose of a frame that never moves."""
        parent, child = parent.lstrip('/'), child.lstrip('/')
        if child in self._tracks and len(self._tracks.pop(child)):
            self._tell(child, f'TF: {child!r} moved and is said to be static; it is from now')
        self._hangs_elsewhere(parent, child)
        self._parents[child] = parent
        self._static[child] = child_to_parent

    def start_again(self) -> None:
        """Forgets what moved before: the recording that is heard has started again."""
        for track in self._tracks.values():
            track.start_again()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            TransformError: It is not known at that stamp.
        """
        target, source = target.lstrip('/'), source.lstrip('/')
        if target == source:
            return np.eye(4)
        up_source, up_target = self._chain(source), self._chain(target)
        common = next((frame for frame in up_source if frame in up_target), None)
        unknown = [name for name in (source, target) if not self._knows(name)]
        if common is None or unknown:
            raise TransformError(
                f'no transform from {source!r} to {target!r}: '
                + (self._unknown(unknown[0]) if unknown else 'they hang on different trees')
            )
        return inverse_transform(self._climb(up_target, common, stamp_ns)) @ self._climb(
            up_source, common, stamp_ns
        )

    def newest_ns(self, target: str, source: str) -> int | None:
        """Returns the stamp of the newest pose on the way between two frames, if any moves."""
        try:
            chain = {*self._chain(source.lstrip('/')), *self._chain(target.lstrip('/'))}
        except TransformError:
            return None
        tracks = (self._tracks.get(name) for name in sorted(chain))
        stamps = [t.newest_ns for t in tracks if t is not None and t.newest_ns is not None]
        return min(stamps, default=None)

    def above(self, frame: str) -> list[str]:
        """Returns the frames that a frame hangs on, the nearest first."""
        try:
            return self._chain(frame.lstrip('/'))[1:]
        except TransformError:
            return []

    def _unknown(self, frame: str) -> str:
        frames = self.frames
        if not frames:
            return 'nothing was heard on /tf or /tf_static'
        near = difflib.get_close_matches(frame, frames, n=1, cutoff=0.5)
        hint = f'the nearest name is {near[0]!r}' if near else f'known are {", ".join(frames[:8])}'
        return f'frame {frame!r} is unknown; {hint}'

    def _tell(self, child: str, sentence: str) -> None:
        if child not in self._told:
            self._told.add(child)
            self._complain(sentence)

    def _hangs_elsewhere(self, parent: str, child: str) -> bool:
        known = self._parents.get(child, parent)
        if known != parent:
            self._tell(
                child, f'TF: {child!r} hangs on {known!r} and on {parent!r}; the newest counts'
            )
        return known != parent

    def _knows(self, frame: str) -> bool:
        return frame in self._parents or frame in self._parents.values()

    def _chain(self, frame: str) -> list[str]:
        chain = [frame]
        while chain[-1] in self._parents:
            parent = self._parents[chain[-1]]
            if parent in chain:
                raise TransformError(f'TF: the frames {parent!r} and {chain[-1]!r} form a loop')
            chain.append(parent)
        return chain

    def _climb(self, chain: list[str], common: str, stamp_ns: int) -> Pose:
        result = np.eye(4)
        for frame in chain[: chain.index(common)]:
            if frame in self._static:
                pose = self._static[frame]
            else:
                pose = self._tracks[frame].at(stamp_ns, frame)
            result = pose @ result
        return result


def take_tf(tree: TransformTree, message: Any, *, static: bool) -> list[str]:
    """Adds the transforms of a ``tf2_msgs/TFMessage``; returns what is wrong with the rest."""
    problems = []
    for entry in message.transforms:
        parent, child = frame_of(entry), str(entry.child_frame_id)
        try:
            matrix = transform_matrix_of(entry.transform)
        except ValueError as error:
            problems.append(f'the transform from {child!r} to {parent!r} is refused: {error}')
            continue
        if static:
            tree.set_static(parent, child, matrix)
        else:
            tree.set(parent, child, matrix, stamp_of(entry))
    return problems
