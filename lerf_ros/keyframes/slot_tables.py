"""Cameras, poses and feature grids of the keyframes on the device, as tensors by slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.field.sampling import RayBundle
from lerf_ros.geometry import rounded_pose
from lerf_ros.keyframes.lookup import Grids
from lerf_ros.keyframes.record import KeyframeRecord
from lerf_ros.keyframes.size_pool import SizePool


@dataclass(frozen=True, eq=False)
class SlotTables:
    """What rays need to know of each slot.

    Attributes:
        size: Image width and height.
        width: Image width, whole number.
        focal: Focal lengths, pixels.
        centre: Principal point, pixels.
        pool: Number of the pool that holds the keyframe.
        pixel_first: First row of its pixels in that pool.
        poses: The upper rows of ``camera_to_world``.
        newest: Which slots hold the newest keyframes.
        tiles: Pyramids.
        dense: Dense features, None without.
    """

    size: Float[Tensor, 'slots 2']
    width: Int[Tensor, ' slots']
    focal: Float[Tensor, 'slots 2']
    centre: Float[Tensor, 'slots 2']
    pool: Int[Tensor, ' slots']
    pixel_first: Int[Tensor, ' slots']
    poses: Float[Tensor, 'slots 3 4']
    newest: Bool[Tensor, ' slots']
    tiles: Grids
    dense: Grids | None

    @classmethod
    def of(
        cls,
        records: Sequence[KeyframeRecord],
        newest: Sequence[bool],
        places: Sequence[tuple[int, int]],
        pools: Sequence[SizePool],
        device: torch.device,
    ) -> SlotTables:
        """Gathers the tables.

        Args:
            records: The keyframe of each slot.
            newest: Whether it is one of the newest.
            places: Number of the pool, and place in it, of each slot.
            pools: The pools.
            device: Where the tables are needed.
        """
        cameras = [record.camera for record in records]

        def table(rows, dtype=torch.float32) -> Tensor:
            return torch.tensor(rows, dtype=dtype, device=device)

        levels = torch.tensor([record.levels for record in records], dtype=torch.float64)

        def first_rows(name: str) -> list[int]:
            return [place * pools[number].rows[name] for number, place in places]

        levels[..., 0] += torch.tensor(first_rows('embedding'))[:, None]
        dense = None
        if 'dense' in pools[0].rows:
            firsts = zip(records, first_rows('dense'), strict=True)
            grids = [[_dense_grid(record, first)] for record, first in firsts]
            dense = Grids.from_rows(table(grids, torch.float64))
        return cls(
            size=table([(c.width, c.height) for c in cameras]),
            width=table([c.width for c in cameras], torch.long),
            focal=table([(c.fx, c.fy) for c in cameras]),
            centre=table([(c.cx, c.cy) for c in cameras]),
            pool=table([number for number, _ in places], torch.long),
            pixel_first=table(first_rows('colour'), torch.long),
            poses=table(np.stack([rounded_pose(r.camera_to_world)[:3] for r in records])),
            newest=table(newest, torch.bool),
            tiles=Grids.from_rows(levels.to(device)),
            dense=dense,
        )

    def rays(
        self,
        slots: Int[Tensor, ' n'],
        uv: Float[Tensor, 'n 2'],
        depth_m: Float[Tensor, ' n'],
    ) -> RayBundle:
        """Returns the rays through pixels."""
        camera = (uv - self.centre[slots]) / self.focal[slots]
        pose = self.poses[slots]
        directions = torch.baddbmm(pose[:, :, 2:3], pose[:, :, :2], camera[..., None])[..., 0]
        return RayBundle(pose[:, :, 3], directions, depth_m)


def _dense_grid(record: KeyframeRecord, first: int) -> tuple[float, ...]:
    """Returns the grid of dense features, whose cells tile the image evenly."""
    assert record.dense_grid is not None
    rows, cols = record.dense_grid
    cell = record.camera.width / cols, record.camera.height / rows
    return (first, rows, cols, cell[0] / 2, cell[1] / 2, *cell, 0.0)
