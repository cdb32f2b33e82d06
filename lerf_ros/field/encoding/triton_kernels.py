"""The hash grid in Triton, for CUDA without tiny-cuda-nn: nothing to compile at install.

One program handles a block of points on one level. The backward pass of the table adds with
atomics, so its sums differ in the last bits from run to run.
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from lerf_ros.field.encoding.layout import GridLayout

_BLOCK = 256


@triton.jit
def _cell(positions, points, scale, offsets, mask):
    """Returns corner and fraction of each point along the three axes."""
    x = tl.load(positions + 3 * offsets, mask=mask, other=0.0) * scale + 0.5
    y = tl.load(positions + 3 * offsets + 1, mask=mask, other=0.0) * scale + 0.5
    z = tl.load(positions + 3 * offsets + 2, mask=mask, other=0.0) * scale + 0.5
    # Outside the unit cube a face is taken: never memory that is not ours.
    x = tl.minimum(tl.maximum(x, 0.5), scale + 0.5)
    y = tl.minimum(tl.maximum(y, 0.5), scale + 0.5)
    z = tl.minimum(tl.maximum(z, 0.5), scale + 0.5)
    ix, iy, iz = x.to(tl.int32), y.to(tl.int32), z.to(tl.int32)
    return ix, iy, iz, x - ix, y - iy, z - iz


@triton.jit
def _corner(ix, iy, iz, fx, fy, fz, resolution, size, hashed, c: tl.constexpr):
    """Returns the entry and weight of corner ``c``."""
    dx: tl.constexpr = c & 1
    dy: tl.constexpr = (c >> 1) & 1
    dz: tl.constexpr = (c >> 2) & 1
    cx, cy, cz = (ix + dx).to(tl.uint32), (iy + dy).to(tl.uint32), (iz + dz).to(tl.uint32)
    hashes = (cx ^ (cy * 2654435761) ^ (cz * 805459861)) & (size - 1).to(tl.uint32)
    dense = (cx + cy * resolution + cz * resolution * resolution).to(tl.uint32) % size.to(
        tl.uint32
    )
    entry = tl.where(hashed != 0, hashes, dense).to(tl.int64)
    wx = fx if dx else 1.0 - fx
    wy = fy if dy else 1.0 - fy
    wz = fz if dz else 1.0 - fz
    return entry, wx * wy * wz


@triton.jit
def _forward(
    positions, table, scales, numbers, out, points, levels, F: tl.constexpr, BLOCK: tl.constexpr
):
    level = tl.program_id(1)
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < points
    scale = tl.load(scales + level)
    resolution = tl.load(numbers + 4 * level)
    first = tl.load(numbers + 4 * level + 1).to(tl.int64)
    size = tl.load(numbers + 4 * level + 2)
    hashed = tl.load(numbers + 4 * level + 3)
    ix, iy, iz, fx, fy, fz = _cell(positions, points, scale, offsets, mask)
    features = tl.arange(0, F)
    total = tl.zeros([BLOCK, F], dtype=tl.float32)
    for c in tl.static_range(8):
        entry, weight = _corner(ix, iy, iz, fx, fy, fz, resolution, size, hashed, c)
        values = tl.load(table + (first + entry)[:, None] * F + features[None, :])
        total += weight[:, None] * values
    target = out + (offsets.to(tl.int64)[:, None] * levels + level) * F + features[None, :]
    tl.store(target, total, mask=mask[:, None])


@triton.jit
def _backward(
    positions, grad_out, scales, numbers, grad, points, levels, F: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    level = tl.program_id(1)
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < points
    scale = tl.load(scales + level)
    resolution = tl.load(numbers + 4 * level)
    first = tl.load(numbers + 4 * level + 1).to(tl.int64)
    size = tl.load(numbers + 4 * level + 2)
    hashed = tl.load(numbers + 4 * level + 3)
    ix, iy, iz, fx, fy, fz = _cell(positions, points, scale, offsets, mask)
    features = tl.arange(0, F)
    source = grad_out + (offsets.to(tl.int64)[:, None] * levels + level) * F + features[None, :]
    gradient = tl.load(source, mask=mask[:, None], other=0.0)
    for c in tl.static_range(8):
        entry, weight = _corner(ix, iy, iz, fx, fy, fz, resolution, size, hashed, c)
        target = grad + (first + entry)[:, None] * F + features[None, :]
        tl.atomic_add(target, weight[:, None] * gradient, mask=mask[:, None])


@functools.lru_cache(maxsize=64)
def _levels(layout: GridLayout, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns scales, and (resolution, first entry, size, whether hashed) of each level."""
    rows = []
    for level, resolution in enumerate(layout.resolutions):
        first, last = layout.firsts[level], layout.firsts[level + 1]
        rows.append((resolution, first, last - first, int(resolution**3 > last - first)))
    return (
        torch.tensor(layout.scales, device=device),
        torch.tensor(rows, dtype=torch.int32, device=device),
    )


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, positions, table, layout):
        positions = positions.detach().float().contiguous()
        scales, numbers = _levels(layout, positions.device)
        out = positions.new_empty(len(positions), layout.width)
        if len(positions):
            _forward[(triton.cdiv(len(positions), _BLOCK), layout.levels)](
                positions, table.detach().float().contiguous(), scales, numbers, out,
                len(positions), layout.levels, F=layout.features, BLOCK=_BLOCK,
            )  # fmt: skip
        ctx.save_for_backward(positions)
        ctx.layout = layout
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (positions,) = ctx.saved_tensors
        layout: GridLayout = ctx.layout
        scales, numbers = _levels(layout, positions.device)
        grad = grad_out.new_zeros(layout.entries, layout.features, dtype=torch.float32)
        if len(positions):
            _backward[(triton.cdiv(len(positions), _BLOCK), layout.levels)](
                positions, grad_out.float().contiguous(), scales, numbers, grad,
                len(positions), layout.levels, F=layout.features, BLOCK=_BLOCK,
            )  # fmt: skip
        return None, grad, None


def encode(
    positions: Float[Tensor, 'n 3'], table: Float[Tensor, 'entries features'], layout: GridLayout
) -> Float[Tensor, 'n width']:
    """Returns the interpolated features of each position; positions get no gradient."""
    return _Encode.apply(positions, table, layout)
