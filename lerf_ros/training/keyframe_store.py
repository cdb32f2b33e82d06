"""Every keyframe of the map, with its features and its pose as last corrected.

Keyframes on the training device live in flat tensors (:class:`SlotPool`), so that a step gathers
its rays from all of them at once, whatever their sizes. Those beyond the device's budget rest in
host memory or on disk (:class:`ColdStorage`) and take turns on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.config import TrainingOptions
from lerf_ros.field.sampling import RayBundle
from lerf_ros.frames import Keyframe, PosedFrame
from lerf_ros.geometry import PinholeCamera, require_rigid
from lerf_ros.training.cold_storage import Arrays, ColdStorage
from lerf_ros.training.feature_lookup import Grids, lookup_grid, lookup_pyramid
from lerf_ros.training.rays import RayBatch
from lerf_ros.training.slot_pool import SlotPool

if TYPE_CHECKING:
    from lerf_ros.features.dense import FeatureMap
    from lerf_ros.features.pyramid import FeaturePyramid

# Keyframes that count as the newest; they always stay on the device.
NEWEST = 4
# Once in so many calls, a keyframe on the device gives way to one that is not.
STAGE_CALLS = 4


@dataclass(eq=False)
class _Record:
    """What is known of a keyframe wherever its pixels are."""

    id: int
    camera: PinholeCamera
    camera_to_world: np.ndarray
    stamp_ns: int
    frame_id: str
    has_depth: bool
    levels: tuple[tuple[int, int, int, float, float, float, float, float], ...]
    dense_grid: tuple[int, int] | None
    order: int
    placed_at: int = 0


class KeyframeStore:
    """Holds keyframes and hands out rays.

    Args:
        options: Budgets and replay.
        embedding_size: Size of a language embedding.
        dense_size: Size of a dense feature; 0 for none.
        device: Where rays are wanted.
    """

    def __init__(
        self,
        options: TrainingOptions,
        embedding_size: int,
        dense_size: int = 0,
        device: torch.device | str = 'cpu',
    ) -> None:
        self._options = options
        self._embedding_size, self._dense_size = embedding_size, dense_size
        self.device = torch.device(device)
        self._records: dict[int, _Record] = {}
        self._slots: list[int] = []  # the keyframe in each slot of the pools
        self._pools: dict[str, SlotPool] = {}
        self._cold = ColdStorage(options.store_host_mb * 2**20)
        self._calls = 0
        self._arrived = 0
        self._errors = torch.zeros(0)  # mean squared colour error of each slot, NaN unknown
        self._tables: _Tables | None = None

    def __len__(self) -> int:
        return len(self._records)

    @property
    def ids(self) -> list[int]:
        """Numbers of all keyframes, oldest first."""
        return list(self._records)

    @property
    def arrived(self) -> int:
        """Number of keyframes that ever came."""
        return self._arrived

    @property
    def on_device(self) -> int:
        """Number of keyframes on the training device."""
        return len(self._slots)

    def add(
        self, keyframe: Keyframe, pyramid: FeaturePyramid, dense: FeatureMap | None = None
    ) -> None:
        """Takes in a keyframe.

        Raises:
            ValueError: The id is known already, or features are missing, of another size or not
                finite.
            OSError: An older keyframe had to go to disk, and the disk is full.
        """
        self._check(keyframe, pyramid, dense)
        frame = keyframe.frame
        arrays = {
            'colour': torch.from_numpy(np.ascontiguousarray(frame.image)).reshape(-1, 3),
            'depth': torch.from_numpy(_storable_depth(frame)).reshape(-1, 1),
            'embedding': torch.cat(
                [level.embeddings.reshape(-1, self._embedding_size) for level in pyramid.levels]
            ).half(),
        }
        if dense is not None:
            arrays['dense'] = dense.features.reshape(-1, self._dense_size).half()
        levels, first = [], 0
        for level in pyramid.levels:
            rows, cols = level.embeddings.shape[:2]
            numbers = (*level.origin_uv, *level.stride_uv, level.tile_px)
            levels.append((first, rows, cols, *numbers))
            first += rows * cols
        self._records[keyframe.id] = _Record(
            keyframe.id,
            frame.camera,
            frame.camera_to_world.copy(),
            frame.stamp_ns,
            frame.frame_id,
            frame.depth is not None,
            tuple(levels),
            None if dense is None else (dense.features.shape[0], dense.features.shape[1]),
            self._arrived,
        )
        try:
            self._place(keyframe.id, arrays)
        except BaseException:
            del self._records[keyframe.id]
            raise
        self._arrived += 1

    def keyframe(self, id_: int) -> Keyframe:
        """Returns a keyframe with its pose as it stands.

        Depth comes back rounded to one part in 2000.

        Raises:
            KeyError: There is no such keyframe.
        """
        record = self._records[id_]
        arrays = self._arrays(id_)
        size = (record.camera.height, record.camera.width)
        depth = arrays['depth'].float().cpu().numpy().reshape(size) if record.has_depth else None
        frame = PosedFrame(
            image=arrays['colour'].cpu().numpy().reshape(*size, 3).copy(),
            depth=depth,
            camera=record.camera,
            camera_to_world=record.camera_to_world,
            stamp_ns=record.stamp_ns,
            frame_id=record.frame_id,
        )
        return Keyframe(id_, frame)

    def pose(self, id_: int) -> Float[np.ndarray, '4 4']:
        """Returns the pose of a keyframe as it stands.

        Raises:
            KeyError: There is no such keyframe.
        """
        return self._records[id_].camera_to_world.copy()

    def embeddings(self, id_: int) -> Float[Tensor, 'tiles d']:
        """Returns the language embeddings of a keyframe's tiles.

        Raises:
            KeyError: There is no such keyframe.
        """
        return self._arrays(id_)['embedding'].to(self.device).float()

    def update_poses(
        self, ids: Sequence[int], camera_to_world: Float[np.ndarray, 'n 4 4']
    ) -> None:
        """Moves keyframes, after a loop closure; takes effect on the next rays.

        Raises:
            ValueError: A pose is no rigid transform, the numbers differ, or an id is unknown.
        """
        if len(ids) != len(camera_to_world):
            raise ValueError(
                f'update_poses: expected one pose an id, got {len(ids)} and {len(camera_to_world)}'
            )
        unknown = [id_ for id_ in ids if id_ not in self._records]
        if unknown:
            raise ValueError(f'update_poses: no keyframes with the ids {unknown[:5]}')
        poses = [require_rigid(pose) for pose in camera_to_world]
        for id_, pose in zip(ids, poses, strict=True):
            self._records[id_].camera_to_world = pose
        self._tables = None

    def sample_rays(
        self,
        count: int,
        generator: torch.Generator | None = None,
        *,
        language_rays: int | None = None,
    ) -> RayBatch:
        """Returns random rays of the keyframes on the device.

        Args:
            count: Number of rays.
            generator: Source of randomness, on the CPU.
            language_rays: How many of them, from the first on, carry language; None for all.

        Raises:
            ValueError: The store is empty.
        """
        if not self._records:
            raise ValueError('store: expected at least one keyframe, got none')
        self._calls += 1
        self._stage(generator)
        tables = self._tables or self._make_tables()
        probabilities = self._replay_probabilities()
        slots = torch.multinomial(probabilities, count, replacement=True, generator=generator)
        slots = slots.to(self.device)
        draws = torch.rand(count, 2, generator=generator).to(self.device)
        pixels = (draws * tables.size[slots]).floor()
        columns, rows = pixels.long().unbind(dim=-1)
        index = slots * self._pools['colour'].rows + rows * tables.width[slots] + columns
        rgb = self._pools['colour'].data[index].float() / 255
        depth_m = self._pools['depth'].data[index, 0].float()
        uv = pixels + 0.5
        rays = self._rays(tables, slots, uv, depth_m)
        count = count if language_rays is None else min(language_rays, count)
        slots_, uv_ = slots[:count], uv[:count]
        sizes = tables.tiles.tile_px[slots_]
        share = torch.rand(count, generator=generator).to(self.device)
        # Tile sizes are drawn evenly over octaves, as the head reads scales.
        tile_px = sizes[:, 0] * (sizes[:, -1] / sizes[:, 0]) ** share
        embedding = lookup_pyramid(
            self._pools['embedding'].data, tables.tiles, slots_, uv_, tile_px
        )
        dense = None
        if self._dense_size:
            level = torch.zeros_like(slots_)
            dense = lookup_grid(self._pools['dense'].data, tables.dense, slots_, level, uv_)
        scale_per_depth = tile_px / tables.focal[slots_, 1]
        return RayBatch(
            rays, rgb, slots, tables.order[slots], uv, embedding, scale_per_depth, dense
        )

    def report_errors(self, slots: Int[Tensor, 'n'], errors: Float[Tensor, 'n']) -> None:
        """Tells how badly each ray's colour was explained, for replay."""
        slots, errors = slots.cpu(), errors.detach().cpu().float()
        count = torch.zeros_like(self._errors).index_add_(0, slots, torch.ones_like(errors))
        total = torch.zeros_like(self._errors).index_add_(0, slots, errors)
        mean = total / count
        blended = torch.where(self._errors.isnan(), mean, torch.lerp(self._errors, mean, 0.1))
        self._errors = torch.where(count > 0, blended, self._errors)

    def point_sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Returns (m, 3) world points at measured depths of random pixels, at most ``count``."""
        batch = self.sample_rays(count, generator, language_rays=0)
        depth_m = batch.rays.depth_guide_m
        points = batch.rays.origins_world + batch.rays.directions_world * depth_m[:, None]
        return points[torch.isfinite(depth_m)]

    def state(self) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """Returns what a map file keeps: the keyframes on the device, and their arrays.

        Those that rest in host memory or on disk are left out, so that a file stays bounded.
        """
        described, arrays = [], {}
        for id_ in sorted(self._slots):
            record = self._records[id_]
            numbers = asdict(record) | {'camera_to_world': record.camera_to_world.tolist()}
            described.append(numbers)
            for name, values in self._arrays(id_).items():
                arrays[f'{id_}.{name}'] = values.clone()
        return described, arrays

    def load_state(self, described: list[dict[str, Any]], arrays: dict[str, Tensor]) -> None:
        """Takes in the keyframes of a map file; the store must be empty.

        Raises:
            ValueError: The store holds keyframes, or arrays are missing or of another size.
        """
        if self._records:
            raise ValueError('store: expected an empty one to load into')
        for numbers in described:
            try:
                record = _Record(
                    **numbers
                    | {
                        'camera': PinholeCamera(**numbers['camera']),
                        'camera_to_world': require_rigid(np.array(numbers['camera_to_world'])),
                        'levels': tuple(tuple(level) for level in numbers['levels']),
                        'dense_grid': numbers['dense_grid'] and tuple(numbers['dense_grid']),
                        'placed_at': 0,
                    }
                )
                counts = self._array_rows(record)
                own = {name: arrays[f'{record.id}.{name}'] for name in counts}
            except (KeyError, TypeError) as error:
                raise ValueError(f'keyframe: a part is missing: {error}') from error
            for name, values in own.items():
                if len(values) != counts[name]:
                    raise ValueError(
                        f'keyframe {record.id}: expected {counts[name]} rows of {name}, '
                        f'got {len(values)}'
                    )
            self._records[record.id] = record
            self._place(record.id, own)
            self._arrived = max(self._arrived, record.order + 1)

    def close(self) -> None:
        """Removes what lies on disk."""
        self._cold.close()

    def _rays(self, tables, slots, uv, depth_m) -> RayBundle:
        camera = (uv - tables.centre[slots]) / tables.focal[slots]
        pose = tables.poses[slots]
        directions = torch.baddbmm(pose[:, :, 2:3], pose[:, :, :2], camera[..., None])[..., 0]
        return RayBundle(pose[:, :, 3], directions, depth_m)

    def _replay_probabilities(self) -> Float[Tensor, 'slots']:
        """Returns how likely each slot is: newest, worst explained, and an even floor."""
        options = self._options
        slots = len(self._slots)
        even = torch.full((slots,), 1 / slots)
        newest_ids = set(list(self._records)[-NEWEST:])
        newest = torch.tensor([float(id_ in newest_ids) for id_ in self._slots])
        known = self._errors[~self._errors.isnan()]
        worst = self._errors.nan_to_num(float(known.max()) if len(known) else 1.0)
        # Bounded, so that one hopeless picture does not take all rays.
        worst = worst.clamp(max=4 * float(worst.mean())) + 1e-9
        uniform, fresh = options.replay_uniform_share, options.replay_newest_share
        rest = max(0.0, 1 - uniform - fresh)
        return (
            uniform * even
            + fresh * newest / newest.sum().clamp(min=1)
            + rest * worst / worst.sum()
            + 1e-9
        )

    # ---- places on the device

    def _arrays(self, id_: int) -> Arrays:
        """Returns the arrays of a keyframe, wherever they are."""
        if id_ not in self._slots:
            return self._cold.get(id_)
        slot, counts = self._slots.index(id_), self._array_rows(self._records[id_])
        return {name: self._pools[name].read(slot, count) for name, count in counts.items()}

    @staticmethod
    def _array_rows(record: _Record) -> dict[str, int]:
        """Returns the number of rows of each array of a keyframe."""
        pixels = record.camera.width * record.camera.height
        first, rows, cols = record.levels[-1][:3]
        counts = {'colour': pixels, 'depth': pixels, 'embedding': first + rows * cols}
        if record.dense_grid:
            counts['dense'] = record.dense_grid[0] * record.dense_grid[1]
        return counts

    def _place(self, id_: int, arrays: Arrays) -> None:
        """Puts a keyframe into a fresh slot, or into one whose keyframe goes cold."""
        limit = self._slot_limit(arrays)
        if len(self._slots) < limit:
            slot = len(self._slots)
            self._slots.append(id_)
            self._errors = torch.cat([self._errors, torch.zeros(1)])
        else:
            newest = set(list(self._records)[-NEWEST - 1 :])
            candidates = [s for s, other in enumerate(self._slots) if other not in newest]
            slot = min(candidates or [0], key=lambda s: self._records[self._slots[s]].placed_at)
            self._cold.put(self._slots[slot], self._arrays(self._slots[slot]))
            self._slots[slot] = id_
        for name, values in arrays.items():
            if name not in self._pools:
                self._pools[name] = SlotPool(*values.shape, values.dtype, self.device)
            self._pools[name].write(slot, values, limit)
        self._records[id_].placed_at = self._calls
        self._errors[slot] = float('nan')
        self._tables = None

    def _slot_limit(self, arrays: Arrays) -> int:
        """Returns how many keyframes the device's budget holds, at least the newest ones."""
        size = sum(values.numel() * values.element_size() for values in arrays.values())
        return max(NEWEST + 2, self._options.store_device_mb * 2**20 // size)

    def _stage(self, generator: torch.Generator | None) -> None:
        """Brings a keyframe that is not on the device there, now and then."""
        if len(self._slots) == len(self._records) or self._calls % STAGE_CALLS:
            return
        taken = self._cold.take(wait=generator is not None)
        if taken is not None and taken[0] not in self._slots:
            self._place(*taken)
        on_device = set(self._slots)
        cold = [id_ for id_ in self._records if id_ not in on_device]
        choice = int(torch.randint(len(cold), (1,), generator=generator))
        self._cold.read_ahead(cold[choice])

    def _make_tables(self) -> _Tables:
        """Gathers cameras, poses and feature grids of the slots into tensors."""
        records = [self._records[id_] for id_ in self._slots]
        cameras = [record.camera for record in records]
        levels = torch.tensor([record.levels for record in records], dtype=torch.float64)
        offsets = torch.arange(len(records), dtype=torch.float64)
        levels[..., 0] += (offsets * self._pools['embedding'].rows)[:, None]
        dense = None
        if self._dense_size:
            rows = []
            for slot, record in enumerate(records):
                n_rows, n_cols = record.dense_grid
                cell = record.camera.width / n_cols, record.camera.height / n_rows
                first = slot * self._pools['dense'].rows
                rows.append([(first, n_rows, n_cols, cell[0] / 2, cell[1] / 2, *cell, 0.0)])
            dense = Grids.from_rows(torch.tensor(rows, dtype=torch.float64).to(self.device))

        def table(rows, dtype=torch.float32) -> Tensor:
            return torch.tensor(rows, dtype=dtype, device=self.device)

        self._tables = _Tables(
            size=table([(c.width, c.height) for c in cameras]),
            width=table([c.width for c in cameras], torch.long),
            focal=table([(c.fx, c.fy) for c in cameras]),
            centre=table([(c.cx, c.cy) for c in cameras]),
            order=table([r.order for r in records], torch.long),
            poses=table(np.stack([r.camera_to_world[:3] for r in records])),
            tiles=Grids.from_rows(levels.to(self.device)),
            dense=dense,
        )
        return self._tables

    def _check(self, keyframe, pyramid, dense) -> None:
        camera = keyframe.frame.camera
        if keyframe.id in self._records:
            raise ValueError(f'keyframe: id {keyframe.id} is in the store already')
        if (pyramid.width, pyramid.height) != (camera.width, camera.height):
            raise ValueError(
                f'pyramid: expected one of a {camera.width}x{camera.height} image, '
                f'got {pyramid.width}x{pyramid.height}'
            )
        for level in pyramid.levels:
            if level.embeddings.shape[-1] != self._embedding_size:
                raise ValueError(
                    f'pyramid: expected embeddings of size {self._embedding_size}, '
                    f'got {level.embeddings.shape[-1]}'
                )
            if not torch.isfinite(level.embeddings).all():
                raise ValueError('pyramid: expected finite embeddings, got NaN or infinity')
        if self._records:
            levels = len(next(iter(self._records.values())).levels)
            if len(pyramid.levels) != levels:
                raise ValueError(
                    f'pyramid: expected {levels} levels as before, got {len(pyramid.levels)}'
                )
        if (dense is None) != (self._dense_size == 0):
            wanted = 'dense features' if self._dense_size else 'no dense features'
            raise ValueError(f'dense: expected {wanted} in this map')
        if dense is not None and not torch.isfinite(dense.features).all():
            raise ValueError('dense: expected finite features, got NaN or infinity')


@dataclass(frozen=True, eq=False)
class _Tables:
    """Cameras, poses and feature grids by slot, on the device."""

    size: Float[Tensor, 'slots 2']
    width: Int[Tensor, 'slots']
    focal: Float[Tensor, 'slots 2']
    centre: Float[Tensor, 'slots 2']
    order: Int[Tensor, 'slots']
    poses: Float[Tensor, 'slots 3 4']
    tiles: Grids
    dense: Grids | None


def _storable_depth(frame: PosedFrame) -> Float[np.ndarray, 'height width']:
    """Returns depth in half precision (one part in 2000), NaN where it is unknown."""
    if frame.depth is None:
        return np.full(frame.image.shape[:2], np.nan, np.float16)
    with np.errstate(invalid='ignore', over='ignore'):
        valid = np.isfinite(frame.depth) & (frame.depth > 0) & (frame.depth < 60_000)
        return np.where(valid, frame.depth, np.nan).astype(np.float16)
