"""Random rays of the keyframes on the device, with what was measured along them."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.keyframes.device_pools import gather
from lerf_ros.keyframes.lookup import lookup_grid, lookup_pyramid
from lerf_ros.keyframes.rays import RayBatch
from lerf_ros.keyframes.size_pool import SizePool
from lerf_ros.keyframes.slot_tables import SlotTables


def draw_rays(
    tables: SlotTables,
    pools: list[SizePool],
    chances: Float[Tensor, ' slots'],
    count: int,
    generator: torch.Generator | None,
    language_rays: int | None,
) -> RayBatch:
    """Draws rays.

    Args:
        tables: Cameras, poses and grids by slot.
        pools: Pixels and features.
        chances: How likely each slot is to be drawn.
        count: Number of rays.
        generator: Source of randomness, on the device of the tables.
        language_rays: How many of them, from the first on, carry language; None for all.
    """
    slots = torch.multinomial(chances, count, replacement=True, generator=generator)
    draws = torch.rand(count, 2, generator=generator, device=chances.device)
    columns, rows = (draws * tables.size[slots]).floor().long().unbind(dim=-1)
    width, numbers = tables.width[slots], tables.pool[slots]
    pixels = rows * width + columns
    if any(pool.masked for pool in pools):
        pixels = _visible(pixels, tables.pixel_first[slots], pools, numbers)
        columns, rows = pixels % width, pixels // width
    index = tables.pixel_first[slots] + pixels
    rgb, depth = (
        gather(pools, numbers, lambda pool, name=name: pool.at(name, index))
        for name in ('colour', 'depth')
    )
    rgb, depth_m = rgb.float() / 255, depth[:, 0].float()
    uv = torch.stack([columns, rows], dim=-1) + 0.5
    rays = tables.rays(slots, uv, depth_m)
    count = count if language_rays is None else min(language_rays, count)
    slots_, uv_ = slots[:count], uv[:count]
    sizes = tables.tiles.tile_px[slots_]
    share = torch.rand(count, generator=generator, device=chances.device)
    # Tile sizes are drawn evenly over octaves, as the head reads scales.
    tile_px = sizes[:, 0] * (sizes[:, -1] / sizes[:, 0]) ** share
    embedding = gather(
        pools,
        numbers[:count],
        lambda pool: lookup_pyramid(
            partial(pool.at, 'embedding'), tables.tiles, slots_, uv_, tile_px
        ),
    )
    dense = None
    if (grids := tables.dense) is not None:
        level = torch.zeros_like(slots_)
        dense = gather(
            pools,
            numbers[:count],
            lambda pool: lookup_grid(partial(pool.at, 'dense'), grids, slots_, level, uv_),
        )
    scale_per_depth = tile_px / tables.focal[slots_, 1]
    return RayBatch(rays, rgb, slots, uv, embedding, scale_per_depth, dense)


def _visible(
    pixels: Int[Tensor, ' n'], first: Int[Tensor, ' n'], pools: list[SizePool], numbers: Tensor
) -> Int[Tensor, ' n']:
    """Returns a visible pixel for each drawn one; the same where nothing is hidden."""

    def read(pool: SizePool) -> Tensor:
        if not pool.masked:
            return pixels[:, None]
        return pool.at('visible', first + pixels).long()

    return gather(pools, numbers, read)[:, 0]
