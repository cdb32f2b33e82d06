"""The scales at which the map is read.

A scale is the height in metres of the image crop whose embedding is meant. The pyramid has tiles
between two shares of the image's height, and an image spans ``visible_height_m`` at a point's
depth; so each point has its own range of scales that were trained. Others would be guesses.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lerf_ros.config import FeatureOptions, QueryOptions
from lerf_ros.query.relevancy import search_scales
from lerf_ros.surface.points import SurfacePoints

# Just beyond what was trained is still right.
SLACK = 1.05


class ScaleSearch:
    """The scales to search, the same ratio apart.

    Args:
        options: Their number and bounds.
        features: The tile sizes the map was trained with.

    Attributes:
        all_m: All of them, in ascending order.
    """

    def __init__(self, options: QueryOptions, features: FeatureOptions) -> None:
        self._shares = (features.tile_share_min, features.tile_share_max)
        self.all_m = search_scales(options.min_scale_m, options.max_scale_m, options.scales)

    def active_m(self, points: SurfacePoints) -> Float[Tensor, ' s']:
        """Returns the scales that were trained at some point, in ascending order."""
        scales_m = self.all_m.numpy()
        low = self._shares[0] / SLACK * float(points.visible_height_m[:, 0].min())
        high = self._shares[1] * SLACK * float(points.visible_height_m[:, 1].max())
        start = min(int(np.searchsorted(scales_m, low)), len(scales_m) - 1)
        stop = max(int(np.searchsorted(scales_m, high, side='right')), start + 1)
        return self.all_m[start:stop]

    def trained(
        self, points: SurfacePoints, scales_m: Float[Tensor, ' s']
    ) -> Bool[np.ndarray, 'n s']:
        """Tells which scales were trained at each point; the closest ones where none was."""
        octaves = np.log2(scales_m.numpy())
        low = np.log2(self._shares[0] / SLACK * points.visible_height_m[:, :1])
        high = np.log2(self._shares[1] * SLACK * points.visible_height_m[:, 1:])
        outside = np.maximum(np.maximum(low - octaves, octaves - high), 0)
        return outside <= outside.min(axis=1, keepdims=True)


def only_scale(
    trained: Bool[Tensor, 'n s'], scales_m: Float[Tensor, ' s'], scale_m: float
) -> Bool[Tensor, 'n s']:
    """Returns that every point is read at the scale closest to one, trained there or not."""
    closest = (scales_m.log2() - math.log2(scale_m)).abs().argmin()
    result = torch.zeros_like(trained)
    result[:, closest] = True
    return result
