"""Poses over time: between two of them the pose is interpolated, beyond them there is none."""

from __future__ import annotations

import bisect

import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import (
    inverse_transform,
    quaternion_from_rotation,
    rotation_from_quaternion,
)

Pose = Float[np.ndarray, '4 4']


class PoseTrack:
    """The poses of one thing."""

    def __init__(self) -> None:
        self._stamps_ns: list[int] = []
        self._poses: list[Pose] = []

    def add(self, stamp_ns: int, pose: Pose) -> None:
        """Adds a pose; they may come in any order, and of two with one stamp the last counts."""
        at = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if at < len(self._stamps_ns) and self._stamps_ns[at] == stamp_ns:
            self._poses[at] = pose
            return
        self._stamps_ns.insert(at, stamp_ns)
        self._poses.insert(at, pose)

    def at(self, stamp_ns: int) -> Pose:
        """Returns the pose at a stamp.

        Raises:
            ValueError: The stamp lies outside the track.
        """
        at = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if at < len(self._stamps_ns) and self._stamps_ns[at] == stamp_ns:
            return self._poses[at]
        if not 0 < at < len(self._stamps_ns):
            raise ValueError(f'pose: none is known at {stamp_ns * 1e-9:.3f} s')
        before, after = self._stamps_ns[at - 1], self._stamps_ns[at]
        share = (stamp_ns - before) / (after - before)
        return interpolate(self._poses[at - 1], self._poses[at], share)


class TransformTracks:
    """Frames that hang on one another, as TF tells them."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[str, PoseTrack, Pose | None]] = {}

    def add(
        self, parent: str, child: str, stamp_ns: int, child_to_parent: Pose, *, static: bool
    ) -> None:
        """Adds one transform; the newest parent of a frame counts."""
        parent, child = parent.lstrip('/'), child.lstrip('/')
        known = self._links.get(child)
        track = known[1] if known is not None and known[0] == parent else PoseTrack()
        if not static:
            track.add(stamp_ns, child_to_parent)
        self._links[child] = (parent, track, child_to_parent if static else None)

    def at(self, target: str, source: str, stamp_ns: int) -> Pose:
        """Returns the matrix that moves points from the source to the target frame.

        Raises:
            ValueError: The frames are not connected at that stamp.
        """
        up = self._chain(source.lstrip('/'), stamp_ns)
        down = self._chain(target.lstrip('/'), stamp_ns)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise ValueError(f'TF: {source!r} and {target!r} are not connected')
        return inverse_transform(down[common]) @ up[common]

    def _chain(self, frame: str, stamp_ns: int) -> dict[str, Pose]:
        """Returns the transforms from a frame to each of its ancestors, nearest first."""
        chain = {frame: np.eye(4)}
        pose = np.eye(4)
        while frame in self._links:
            parent, track, fixed = self._links[frame]
            if parent in chain:
                raise ValueError(f'TF: the frames {parent!r} and {frame!r} form a loop')
            pose = (track.at(stamp_ns) if fixed is None else fixed) @ pose
            chain[parent] = pose
            frame = parent
        return chain


def interpolate(before: Pose, after: Pose, share: float) -> Pose:
    """Returns the pose between two: straight in position, along the shortest turn in rotation."""
    q0 = quaternion_from_rotation(before[:3, :3])
    q1 = quaternion_from_rotation(after[:3, :3])
    cosine = float(q0 @ q1)
    if cosine < 0:
        q1, cosine = -q1, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        q = (1 - share) * q0 + share * q1
    else:
        q = (np.sin((1 - share) * angle) * q0 + np.sin(share * angle) * q1) / np.sin(angle)
    result = np.eye(4)
    result[:3, :3] = rotation_from_quaternion(q / np.linalg.norm(q))
    result[:3, 3] = (1 - share) * before[:3, 3] + share * after[:3, 3]
    return result
