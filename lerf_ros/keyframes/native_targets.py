"""Targets of points in C++: the fast twin of :mod:`lerf_ros.keyframes.point_targets` on the CPU.

In torch a target is some forty operators on small tensors, and most of their time is spent between
them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float16, Int, Int32
from torch import Tensor

from lerf_ros.field.native import load_library, pointer
from lerf_ros.field.threads import native_threads
from lerf_ros.keyframes.point_targets import LARGEST, SMALLEST, PointTargets
from lerf_ros.keyframes.slot_tables import SlotTables


def native_point_targets(
    embeddings: Sequence[Float16[Tensor, '_ d']],
    tables: SlotTables,
    positions_world: Float[Tensor, 'n 3'],
    slots: Int[Tensor, 'n v'],
    generator: torch.Generator | None,
) -> PointTargets:
    """Draws a scale for each point, and what its keyframes say of it; without dense features.

    Args:
        embeddings: The tables of tiles by number of pool, on the CPU.
        tables: Where tiles lie, cameras and poses.
        positions_world: The points.
        slots: For each the slots of keyframes that saw it, -1 for none.
        generator: Source of randomness.
    """
    count, views = slots.shape
    share = torch.rand(count, generator=generator)
    draws = torch.rand(count, views, 3, generator=generator)
    width = embeddings[0].shape[1]
    embedding, scale_m = torch.empty(count, width), torch.empty(count)
    valid, seen = (torch.empty(count, dtype=torch.bool) for _ in range(2))
    tiles = tables.tiles
    # Kept until the call is over: a copy that nobody holds would be gone.
    inputs = [
        tensor.contiguous()
        for tensor in (
            *(tables.poses, tables.focal, tables.centre, tables.size, tables.pool),
            *(tiles.first, tiles.rows, tiles.cols),
            *(tiles.origin_uv, tiles.stride_uv, tiles.tile_px),
        )
    ]
    positions, own_slots = positions_world.contiguous(), slots.contiguous()
    pools = (ctypes.c_void_p * len(embeddings))(*(table.data_ptr() for table in embeddings))
    load_library('point_targets').lerf_point_targets(
        pointer(positions),
        pointer(own_slots),
        ctypes.c_int64(count),
        ctypes.c_int(views),
        *map(pointer, (share, draws, *inputs)),
        ctypes.c_int(tiles.tile_px.shape[1]),
        pools,
        ctypes.c_int(width),
        ctypes.c_float(SMALLEST),
        ctypes.c_float(LARGEST),
        *map(pointer, (embedding, scale_m, valid, seen)),
        ctypes.c_int(native_threads()),
    )
    return PointTargets(embedding, scale_m, valid, None, seen)


def native_drawn_views(
    seen_by: Int32[Tensor, 'm c'],
    slots: Int[Tensor, ' r'],
    chosen: Int[Tensor, ' n'],
    order: Float[Tensor, 'n c'],
    count: int,
) -> Int[Tensor, 'n v']:
    """Returns what :func:`lerf_ros.keyframes.point_targets.drawn_views` does, on the CPU."""
    views = torch.empty(len(chosen), min(count, seen_by.shape[1]), dtype=torch.long)
    inputs = [tensor.contiguous() for tensor in (chosen, seen_by, slots, order)]
    load_library('point_targets').lerf_drawn_views(
        pointer(inputs[0]),
        ctypes.c_int64(len(chosen)),
        pointer(inputs[1]),
        ctypes.c_int(seen_by.shape[1]),
        pointer(inputs[2]),
        ctypes.c_int64(len(slots)),
        pointer(inputs[3]),
        ctypes.c_int(views.shape[1]),
        pointer(views),
    )
    return views
