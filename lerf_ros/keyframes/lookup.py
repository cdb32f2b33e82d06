"""Lookup of features of many keyframes at once: the batched form of ``FeaturePyramid.lookup``.

Grids of all keyframes lie in one flat table; a grid is known by its first row in the table, its
rows and columns, the pixel of its first cell's centre and its stride.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# Reads rows of the table.
ReadTable = Callable[[Int[Tensor, ' m']], Tensor]


@dataclass(frozen=True, eq=False)
class Grids:
    """Grids of features in one table, by slot and level.

    Attributes:
        first: First table row of each grid.
        rows: Number of rows of each grid.
        cols: Number of columns of each grid.
        origin_uv: Centre of the first cell, pixels.
        stride_uv: Distance of neighbouring cells, pixels.
        tile_px: Tile size of each grid; rising along the levels.
    """

    first: Int[Tensor, 'slots levels']
    rows: Int[Tensor, 'slots levels']
    cols: Int[Tensor, 'slots levels']
    origin_uv: Float[Tensor, 'slots levels 2']
    stride_uv: Float[Tensor, 'slots levels 2']
    tile_px: Float[Tensor, 'slots levels']

    @classmethod
    def from_rows(cls, numbers: Float[Tensor, 'slots levels 8']) -> Grids:
        """Splits (first, rows, cols, u, v, stride u, stride v, tile) of each grid."""
        whole = numbers[..., :3].long()
        part = numbers[..., 3:].float()
        first, rows, cols = whole.unbind(dim=-1)
        origin_uv, stride_uv, tile_px = part[..., 0:2], part[..., 2:4], part[..., 4].contiguous()
        return cls(first, rows, cols, origin_uv, stride_uv, tile_px)


def lookup_grid(
    read: ReadTable,
    grids: Grids,
    slots: Int[Tensor, ' n'],
    level: Int[Tensor, ' n'],
    uv: Float[Tensor, 'n 2'],
) -> Float[Tensor, 'n d']:
    """Returns the bilinear interpolation among cell centres; beyond them it is constant."""
    rows, cols = grids.rows[slots, level], grids.cols[slots, level]
    first = grids.first[slots, level]
    cells = (uv - grids.origin_uv[slots, level]) / grids.stride_uv[slots, level]
    u = torch.minimum(cells[:, 0].clamp(min=0), (cols - 1).to(cells))
    v = torch.minimum(cells[:, 1].clamp(min=0), (rows - 1).to(cells))
    col, row = u.long(), v.long()
    next_col, next_row = torch.minimum(col + 1, cols - 1), torch.minimum(row + 1, rows - 1)
    right, down = (u - col)[:, None], (v - row)[:, None]
    index = torch.stack(
        [
            row * cols + col,
            row * cols + next_col,
            next_row * cols + col,
            next_row * cols + next_col,
        ]
    )
    values = read((first + index).reshape(-1)).float()
    corner = values.reshape(4, len(uv), values.shape[1])
    top = torch.lerp(corner[0], corner[1], right)
    return torch.lerp(top, torch.lerp(corner[2], corner[3], right), down)


def lookup_pyramid(
    read: ReadTable,
    grids: Grids,
    slots: Int[Tensor, ' n'],
    uv: Float[Tensor, 'n 2'],
    tile_px: Float[Tensor, ' n'],
) -> Float[Tensor, 'n d']:
    """Returns unit embeddings, bilinear among tiles and linear between two levels."""
    sizes = grids.tile_px[slots]
    clamped = torch.minimum(torch.maximum(tile_px, sizes[:, 0]), sizes[:, -1])
    upper = torch.searchsorted(sizes, clamped[:, None])[:, 0].clamp(max=sizes.shape[1] - 1)
    lower = (upper - 1).clamp(min=0)
    low_px, high_px = (sizes.gather(1, level[:, None])[:, 0] for level in (lower, upper))
    blend = ((clamped - low_px) / (high_px - low_px).clamp(min=1e-6)).clamp(0, 1)
    fine = lookup_grid(read, grids, slots, lower, uv)
    coarse = lookup_grid(read, grids, slots, upper, uv)
    return F.normalize(torch.lerp(fine, coarse, blend[:, None]), dim=-1)
