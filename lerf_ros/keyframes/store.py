"""Every keyframe of the map, with its features and its pose as last corrected.

Keyframes on the training device live in a few tensors (:class:`DevicePools`), so that a step
gathers its rays from all of them at once. Those beyond the device's budget rest in host memory or
on disk (:class:`ColdStorage`) and take turns on the device.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.config import TrainingOptions
from lerf_ros.field.native import is_available
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.geometry import require_rigid
from lerf_ros.keyframes.cold_storage import Arrays, ColdStorage
from lerf_ros.keyframes.device_pools import DevicePools, gather
from lerf_ros.keyframes.native_targets import native_point_targets
from lerf_ros.keyframes.point_targets import PointTargets, PointViews, ReadRows, point_targets
from lerf_ros.keyframes.ray_draw import draw_rays
from lerf_ros.keyframes.rays import RayBatch
from lerf_ros.keyframes.record import KeyframeRecord, arrays_of, as_held, check_features
from lerf_ros.keyframes.replay import Replay
from lerf_ros.keyframes.slot_tables import SlotTables

if TYPE_CHECKING:
    from lerf_ros.features.dense import FeatureMap
    from lerf_ros.features.pyramid import FeaturePyramid

# Keyframes as files hold them: descriptions, and their arrays by `id.name`.
KeyframeState = tuple[list[dict[str, Any]], dict[str, Tensor]]

# Keyframes that count as the newest; they always stay on the device.
NEWEST = 4
# Once in so many calls, a keyframe on the device gives way to one that is not.
STAGE_CALLS = 4


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
        self._records: dict[KeyframeId, KeyframeRecord] = {}
        self._device = DevicePools(options.store_device_mb * 2**20, NEWEST + 2, self.device)
        self._cold = ColdStorage(options.store_host_mb * 2**20)
        self._calls = 0
        self._staging = random.Random(options.seed)
        self._arrived = 0
        self._replay = Replay(options, self.device)
        self._tables: SlotTables | None = None

    def configure(self, options: TrainingOptions) -> None:
        """Takes over the shares of the replay; budgets stay."""
        self._options = options
        self._replay.configure(options)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._records

    @property
    def ids(self) -> list[KeyframeId]:
        """Names of all keyframes, oldest first."""
        return list(self._records)

    @property
    def ids_without_depth(self) -> list[KeyframeId]:
        """Names of the keyframes without any measured depth, oldest first."""
        return [id_ for id_, record in self._records.items() if not record.has_depth]

    @property
    def on_device(self) -> int:
        """Number of keyframes on the training device."""
        return len(self._device)

    @property
    def device_ids(self) -> list[KeyframeId]:
        """Names of the keyframes on the training device, by slot."""
        return self._device.ids

    @property
    def device_bytes(self) -> int:
        """Memory that keyframes take on the training device."""
        return self._device.bytes

    def add(
        self, keyframe: Keyframe, pyramid: FeaturePyramid, dense: FeatureMap | None = None
    ) -> None:
        """Takes in a keyframe.

        Raises:
            ValueError: The id is known already, or features are missing, of another size or not
                finite.
            OSError: An older keyframe had to go to disk, and the disk is full.
        """
        if keyframe.id in self._records:
            raise ValueError(f'keyframe: id {keyframe.id} is in the store already')
        check_features(keyframe, pyramid, dense, self._embedding_size, self._dense_size)
        keyframe, pyramid = as_held(keyframe, pyramid, self._options.store_width)
        other = next(iter(self._records.values()), None)
        if other is not None and len(other.levels) != len(pyramid.levels):
            count, found = len(other.levels), len(pyramid.levels)
            raise ValueError(f'pyramid: expected {count} levels as before, got {found}')
        arrays = arrays_of(keyframe, pyramid, dense)
        self._hold(KeyframeRecord.of(keyframe, pyramid, dense, self._arrived), arrays)

    def keyframe(self, id_: KeyframeId) -> Keyframe:
        """Returns a keyframe with its pose as it stands.

        Depth comes back rounded to one part in 2000.

        Raises:
            KeyError: There is no such keyframe.
        """
        return Keyframe(id_, self._records[id_].frame(self._arrays(id_)))

    def stamps(self) -> dict[KeyframeId, int]:
        """Returns the stamps of all keyframes, nanoseconds."""
        return {id_: record.stamp_ns for id_, record in self._records.items()}

    def pose(self, id_: KeyframeId) -> Float[np.ndarray, '4 4']:
        """Returns the pose of a keyframe as it stands.

        Raises:
            KeyError: There is no such keyframe.
        """
        return self._records[id_].camera_to_world.copy()

    def embeddings(self, id_: KeyframeId) -> Float[Tensor, 'tiles d']:
        """Returns the language embeddings of a keyframe's tiles.

        Raises:
            KeyError: There is no such keyframe.
        """
        return self._arrays(id_)['embedding'].to(self.device).float()

    def update_poses(
        self, ids: Sequence[KeyframeId], camera_to_world: Float[np.ndarray, 'n 4 4']
    ) -> None:
        """Moves keyframes, after a loop closure; takes effect on the next rays.

        Raises:
            ValueError: A pose is no rigid transform, the numbers differ, or an id is unknown.
        """
        if len(ids) != len(camera_to_world):
            raise ValueError(
                f'update_poses: expected one pose an id, got {len(ids)} and {len(camera_to_world)}'
            )
        unknown = [str(id_) for id_ in ids if id_ not in self._records]
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
            generator: Source of randomness, on the device of the store.
            language_rays: How many of them, from the first on, carry language; None for all.

        Raises:
            ValueError: The store is empty.
        """
        if not self._records:
            raise ValueError('store: expected at least one keyframe, got none')
        self._calls += 1
        self._stage(repeatable=generator is not None)
        tables = self.tables
        chances = self._replay.chances(tables.newest)
        return draw_rays(tables, self._device.pools, chances, count, generator, language_rays)

    def slots_of(self, ids: Sequence[KeyframeId]) -> Int[Tensor, ' m']:
        """Returns the place of keyframes on the device, -1 for those that are not there."""
        slots = {id_: slot for slot, id_ in enumerate(self._device.ids)}
        return torch.tensor([slots.get(id_, -1) for id_ in ids], dtype=torch.long)

    def point_targets(
        self,
        positions_world: Float[Tensor, 'n 3'],
        slots: Int[Tensor, 'n v'],
        generator: torch.Generator | None = None,
    ) -> PointTargets:
        """Returns what keyframes say of points, each at a scale of its own.

        Args:
            positions_world: The points, on the device.
            slots: For each the places of keyframes that saw it, -1 for none.
            generator: Source of randomness, on the device.
        """
        tables = self.tables
        pools = self._device.pools
        if self.device.type == 'cpu' and not self._dense_size and is_available('point_targets'):
            own = [pool.table('embedding') for pool in pools]
            return native_point_targets(own, tables, positions_world, slots, generator)
        views = PointViews.of(tables, positions_world, slots)
        dense = self.rows_of('dense') if self._dense_size else None
        return point_targets(self.rows_of('embedding'), dense, tables, views, generator)

    def rows_of(self, name: str) -> ReadRows:
        """Returns what reads rows of arrays of this name, each in the pool of its slot."""
        tables = self.tables

        def read(slots: Int[Tensor, '*n'], rows: Int[Tensor, '*n']) -> Float[Tensor, '*n d']:
            flat, numbers = rows.reshape(-1), tables.pool[slots.reshape(-1)]
            values = gather(self._device.pools, numbers, lambda pool: pool.at(name, flat))
            return values.reshape(*rows.shape, values.shape[-1])

        return read

    def point_sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Returns (m, 3) world points at measured depths of random pixels, at most ``count``."""
        batch = self.sample_rays(count, generator, language_rays=0)
        depth_m = batch.rays.depth_guide_m
        points = batch.rays.origins_world + batch.rays.directions_world * depth_m[:, None]
        return points[torch.isfinite(depth_m)]

    def state(self, most: int | None = None) -> KeyframeState:
        """Returns what a map file keeps: the keyframes on the device, and their arrays.

        Those that rest in host memory or on disk are left out, so that a file stays bounded.

        Args:
            most: Most keyframes, evenly over their order, the last one among them; None for all.
        """
        ids = sorted(self._device.ids, key=lambda id_: self._records[id_].order)
        if most is not None and most < len(ids):
            rows = np.unique(np.linspace(0, len(ids) - 1, most).round().astype(int))
            ids = [ids[row] for row in rows]
        arrays = {
            f'{id_}.{name}': values.clone()
            for id_ in ids
            for name, values in self._arrays(id_).items()
        }
        return [self._records[id_].to_json() for id_ in ids], arrays

    def load_state(self, described: list[dict[str, Any]], arrays: dict[str, Tensor]) -> None:
        """Takes in keyframes of a file, as old as they are; those that are known stay as they are.

        Raises:
            ValueError: Arrays are missing or of another size.
            OSError: Another keyframe had to go to disk, and the disk is full.
        """
        for numbers in described:
            record = KeyframeRecord.from_json(numbers)
            if record.id in self._records:
                continue
            self._hold(record, record.arrays_among(arrays))
        self._records = dict(sorted(self._records.items(), key=lambda each: each[1].order))
        self._tables = None

    def close(self) -> None:
        """Removes what lies on disk."""
        self._cold.close()

    def report_errors(self, slots: Int[Tensor, ' n'], errors: Float[Tensor, ' n']) -> None:
        """Tells how badly each ray's colour was explained, for replay."""
        self._replay.report(slots, errors)

    def _newest(self) -> set[KeyframeId]:
        return set(list(self._records)[-NEWEST:])

    # ---- places on the device

    def _arrays(self, id_: KeyframeId) -> Arrays:
        """Returns the arrays of a keyframe, wherever they are."""
        return self._device.read(id_) if id_ in self._device else self._cold.get(id_)

    def _hold(self, record: KeyframeRecord, arrays: Arrays) -> None:
        """Takes in a keyframe, or leaves no trace of it."""
        self._records[record.id] = record
        try:
            self._place(record.id, arrays)
        except BaseException:
            del self._records[record.id]
            raise
        self._arrived = max(self._arrived, record.order + 1)

    def _place(self, id_: KeyframeId, arrays: Arrays) -> None:
        """Puts a keyframe onto the device; others may go cold for it."""
        self._device.put(id_, arrays, self._newest(), self._cool)
        self._replay.append()
        self._tables = None

    def _cool(self, id_: KeyframeId) -> None:
        """Takes a keyframe from the device."""
        self._cold.put(id_, self._device.read(id_))
        self._replay.remove(self._device.remove(id_))
        self._tables = None

    def _stage(self, repeatable: bool) -> None:
        """Brings a keyframe that is not on the device there, now and then."""
        if len(self._device) == len(self._records) or self._calls % STAGE_CALLS:
            return
        taken = self._cold.take(wait=repeatable)
        if taken is not None and taken[0] not in self._device:
            self._place(*taken)
        cold = [id_ for id_ in self._records if id_ not in self._device]
        if cold:
            # A draw of its own on the host: one on a GPU would have to be waited for.
            self._cold.read_ahead(self._staging.choice(cold))

    @property
    def tables(self) -> SlotTables:
        """Cameras, poses and features of the keyframes on the device, by slot."""
        if self._tables is None:
            newest = self._newest()
            self._tables = SlotTables.of(
                [self._records[id_] for id_ in self._device.ids],
                [id_ in newest for id_ in self._device.ids],
                self._device.places(),
                self._device.pools,
                self.device,
            )
        return self._tables
