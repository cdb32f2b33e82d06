"""What keyframes say of points in the world: the mean of one tile of each.

A tile is drawn with the weights that interpolation would give it, so that a target costs a row of
the table a view where interpolating costs eight; over many draws both are the same. A scale is the
height of a crop in metres, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.keyframes.lookup import Grids, lookup_grid
from lerf_ros.keyframes.slot_tables import SlotTables

# Reads what the keyframes in these slots hold in these rows.
ReadRows = Callable[[Int[Tensor, '*n'], Int[Tensor, '*n']], Float[Tensor, '*n d']]

# A tile of about the wanted size still shows it; one of another size shows something else.
SMALLEST, LARGEST = 0.8, 1.25


@dataclass(frozen=True, eq=False)
class PointViews:
    """Points as keyframes see them.

    Attributes:
        slots: Slot of each keyframe; 0 where there is none.
        uv: Where the point is in its picture, pixels.
        px_per_m: Pixels of a metre at the point.
        seen: Whether there is a keyframe, and the point lies in its picture.
    """

    slots: Int[Tensor, 'n v']
    uv: Float[Tensor, 'n v 2']
    px_per_m: Float[Tensor, 'n v']
    seen: Bool[Tensor, 'n v']

    @classmethod
    def of(
        cls,
        tables: SlotTables,
        positions_world: Float[Tensor, 'n 3'],
        slots: Int[Tensor, 'n v'],
    ) -> PointViews:
        """Projects points into keyframes.

        Args:
            tables: Cameras and poses.
            positions_world: The points.
            slots: Slots of keyframes for each, -1 for none.
        """
        known, slots = slots >= 0, slots.clamp(min=0)
        pose = tables.poses[slots]
        offset = positions_world[:, None] - pose[..., 3]
        local = (offset[..., None] * pose[..., :3]).sum(dim=-2)
        depth_m = local[..., 2]
        ahead = depth_m > 0
        depth_m = torch.where(ahead, depth_m, 1.0)
        focal = tables.focal[slots]
        uv = local[..., :2] / depth_m[..., None] * focal + tables.centre[slots]
        inside = ((uv >= 0) & (uv < tables.size[slots])).all(dim=-1)
        return cls(slots, uv, focal[..., 1] / depth_m, known & ahead & inside)


@dataclass(frozen=True, eq=False)
class PointTargets:
    """What the language field should say at points.

    Attributes:
        embedding: Unit embedding of each point at its scale.
        scale_m: Scales.
        valid: Which points any keyframe shows at their scale.
        dense: Dense features of the points, None without any.
        seen: Which points any keyframe shows at all.
    """

    embedding: Float[Tensor, 'n d']
    scale_m: Float[Tensor, ' n']
    valid: Bool[Tensor, ' n']
    dense: Float[Tensor, 'n c'] | None
    seen: Bool[Tensor, ' n']


def drawn_views(
    seen_by: Int[Tensor, 'm c'],
    slots: Int[Tensor, ' r'],
    chosen: Int[Tensor, ' n'],
    order: Float[Tensor, 'n c'],
    count: int,
) -> Int[Tensor, 'n v']:
    """Returns slots of some keyframes that saw each chosen point, -1 for none.

    Args:
        seen_by: Rows of cameras that saw each point of the surface, -1 for none.
        slots: Slot of the keyframe of each row of cameras, -1 for none; a last -1 is nobody's.
        chosen: The points.
        order: Random numbers in [0, 1): who saw a point and has the greatest is taken first.
        count: Most keyframes of a point.
    """
    seeing = slots[seen_by[chosen].long()]  # row -1, nobody, is the last one
    _, picked = order.masked_fill(seeing < 0, -1).topk(min(count, seeing.shape[1]), dim=1)
    return seeing.gather(1, picked)


def point_targets(
    embeddings: ReadRows,
    dense: ReadRows | None,
    tables: SlotTables,
    views: PointViews,
    generator: torch.Generator | None,
) -> PointTargets:
    """Draws a scale for each point, and what its keyframes say of it.

    Args:
        embeddings: Reads embeddings of tiles.
        dense: Reads dense features of cells, None without any.
        tables: Where they lie.
        views: The points as keyframes see them.
        generator: Source of randomness, on the device of the tables.
    """
    shape, device = views.slots.shape, views.slots.device
    share = torch.rand(shape[0], generator=generator, device=device)
    scale_m = draw_scales(tables, views, share)
    draws = torch.rand(*shape, 3, generator=generator, device=device)
    means, valid = drawn_means(embeddings, tables, views, scale_m, draws)
    said = None
    if dense is not None and tables.dense is not None:
        level = torch.zeros_like(views.slots)
        rows = _drawn_cells(tables.dense, views.slots, level, views.uv, draws[..., 1:])
        said = _mean_of(dense(views.slots, rows), views.seen)
    return PointTargets(F.normalize(means, dim=-1), scale_m, valid, said, views.seen.any(dim=1))


def draw_scales(
    tables: SlotTables, views: PointViews, share: Float[Tensor, ' n']
) -> Float[Tensor, ' n']:
    """Returns a scale for each point among those that its first view shows.

    Args:
        tables: Pyramids.
        views: The points as keyframes see them.
        share: Where between the smallest and the largest tile, in octaves; in [0, 1].
    """
    first = views.seen.int().argmax(dim=1, keepdim=True)
    sizes = tables.tiles.tile_px[views.slots.gather(1, first)[:, 0]]
    tile_px = sizes[:, 0] * (sizes[:, -1] / sizes[:, 0]) ** share
    return tile_px / views.px_per_m.gather(1, first)[:, 0]


def drawn_means(
    embeddings: ReadRows,
    tables: SlotTables,
    views: PointViews,
    scale_m: Float[Tensor, ' n'],
    draws: Float[Tensor, 'n v 3'],
) -> tuple[Float[Tensor, 'n d'], Bool[Tensor, ' n']]:
    """Returns the mean over the views of one tile of each, and which points have any.

    Args:
        embeddings: Reads embeddings of tiles.
        tables: Pyramids.
        views: The points as keyframes see them.
        scale_m: Scale of each point.
        draws: Even in [0, 1): which level, column and row are taken.
    """
    tile_px = scale_m[:, None] * views.px_per_m
    shown = views.seen & shows(tables.tiles, views.slots, tile_px)
    level = _drawn_level(tables.tiles, views.slots, tile_px, draws[..., 0])
    rows = _drawn_cells(tables.tiles, views.slots, level, views.uv, draws[..., 1:])
    return _mean_of(embeddings(views.slots, rows), shown), shown.any(dim=1)


def means_twin(
    table: Tensor, tables: SlotTables, views: PointViews, scale_m: Float[Tensor, ' n']
) -> tuple[Float[Tensor, 'n d'], Bool[Tensor, ' n']]:
    """Returns the mean over the views of all tiles around: what :func:`drawn_means` tends to."""
    means = torch.zeros(len(scale_m), table.shape[1])
    valid = torch.zeros(len(scale_m), dtype=torch.bool)
    for point, scale in enumerate(scale_m.tolist()):
        found = []
        for view in views.seen[point].nonzero()[:, 0].tolist():
            slot = views.slots[point, view : view + 1]
            uv = views.uv[point, view : view + 1]
            tile_px = scale * float(views.px_per_m[point, view])
            sizes = tables.tiles.tile_px[slot[0]].tolist()
            if not SMALLEST * sizes[0] <= tile_px <= LARGEST * sizes[-1]:
                continue
            tile_px = min(max(tile_px, sizes[0]), sizes[-1])
            upper = next(level for level, size in enumerate(sizes) if size >= tile_px)
            lower = max(upper - 1, 0)
            gap = sizes[upper] - sizes[lower]
            blend = (tile_px - sizes[lower]) / gap if gap > 0 else 0.0
            fine, coarse = (
                lookup_grid(table.__getitem__, tables.tiles, slot, torch.tensor([level]), uv)[0]
                for level in (lower, upper)
            )
            found.append((1 - blend) * fine + blend * coarse)
        if found:
            means[point] = torch.stack(found).mean(dim=0)
            valid[point] = True
    return means, valid


def shows(
    grids: Grids, slots: Int[Tensor, 'n v'], tile_px: Float[Tensor, 'n v']
) -> Bool[Tensor, 'n v']:
    """Tells where a keyframe has tiles of about this size."""
    sizes = grids.tile_px[slots]
    return (tile_px >= SMALLEST * sizes[..., 0]) & (tile_px <= LARGEST * sizes[..., -1])


def _drawn_level(
    grids: Grids,
    slots: Int[Tensor, 'n v'],
    tile_px: Float[Tensor, 'n v'],
    draws: Float[Tensor, 'n v'],
) -> Int[Tensor, 'n v']:
    """Returns one of the two levels around a tile size, drawn with its weight."""
    sizes = grids.tile_px[slots]
    clamped = torch.minimum(torch.maximum(tile_px, sizes[..., 0]), sizes[..., -1])[..., None]
    upper = torch.searchsorted(sizes, clamped).clamp(max=sizes.shape[-1] - 1)
    lower = (upper - 1).clamp(min=0)
    low_px, high_px = sizes.gather(-1, lower), sizes.gather(-1, upper)
    blend = (clamped - low_px) / (high_px - low_px).clamp(min=1e-6)
    return torch.where(draws[..., None] < blend, upper, lower)[..., 0]


def _drawn_cells(
    grids: Grids,
    slots: Int[Tensor, 'n v'],
    level: Int[Tensor, 'n v'],
    uv: Float[Tensor, 'n v 2'],
    draws: Float[Tensor, 'n v 2'],
) -> Int[Tensor, 'n v']:
    """Returns the row of one of the four cells around a pixel, drawn with its weight."""
    cells = (uv - grids.origin_uv[slots, level]) / grids.stride_uv[slots, level]
    # Rounding up with the chance of what is behind the point is linear interpolation on average.
    col, row = (cells.clamp(min=0) + draws).long().unbind(dim=-1)
    rows, cols = grids.rows[slots, level], grids.cols[slots, level]
    col, row = torch.minimum(col, cols - 1), torch.minimum(row, rows - 1)
    return grids.first[slots, level] + row * cols + col


def _mean_of(values: Float[Tensor, 'n v d'], shown: Bool[Tensor, 'n v']) -> Float[Tensor, 'n d']:
    weights = shown.float()
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.bmm(weights[:, None], values.float())[:, 0]
