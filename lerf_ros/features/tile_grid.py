"""Where the tiles of a language pyramid lie.

Pixels are ``(u, v)`` of the keyframe's image, edges at integers. Tiles lie wholly inside the
image: nothing is padded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.config import FeatureOptions

MIN_IMAGE_PX = 16
# LERF's tiles touch at the finest level and overlap by half from this share of the height up.
_TOUCHING_SHARE, _OVERLAPPING_SHARE = 0.05, 0.15


@dataclass(frozen=True)
class TileGrid:
    """Where the tiles of one level lie.

    Attributes:
        tile_px: Side of a tile, whole pixels.
        rows: Number of tiles along v.
        cols: Number of tiles along u.
        left_px: Left edge of the first tile.
        top_px: Top edge of the first tile.
        stride_px: Distance between neighbouring tiles, whole pixels.
    """

    tile_px: int
    rows: int
    cols: int
    left_px: int
    top_px: int
    stride_px: int

    def boxes(self) -> Float[Tensor, 'n 4']:
        """Returns (left, top, right, bottom) of every tile, row by row."""
        top = self.top_px + self.stride_px * torch.arange(self.rows, dtype=torch.float32)
        left = self.left_px + self.stride_px * torch.arange(self.cols, dtype=torch.float32)
        top, left = torch.meshgrid(top, left, indexing='ij')
        corners = torch.stack([left, top, left + self.tile_px, top + self.tile_px], dim=-1)
        return corners.reshape(-1, 4)


def tile_grids(width: int, height: int, options: FeatureOptions) -> tuple[TileGrid, ...]:
    """Returns the tiles of every level, finest first.

    A tile is never larger than the image, so a small or narrow image may have several levels of
    one size.

    Raises:
        ValueError: The image is too small for any tile.
    """
    if min(width, height) < MIN_IMAGE_PX:
        raise ValueError(
            f'image: expected at least {MIN_IMAGE_PX}x{MIN_IMAGE_PX} pixels, got {width}x{height}'
        )
    shares = np.linspace(options.tile_share_min, options.tile_share_max, options.pyramid_levels)
    grids = []
    for share in shares:
        tile_px = min(max(round(float(share) * height), 2), width, height)
        slope = (share - _TOUCHING_SHARE) / (_OVERLAPPING_SHARE - _TOUCHING_SHARE)
        stride_px = max(1, round(tile_px * (1 - 0.5 * min(max(slope, 0.0), 1.0))))
        rows, cols = (height - tile_px) // stride_px + 1, (width - tile_px) // stride_px + 1
        # What the last tile leaves free is shared by both borders.
        left_px = (width - tile_px - (cols - 1) * stride_px) // 2
        top_px = (height - tile_px - (rows - 1) * stride_px) // 2
        grids.append(TileGrid(tile_px, rows, cols, left_px, top_px, stride_px))
    return tuple(grids)


def expected_tiles(width: int, height: int, options: FeatureOptions) -> int:
    """Returns the number of tiles of a pyramid, which is its cost."""
    return sum(math.prod((grid.rows, grid.cols)) for grid in tile_grids(width, height, options))
