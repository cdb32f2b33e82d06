"""The surface cloud: where answers can lie.

A :class:`SurfaceMap` thins the depth of every keyframe on a grid of voxels and keeps a running
mean of position, colour and normal in each. Points that later depth sees through lose confidence
and are dropped in the end. Everything is numpy, in metres, in the world frame.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from lerf_ros.config import QueryOptions
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera, inverse_transform, require_rigid
from lerf_ros.surface.depth_view import view_pixels, voxel_keys

Array = np.ndarray

# Keyframes remembered for each voxel; the newest replace the oldest.
SEEN_BY = 16
# A voxel's memory: later observations weigh at least 1 / MEMORY, so that a moved object moves.
MEMORY = 20.0
# Free space: a voxel must be this often seen through, and more often than seen, to be dropped.
MISSES_TO_DROP = 3


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """A voxel-thinned cloud in the world frame.

    Attributes:
        positions: Mean position of each voxel, metres.
        colours: Mean RGB.
        normals: Unit normals towards the cameras that saw them; zero where unknown.
        views: Number of different keyframes that saw each point.
        confidence: Share of looks at the point that found it there, in (0, 1).
        visible_height_m: Least and greatest height, in metres, that an image spanned at the
            point's depth; with the tile shares this gives the scales that were trained there.
        seen_by: Rows of ``cameras_m`` whose keyframes saw the point, -1 for none.
        cameras_m: Camera centres of the keyframes.
        keys: Name of each point's voxel; stable while the map grows.
        voxel_m: Side of the voxels.
    """

    positions: Float32[Array, 'n 3']
    colours: UInt8[Array, 'n 3']
    normals: Float32[Array, 'n 3']
    views: Int[Array, 'n']
    confidence: Float32[Array, 'n']
    visible_height_m: Float32[Array, 'n 2']
    seen_by: Int[Array, 'n r']
    cameras_m: Float32[Array, 'm 3']
    keys: Int[Array, 'n']
    voxel_m: float

    def __len__(self) -> int:
        return len(self.positions)

    def viewpoints(self, indices: Int[Array, 'k'] | Bool[Array, 'n']) -> Float32[Array, 'v 3']:
        """Returns the centres of the cameras that saw any of these points."""
        rows = np.unique(self.seen_by[indices])
        return self.cameras_m[rows[rows >= 0]]


class SurfaceMap:
    """The surface cloud of a growing map.

    Args:
        options: Voxel size, region, bounds.
    """

    def __init__(self, options: QueryOptions) -> None:
        self._options = options
        self._low = np.array(
            [options.region_min_x_m, options.region_min_y_m, options.region_min_z_m]
        )
        self._high = np.array(
            [options.region_max_x_m, options.region_max_y_m, options.region_max_z_m]
        )
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._size = 0
        self._columns = _columns(0)
        self._sorted_keys = np.zeros(0, np.int64)
        self._sorted_slots = np.zeros(0, np.int64)
        self._cameras_m = np.zeros((0, 3), np.float32)
        self._camera_rows: dict[KeyframeId, int] = {}
        self._points: SurfacePoints | None = None

    def __len__(self) -> int:
        return self._size

    @property
    def keyframe_count(self) -> int:
        """Number of different keyframes integrated."""
        return len(self._camera_rows)

    def integrate(
        self,
        keyframe_id: KeyframeId,
        depth_m: Float[Array, 'height width'],
        image: UInt8[Array, 'height width 3'],
        camera: PinholeCamera,
        camera_to_world: Float[Array, '4 4'],
    ) -> None:
        """Adds what one keyframe sees; the same keyframe may come again with better depth.

        Args:
            keyframe_id: The keyframe.
            depth_m: Depth along the optical axis, NaN where unknown.
            image: RGB picture.
            camera: Intrinsics of both.
            camera_to_world: Pose.

        Raises:
            ValueError: The sizes disagree or the pose is not rigid.
        """
        size = (camera.height, camera.width)
        if depth_m.shape != size or image.shape != (*size, 3):
            raise ValueError(
                f'depth and image: expected {camera.width}x{camera.height} as the camera, got '
                f'shapes {depth_m.shape} and {image.shape}'
            )
        pose = require_rigid(camera_to_world)
        depth_m = np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, 0).astype(np.float32)
        row = self._camera_row(keyframe_id, pose)
        self._carve(depth_m, camera, pose)
        self._merge(self._thin(keyframe_id, depth_m, image, camera, pose), row)
        if self._size > self._options.max_points:
            self._keep_most_seen()
        self._points = None

    def points(self) -> SurfacePoints:
        """Returns the cloud as it stands; points seen by too few keyframes are left out."""
        if self._points is None:
            columns, size = self._columns, self._size
            enough = min(self._options.min_views, self.keyframe_count)
            keep = np.flatnonzero(columns['views'][:size] >= enough)
            hits, misses = columns['hits'][keep], columns['misses'][keep]
            normals = columns['normals'][keep]
            length = np.linalg.norm(normals, axis=1, keepdims=True)
            self._points = SurfacePoints(
                positions=columns['positions'][keep],
                colours=np.clip(np.rint(columns['colours'][keep]), 0, 255).astype(np.uint8),
                normals=np.divide(normals, length, out=np.zeros_like(normals), where=length > 0),
                views=columns['views'][keep],
                confidence=(hits / (hits + misses + 1)).astype(np.float32),
                visible_height_m=columns['heights'][keep],
                seen_by=columns['seen_by'][keep],
                cameras_m=self._cameras_m,
                keys=columns['keys'][keep],
                voxel_m=self._options.voxel_m,
            )
        return self._points

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything as tensors, for a map file."""
        state = {
            name: torch.from_numpy(column[: self._size].copy())
            for name, column in self._columns.items()
        }
        state['cameras_m'] = torch.from_numpy(self._cameras_m.copy())
        ids = sorted(self._camera_rows, key=lambda id_: self._camera_rows[id_])
        text = json.dumps([[id_.source, id_.index] for id_ in ids])
        state['camera_ids'] = torch.tensor(list(text.encode()), dtype=torch.uint8)
        state['voxel_m'] = torch.tensor(self._options.voxel_m, dtype=torch.float64)
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Replaces everything by a saved state.

        Raises:
            ValueError: Something is missing or of another shape, or the voxel size differs.
        """
        empty = _columns(0)
        missing = sorted({*empty, 'cameras_m', 'camera_ids', 'voxel_m'} - set(state))
        if missing:
            raise ValueError(f'surface: the saved state lacks {", ".join(missing)}')
        if abs(float(state['voxel_m']) - self._options.voxel_m) > 1e-9:
            raise ValueError(
                f'surface: the map was made with query.voxel_m={float(state["voxel_m"]):g}, '
                f'this configuration has {self._options.voxel_m:g}'
            )
        columns = {}
        for name, column in empty.items():
            value = state[name].cpu().numpy()
            if value.dtype != column.dtype or value.shape[1:] != column.shape[1:]:
                raise ValueError(
                    f'surface.{name}: expected {column.dtype} rows of {column.shape[1:]}, '
                    f'got {value.dtype} {value.shape}'
                )
            columns[name] = value.copy()
        if len({len(column) for column in columns.values()}) != 1:
            raise ValueError('surface: the saved columns have different lengths')
        cameras_m = state['cameras_m'].cpu().numpy().astype(np.float32)
        ids = _ids_of(state['camera_ids'])
        if cameras_m.shape != (len(ids), 3) or columns['seen_by'].max(initial=-1) >= len(ids):
            raise ValueError('surface: the saved cameras do not match the saved points')
        self._columns, self._size = columns, len(columns['keys'])
        self._cameras_m, self._camera_rows = cameras_m, {id_: i for i, id_ in enumerate(ids)}
        self._sort_keys()
        self._points = None

    def _camera_row(self, keyframe_id: KeyframeId, pose: Float[Array, '4 4']) -> int:
        """Returns the keyframe's row among the cameras, with its centre up to date."""
        centre = pose[:3, 3].astype(np.float32)
        row = self._camera_rows.setdefault(keyframe_id, len(self._cameras_m))
        # A new array each time: points that were handed out keep the one they have.
        if row == len(self._cameras_m):
            self._cameras_m = np.concatenate([self._cameras_m, centre[None]])
        else:
            self._cameras_m = self._cameras_m.copy()
            self._cameras_m[row] = centre
        return row

    def _thin(
        self,
        keyframe_id: KeyframeId,
        depth_m: Float32[Array, 'height width'],
        image: UInt8[Array, 'height width 3'],
        camera: PinholeCamera,
        pose: Float[Array, '4 4'],
    ) -> dict[str, Array]:
        """Returns the columns of one view's voxels, sorted by key."""
        near = np.where(depth_m <= self._options.max_range_m, depth_m, 0)
        pixels = view_pixels(near, camera, pose, self._options.voxel_m, keyframe_id.index)
        inside = ((pixels.positions >= self._low) & (pixels.positions < self._high)).all(axis=1)
        pixels = pixels.at(np.asarray(inside))
        keys, voxel = np.unique(
            voxel_keys(pixels.positions, self._options.voxel_m), return_inverse=True
        )
        values = np.concatenate(
            [
                pixels.positions,
                image.reshape(-1, 3)[pixels.pixels].astype(np.float64),
                pixels.normals,
                pixels.depth_m[:, None],
            ],
            axis=1,
        )
        count = np.bincount(voxel, minlength=len(keys))
        sums = [np.bincount(voxel, weights=value, minlength=len(keys)) for value in values.T]
        means = (np.stack(sums, axis=1) / count[:, None]).astype(np.float32)
        columns = _columns(len(keys))
        columns['keys'] = keys
        columns['positions'], columns['colours'] = means[:, :3], means[:, 3:6]
        columns['normals'] = means[:, 6:9]
        columns['heights'] = np.repeat(means[:, 9:] * (camera.height / camera.fy), 2, axis=1)
        return columns

    def _merge(self, view: dict[str, Array], row: int) -> None:
        """Adds the voxels of one view to the map."""
        keys = view['keys']
        at = np.searchsorted(self._sorted_keys, keys)
        known = np.zeros(len(keys), bool)
        inside = at < len(self._sorted_keys)
        known[inside] = self._sorted_keys[at[inside]] == keys[inside]
        slots = self._sorted_slots[at[known]]
        self._average(slots, {name: column[known] for name, column in view.items()}, row)

        new = ~known
        start, stop = self._size, self._size + int(new.sum())
        self._reserve(stop)
        for name, column in view.items():
            self._columns[name][start:stop] = column[new]
        self._columns['weight'][start:stop] = 1
        self._columns['views'][start:stop] = 1
        self._columns['hits'][start:stop] = 1
        self._columns['seen_by'][start:stop, 0] = row
        self._size = stop
        self._sorted_keys = np.insert(self._sorted_keys, at[new], keys[new])
        self._sorted_slots = np.insert(self._sorted_slots, at[new], np.arange(start, stop))

    def _average(self, slots: Int[Array, 'k'], view: dict[str, Array], row: int) -> None:
        """Moves the means of known voxels towards what this view saw."""
        columns = self._columns
        weight = np.minimum(columns['weight'][slots] + 1, MEMORY)
        columns['weight'][slots] = weight
        for name in ('positions', 'colours', 'normals'):
            old = columns[name][slots]
            columns[name][slots] = old + (view[name] - old) / weight[:, None]
        low, high = columns['heights'][slots].T
        seen = view['heights'][:, 0]
        columns['heights'][slots] = np.stack([np.minimum(low, seen), np.maximum(high, seen)], 1)
        columns['hits'][slots] = np.minimum(columns['hits'][slots] + 1, MEMORY)
        fresh = slots[~(columns['seen_by'][slots] == row).any(axis=1)]
        columns['seen_by'][fresh, columns['views'][fresh] % SEEN_BY] = row
        columns['views'][fresh] += 1

    def _carve(
        self,
        depth_m: Float32[Array, 'height width'],
        camera: PinholeCamera,
        pose: Float[Array, '4 4'],
    ) -> None:
        """Counts against every point that this view sees through, and drops the refuted ones."""
        size, columns = self._size, self._columns
        if size == 0:
            return
        world_to_camera = inverse_transform(pose).astype(np.float32)
        local = columns['positions'][:size] @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        z = np.maximum(local[:, 2], 1e-6)
        u = (camera.fx * local[:, 0] / z + camera.cx).astype(np.int64)
        v = (camera.fy * local[:, 1] / z + camera.cy).astype(np.int64)
        in_view = (local[:, 2] > 0.05) & (u >= 0) & (v >= 0)
        in_view &= (u < camera.width) & (v < camera.height)
        slots = np.flatnonzero(in_view)
        # The nearest depth around the pixel, unknown counting as near: a point at an object's
        # border is not refuted by the background beside it.
        nearest = cv2.erode(depth_m, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        margin = 1.5 * self._options.voxel_m + 0.01 * z[slots]
        through = z[slots] < nearest[v[slots], u[slots]] - margin
        columns['misses'][slots[through]] += 1
        refuted = columns['misses'][:size] > np.maximum(columns['hits'][:size], MISSES_TO_DROP - 1)
        if refuted.any():
            self._keep(np.flatnonzero(~refuted))

    def _keep_most_seen(self) -> None:
        """Drops the points seen by the fewest keyframes until the bound holds with some room."""
        room = int(0.95 * self._options.max_points)
        # Among equals the oldest stay: they are what earlier answers referred to.
        order = np.argsort(-self._columns['views'][: self._size], kind='stable')
        self._keep(np.sort(order[:room]))

    def _keep(self, slots: Int[Array, 'k']) -> None:
        self._columns = {name: column[slots] for name, column in self._columns.items()}
        self._size = len(slots)
        self._sort_keys()

    def _sort_keys(self) -> None:
        keys = self._columns['keys'][: self._size]
        self._sorted_slots = np.argsort(keys, kind='stable')
        self._sorted_keys = keys[self._sorted_slots]

    def _reserve(self, size: int) -> None:
        capacity = len(self._columns['keys'])
        if size <= capacity:
            return
        grown = _columns(max(size, 2 * capacity, 4096))
        for name, column in grown.items():
            column[: self._size] = self._columns[name][: self._size]
        self._columns = grown


def _ids_of(text: Tensor) -> list[KeyframeId]:
    try:
        pairs = json.loads(bytes(text.cpu().numpy().astype(np.uint8)))
        return [KeyframeId(str(source), int(index)) for source, index in pairs]
    except (ValueError, TypeError) as error:
        raise ValueError(f'surface.camera_ids: expected pairs in JSON: {error}') from error


def _columns(size: int) -> dict[str, Array]:
    """Returns the columns of the map, one row a voxel."""
    return {
        'keys': np.zeros(size, np.int64),
        'positions': np.zeros((size, 3), np.float32),
        'colours': np.zeros((size, 3), np.float32),
        'normals': np.zeros((size, 3), np.float32),
        'heights': np.zeros((size, 2), np.float32),
        'weight': np.zeros(size, np.float32),
        'views': np.zeros(size, np.int32),
        'hits': np.zeros(size, np.float32),
        'misses': np.zeros(size, np.float32),
        'seen_by': np.full((size, SEEN_BY), -1, np.int32),
    }
