"""The hash grid in plain torch: the readable twin of every fast backend."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding

from lerf_ros.field.encoding.layout import GridLayout

# Müller et al. 2022, Instant Neural Graphics Primitives, equation 4.
_PRIMES = (1, 2654435761, 805459861)


def encode(
    positions: Float[Tensor, 'n 3'], table: Float[Tensor, 'entries features'], layout: GridLayout
) -> Float[Tensor, 'n width']:
    """Returns the interpolated features of each position, level after level.

    Args:
        positions: Positions in [0, 1]^3.
        table: Entries of all levels.
        layout: Levels of the grid.
    """
    levels = []
    for level in range(layout.levels):
        indices, weights = cell_corners(positions, layout, level)
        levels.append((embedding(indices, table) * weights[..., None]).sum(dim=1))
    return torch.cat(levels, dim=-1)


def cell_corners(
    positions: Float[Tensor, 'n 3'], layout: GridLayout, level: int
) -> tuple[Int[Tensor, 'n 8'], Float[Tensor, 'n 8']]:
    """Returns the table entries and weights of the eight corners around each position."""
    first, resolution = layout.firsts[level], layout.resolutions[level]
    size = layout.firsts[level + 1] - first
    scaled = positions * layout.scales[level] + 0.5
    low = scaled.detach().floor()
    fraction = scaled - low
    bits = torch.arange(8, device=positions.device)
    offsets = torch.stack([bits & 1, bits >> 1 & 1, bits >> 2 & 1], dim=-1)  # (8, 3)
    corners = low.long()[:, None] + offsets
    weights = torch.where(offsets.bool(), fraction[:, None], 1 - fraction[:, None]).prod(dim=-1)
    if resolution**3 > size:
        keys = [corners[..., axis] * prime for axis, prime in enumerate(_PRIMES)]
        indices = (keys[0] ^ keys[1] ^ keys[2]) & 0xFFFFFFFF
    else:
        u, v, w = corners.unbind(dim=-1)
        indices = u + v * resolution + w * resolution**2
    return indices % size + first, weights
