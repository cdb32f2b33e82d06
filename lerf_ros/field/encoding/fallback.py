"""The hash grid in torch's own fast operators, for machines without the native library.

About seven times as fast as the twin on a CPU: a weighted ``embedding_bag`` a level forward, one
``bincount`` a level and feature backward.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding_bag

from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.encoding.twin import cell_corners


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, positions, table, layout):
        levels, saved = [], []
        for level in range(layout.levels):
            indices, weights = cell_corners(positions, layout, level)
            levels.append(
                embedding_bag(indices, table, per_sample_weights=weights.to(table), mode='sum')
            )
            saved += [indices, weights]
        ctx.save_for_backward(*saved)
        ctx.layout = layout
        return torch.cat(levels, dim=-1)

    @staticmethod
    def backward(ctx, grad_out):
        layout: GridLayout = ctx.layout
        grad = grad_out.new_zeros(layout.entries, layout.features)
        for level in range(layout.levels):
            indices, weights = ctx.saved_tensors[2 * level : 2 * level + 2]
            first, last = layout.firsts[level : level + 2]
            if grad.device.type != 'cpu':
                # There a bincount would wait for the device, and adding in place is quick.
                columns = grad_out[:, level * layout.features : (level + 1) * layout.features]
                values = weights[..., None] * columns[:, None]
                grad.index_add_(0, indices.reshape(-1), values.reshape(-1, layout.features))
                continue
            flat = (indices - first).reshape(-1)
            for feature in range(layout.features):
                column = grad_out[:, level * layout.features + feature]
                values = (weights * column[:, None]).reshape(-1)
                grad[first:last, feature] = torch.bincount(flat, values, minlength=last - first)
        return None, grad, None


def encode(
    positions: Float[Tensor, 'n 3'], table: Float[Tensor, 'entries features'], layout: GridLayout
) -> Float[Tensor, 'n width']:
    """Returns the interpolated features of each position; positions get no gradient."""
    return _Encode.apply(positions.detach(), table, layout)
