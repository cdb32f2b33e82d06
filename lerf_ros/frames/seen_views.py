"""What a camera has seen so far, coarsely: tells how much of a frame is nothing new.

Each view is its pose, its intrinsics and a grid of its depth. A point of a new frame counts as
seen where an earlier view of about the same place and direction has that depth there. What stands
in front of it now, or has gone from before it, is new.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lerf_ros.frames.frame import PosedFrame
from lerf_ros.geometry import Array, camera_directions, rotation_angle, transform_points

ROWS, COLUMNS = 18, 24
# Depth agrees within this share of it, and this much.
DEPTH_SHARE, DEPTH_M = 0.05, 0.02
# An earlier view from farther away by more than this shows less than a new one.
FARTHER = 1.25
# The views that are compared with a frame: the nearest, no farther away than this share of what
# the frame sees is.
NEAREST, REACH = 8, 0.3
# With depth in less of the picture only poses are compared.
LEAST_KNOWN = 0.1
# A cell and its four neighbours: the grid is coarse, and objects have edges.
OFFSETS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


class SeenViews:
    """The views of a camera, of which the newest are remembered.

    Args:
        capacity: How many are.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._poses = np.zeros((capacity, 4, 4))
        # fx, fy, cx, cy in cells of the grid.
        self._intrinsics = np.zeros((capacity, 4))
        self._depth_m = np.zeros((capacity, ROWS, COLUMNS), np.float32)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, self._capacity)

    def add(self, frame: PosedFrame) -> None:
        """Remembers a view; one that is older by the capacity is forgotten."""
        at = self._count % self._capacity
        camera = frame.camera.resized(COLUMNS, ROWS)
        self._poses[at] = frame.camera_to_world
        self._intrinsics[at] = camera.fx, camera.fy, camera.cx, camera.cy
        self._depth_m[at] = _grid(frame)
        self._count += 1

    def move(self, world_from_world: Float[Array, '4 4']) -> None:
        """Moves all views: the world was found to be elsewhere."""
        self._poses[: len(self)] = world_from_world @ self._poses[: len(self)]

    def share_seen(
        self, frame: PosedFrame, *, parallax_deg: float, without_newest: int, still_m: float
    ) -> float:
        """Returns the share of what a frame sees that earlier views saw from about there.

        Args:
            frame: The frame.
            parallax_deg: The largest angle at a point between the frame and a view that saw it.
            without_newest: So many of the newest views do not count.
            still_m: Without depth, a view from so near and with so little turn as
                `parallax_deg` saw all of it.
        """
        old = self._old(without_newest)
        if not len(old):
            return 0.0
        away_m = np.linalg.norm(self._poses[old, :3, 3] - frame.camera_to_world[:3, 3], axis=1)
        depth_m = _grid(frame)
        known = np.isfinite(depth_m) & (depth_m > 0)
        if known.mean() < LEAST_KNOWN:
            return self._same_pose(frame, old[away_m < still_m], parallax_deg)
        reach_m = REACH * float(np.median(depth_m[known]))
        nearest = np.argsort(away_m)[:NEAREST]
        near = old[nearest[away_m[nearest] <= reach_m]]
        if not len(near):
            return 0.0
        points = transform_points(frame.camera_to_world, _points(frame, depth_m)[known])
        seen = self._sees(points, near) & self._alike(points, near, frame, parallax_deg)
        return float(seen.any(axis=0).mean())

    def _old(self, without_newest: int) -> Array:
        """Returns the places of all views but the newest."""
        newest_first = (self._count - 1 - np.arange(len(self))) % self._capacity
        return newest_first[without_newest:]

    def _same_pose(self, frame: PosedFrame, near: Array, turn_deg: float) -> float:
        turns = [
            rotation_angle(frame.camera_to_world[:3, :3] @ self._poses[at, :3, :3].T)
            for at in near
        ]
        return float(min(turns, default=math.inf) < math.radians(turn_deg))

    def _sees(self, points: Float[Array, 'n 3'], views: Array) -> Array:
        """Tells for each view which points it has at their depth."""
        rotations, centres = self._poses[views, :3, :3], self._poses[views, :3, 3]
        local = (points[None] - centres[:, None]) @ rotations
        z = local[..., 2]
        safe = np.where(z > 0, z, np.inf)
        fx, fy, cx, cy = self._intrinsics[views].T[:, :, None]
        column = np.floor(fx * local[..., 0] / safe + cx)
        row = np.floor(fy * local[..., 1] / safe + cy)
        inside = (z > 0) & (column >= 0) & (column < COLUMNS) & (row >= 0) & (row < ROWS)
        columns = np.where(inside, column, 0).astype(int)
        rows = np.where(inside, row, 0).astype(int)
        agrees = np.zeros(inside.shape, bool)
        for down, right in OFFSETS:
            there = self._depth_m[
                views[:, None],
                np.clip(rows + down, 0, ROWS - 1),
                np.clip(columns + right, 0, COLUMNS - 1),
            ]
            agrees |= np.abs(there - z) <= DEPTH_SHARE * z + DEPTH_M
        return inside & agrees

    def _alike(
        self, points: Float[Array, 'n 3'], views: Array, frame: PosedFrame, parallax_deg: float
    ) -> Array:
        """Tells for each view which points it saw from about where the frame does."""
        here = frame.camera_to_world[:3, 3] - points
        there = self._poses[views, None, :3, 3] - points[None]
        here_m = np.linalg.norm(here, axis=-1)
        there_m = np.linalg.norm(there, axis=-1)
        cosine = np.einsum('ni,vni->vn', here, there) / np.maximum(here_m * there_m, 1e-9)
        return (cosine >= math.cos(math.radians(parallax_deg))) & (there_m <= FARTHER * here_m)


def _grid(frame: PosedFrame) -> Float[Array, 'rows columns']:
    """Returns the depth at the middle of each cell; NaN where it is unknown."""
    if frame.depth is None:
        return np.full((ROWS, COLUMNS), np.nan, np.float32)
    rows = ((np.arange(ROWS) + 0.5) * frame.camera.height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * frame.camera.width / COLUMNS).astype(int)
    return frame.depth[np.ix_(rows, columns)]


def _points(frame: PosedFrame, depth_m: Float[Array, 'rows columns']) -> Array:
    """Returns the points of the grid, in the camera's frame."""
    u, v = np.meshgrid(
        (np.arange(COLUMNS) + 0.5) * frame.camera.width / COLUMNS,
        (np.arange(ROWS) + 0.5) * frame.camera.height / ROWS,
    )
    return camera_directions(frame.camera, np.stack([u, v], axis=-1)) * depth_m[..., None]
