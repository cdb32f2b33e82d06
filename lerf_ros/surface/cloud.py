"""The surface cloud: where answers can lie.

A :class:`SurfaceMap` thins the depth of every keyframe on a grid of voxels and keeps a running
mean of position, colour and normal in each. Points that later depth sees through lose confidence
and are dropped in the end. Everything is numpy, in metres, in the world frame.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from lerf_ros.config import QueryOptions
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera, inverse_transform, require_rigid, transform_points
from lerf_ros.surface.depth_view import view_pixels, voxel_keys
from lerf_ros.surface.points import SurfacePoints
from lerf_ros.surface.thinning import FAR_VOXELS, find_far, mean_columns
from lerf_ros.surface.voxels import Columns, Voxels, joined

Array = np.ndarray

logger = logging.getLogger(__name__)

# Free space: a voxel must be this often seen through, and more often than seen, to be dropped.
MISSES_TO_DROP = 3
# Share of the bound that is left once points had to go: they go many at a time.
ROOM = 0.95


class SurfaceMap:
    """The surface cloud of a growing map.

    Args:
        options: Voxel size, region, bounds.
    """

    def __init__(self, options: QueryOptions) -> None:
        self.bound(options)
        self.clear()

    def bound(self, options: QueryOptions) -> None:
        """Takes over voxel size, region and bounds; what is in the map stays."""
        self._options = options
        self._low = np.array(
            [options.region_min_x_m, options.region_min_y_m, options.region_min_z_m]
        )
        self._high = np.array(
            [options.region_max_x_m, options.region_max_y_m, options.region_max_z_m]
        )

    def clear(self) -> None:
        """Forgets everything."""
        self._voxels = Voxels()
        self._turn = 0
        self._told_full = False
        self._cameras_m = np.zeros((0, 3), np.float32)
        self._camera_rows: dict[KeyframeId, int] = {}
        self._points: SurfacePoints | None = None

    def __len__(self) -> int:
        return len(self._voxels)

    @property
    def keyframe_ids(self) -> list[KeyframeId]:
        """Keyframe of each row of ``SurfacePoints.cameras_m``."""
        return list(self._camera_rows)

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

        Where there is no more room, what is farthest from this camera and was last seen the
        longest ago makes place.

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
        self._turn += 1
        row = self._camera_row(keyframe_id, pose)
        self._carve(depth_m, camera, pose)
        for view, far in self._thin(keyframe_id, depth_m, image, camera, pose):
            known, rows = find_far(self._voxels, view) if far else self._voxels.find(view['keys'])
            self._voxels.average(rows, {name: column[known] for name, column in view.items()}, row)
            view['seen_by'][:, 0] = row
            self._voxels.append({name: column[~known] for name, column in view.items()})
        if len(self) > self._options.max_points:
            self._make_room(pose[:3, 3])
        self._points = None

    def move(self, corrections: Mapping[KeyframeId, Float[Array, '4 4']]) -> None:
        """Moves the surface with the keyframes that saw it, after their poses were corrected.

        A point follows the mean of the keyframes that saw it; those that are not named stay. No
        depth is needed for it, nor the keyframes' pictures.

        Args:
            corrections: What takes each keyframe's old pose to the new one:
                ``new_camera_to_world @ inverse(old_camera_to_world)``. Keyframes that the surface
                does not know are left out.
        """
        moves = np.tile(np.eye(4), (len(self._cameras_m), 1, 1))
        moved = np.zeros(len(moves) + 1, bool)  # the last row stands for no keyframe
        self._cameras_m = self._cameras_m.copy()
        for keyframe_id, correction in corrections.items():
            row = self._camera_rows.get(keyframe_id)
            if row is not None:
                moves[row], moved[row] = correction, True
                self._cameras_m[row] = transform_points(correction, self._cameras_m[row])
        columns = self._voxels.copy()
        seen_by = columns['seen_by']
        touched = np.flatnonzero(moved[seen_by].any(axis=1))
        total, count = np.zeros((len(touched), 4, 4)), np.zeros(len(touched))
        for observer in seen_by[touched].T:
            total += moves[observer] * (observer >= 0)[:, None, None]
            count += observer >= 0
        mean = total / count[:, None, None]
        rotation, shift = mean[:, :3, :3], mean[:, :3, 3]
        turned = [
            np.einsum('nij,nj->ni', rotation, columns[name][touched])
            for name in ('positions', 'normals')
        ]
        columns['positions'][touched] = turned[0] + shift
        columns['normals'][touched] = turned[1]
        columns['keys'] = voxel_keys(columns['positions'], self._options.voxel_m)
        inside = self._inside(columns['positions'])
        self._voxels.replace(joined({name: column[inside] for name, column in columns.items()}))
        self._points = None

    def points(self) -> SurfacePoints:
        """Returns the cloud as it stands; points seen by too few keyframes are left out."""
        if self._points is None:
            voxels = self._voxels
            enough = min(self._options.min_views, self.keyframe_count)
            keep = np.flatnonzero(voxels['views'] >= enough)

            def kept(name: str) -> Array:
                return np.take(voxels[name], keep, axis=0)  # faster than an index

            hits, normals = kept('hits'), kept('normals')
            length = np.sqrt((normals**2).T.sum(axis=0))[:, None]
            colours = kept('colours')
            self._points = SurfacePoints(
                positions=kept('positions'),
                colours=np.clip(np.rint(colours, out=colours), 0, 255).astype(np.uint8),
                normals=np.divide(normals, length, out=np.zeros_like(normals), where=length > 0),
                views=kept('views'),
                confidence=(hits / (hits + kept('misses') + 1)).astype(np.float32),
                visible_height_m=kept('heights'),
                seen_by=kept('seen_by'),
                cameras_m=self._cameras_m,
                keys=kept('keys'),
                voxel_m=self._options.voxel_m,
            )
        return self._points

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything as tensors, for a map file."""
        ids = sorted(self._camera_rows, key=lambda id_: self._camera_rows[id_])
        text = json.dumps([[id_.source, id_.index] for id_ in ids])
        return self._voxels.state_dict() | {
            'cameras_m': torch.from_numpy(self._cameras_m.copy()),
            'camera_ids': torch.tensor(list(text.encode()), dtype=torch.uint8),
            'voxel_m': torch.tensor(self._options.voxel_m, dtype=torch.float64),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Replaces everything by a saved state, or stays as it was.

        Raises:
            ValueError: Something is missing or of another shape, or the voxel size differs.
        """
        missing = sorted({'cameras_m', 'camera_ids', 'voxel_m'} - set(state))
        if missing:
            raise ValueError(f'surface: the saved state lacks {", ".join(missing)}')
        if abs(float(state['voxel_m']) - self._options.voxel_m) > 1e-9:
            raise ValueError(
                f'surface: the map was made with query.voxel_m={float(state["voxel_m"]):g}, '
                f'this configuration has {self._options.voxel_m:g}'
            )
        voxels = Voxels()
        voxels.load_state_dict(state)
        cameras_m = state['cameras_m'].cpu().numpy().astype(np.float32)
        ids = _ids_of(state['camera_ids'])
        if cameras_m.shape != (len(ids), 3) or voxels['seen_by'].max(initial=-1) >= len(ids):
            raise ValueError('surface: the saved cameras do not match the saved points')
        self.clear()
        self._voxels, self._turn = voxels, int(voxels['last_seen'].max(initial=0))
        self._cameras_m, self._camera_rows = cameras_m, {id_: i for i, id_ in enumerate(ids)}

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

    def _inside(self, positions: Float[Array, 'n 3']) -> Bool[Array, ' n']:
        inside = np.ones(len(positions), bool)
        # Axis by axis: a reduction over a short last axis costs far more.
        for axis in range(3):
            along = positions[:, axis]
            inside &= (along >= self._low[axis : axis + 1]) & (along < self._high[axis : axis + 1])
        return inside

    def _thin(
        self,
        keyframe_id: KeyframeId,
        depth_m: Float32[Array, 'height width'],
        image: UInt8[Array, 'height width 3'],
        camera: PinholeCamera,
        pose: Float[Array, '4 4'],
    ) -> Iterator[tuple[Columns, bool]]:
        """Yields columns of one view's voxels, sorted by key, and whether they are far away."""
        voxel_m = self._options.voxel_m
        near = np.where(depth_m <= self._options.max_range_m, depth_m, 0)
        pixels = view_pixels(near, camera, pose, voxel_m, keyframe_id.index)
        pixels = pixels.at(self._inside(pixels.positions))
        far = pixels.depth_m > (self._options.thin_beyond_m or np.inf)
        for chosen, voxels in ((~far, 1), (far, FAR_VOXELS)):
            if chosen.any():
                columns = mean_columns(pixels.at(chosen), image, camera, voxel_m, voxels)
                columns['last_seen'][:] = self._turn
                yield columns, voxels > 1

    def _carve(
        self,
        depth_m: Float32[Array, 'height width'],
        camera: PinholeCamera,
        pose: Float[Array, '4 4'],
    ) -> None:
        """Counts against every point that this view sees through, and drops the refuted ones."""
        voxels = self._voxels
        if len(voxels) == 0:
            return
        local = transform_points(inverse_transform(pose).astype(np.float32), voxels['positions'])
        ahead = np.flatnonzero(local[:, 2] > 0.05)
        x, y, z = np.ascontiguousarray(np.take(local, ahead, axis=0).T)
        # The pixel that holds the point: rounded down, or a point left of the picture is in it.
        u = np.floor(camera.fx * x / z + camera.cx).astype(np.int64)
        v = np.floor(camera.fy * y / z + camera.cy).astype(np.int64)
        in_view = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        rows, u, v, z = ahead[in_view], u[in_view], v[in_view], z[in_view]
        # The nearest depth around the pixel, unknown counting as near: a point at an object's
        # border is not refuted by the background beside it.
        nearest = cv2.erode(depth_m, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        margin = 1.5 * self._options.voxel_m + 0.01 * z
        through = z < nearest[v, u] - margin
        voxels.count_looks('misses', rows[through])
        refuted = voxels['misses'] > np.maximum(voxels['hits'], MISSES_TO_DROP - 1)
        if refuted.any():
            voxels.keep(np.flatnonzero(~refuted))

    def _make_room(self, camera_m: Float[Array, '3']) -> None:
        """Drops what is far from the camera and was not seen for long, until the bound holds."""
        if not self._told_full:
            self._told_full = True
            logger.warning(
                'the surface is full at %d points: what is farthest from the camera and oldest '
                'makes place; raise query.max_points or query.voxel_m to keep more',
                self._options.max_points,
            )
        # Half a second to import, which every process with a map would pay at its start.
        from scipy.stats import rankdata

        distance_m = np.linalg.norm(self._voxels['positions'] - camera_m, axis=1)
        # Ranks, since metres and turns have no common measure.
        worth = rankdata(self._voxels['last_seen']) - rankdata(distance_m)
        best = np.argpartition(-worth, int(ROOM * self._options.max_points))
        self._voxels.keep(np.sort(best[: int(ROOM * self._options.max_points)]))


def _ids_of(text: Tensor) -> list[KeyframeId]:
    try:
        pairs = json.loads(bytes(text.cpu().numpy().astype(np.uint8)))
        return [KeyframeId(str(source), int(index)) for source, index in pairs]
    except (ValueError, TypeError) as error:
        raise ValueError(f'surface.camera_ids: expected pairs in JSON: {error}') from error
