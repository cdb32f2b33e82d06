"""What keyframes say of points at given scales: interpolated, not drawn.

Training draws one tile a view (:mod:`lerf_ros.keyframes.point_targets`); an answer about a few
points can afford all tiles around.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.keyframes.lookup import lookup_pyramid
from lerf_ros.keyframes.point_targets import PointViews, shows
from lerf_ros.keyframes.store import KeyframeStore


def view_means(
    store: KeyframeStore,
    positions_world: Float[Tensor, 'n 3'],
    slots: Int[Tensor, 'n v'],
    scales_m: Float[Tensor, ' s'],
) -> tuple[Float[Tensor, 'n s d'], Bool[Tensor, 'n s']]:
    """Returns the unit mean of what keyframes show of points, and where any shows something.

    Args:
        store: The keyframes.
        positions_world: The points, on the store's device.
        slots: For each the places of keyframes that saw it, -1 for none.
        scales_m: The scales.
    """
    tables, read = store.tables, store.rows_of('embedding')
    views = PointViews.of(tables, positions_world, slots)
    columns, known = [], []
    for scale_m in scales_m.tolist():
        tile_px = scale_m * views.px_per_m
        shown = views.seen & shows(tables.tiles, views.slots, tile_px)
        own = views.slots[shown]

        def tiles(rows: Int[Tensor, ' m'], own: Int[Tensor, ' k'] = own) -> Float[Tensor, 'm d']:
            # The four tiles around each pixel, one after the other.
            return read(own.repeat(4), rows)

        said = lookup_pyramid(tiles, tables.tiles, own, views.uv[shown], tile_px[shown])
        mean = said.new_zeros(len(shown), said.shape[1])
        mean.index_add_(0, shown.nonzero()[:, 0], said)
        columns.append(F.normalize(mean, dim=-1))
        known.append(shown.any(dim=1))
    return torch.stack(columns, dim=1), torch.stack(known, dim=1)
