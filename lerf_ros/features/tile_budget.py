"""Which tiles of a pyramid are worth encoding when there is no time for all.

A pyramid has most of its tiles in its finest level, and most of what these show is wall, floor or
table: a tile without contrast looks like the larger tile around it, whose embedding can stand for
its own. So the finest level is thinned first, from its flattest tile on, then the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from lerf_ros.features.tile_grid import TileGrid

Array = np.ndarray


def chosen_tiles(
    image: UInt8[Array, 'height width 3'], grids: Sequence[TileGrid], budget: int
) -> list[Bool[Array, ' n']]:
    """Returns for each level which of its tiles are encoded, row by row.

    The coarsest level is always encoded as a whole: the others lean on it.

    Args:
        image: The picture.
        grids: Its tiles, finest level first.
        budget: Most tiles; 0 for no limit.
    """
    chosen = [np.ones(grid.rows * grid.cols, bool) for grid in grids]
    excess = sum(len(tiles) for tiles in chosen) - budget if budget else 0
    if excess <= 0:
        return chosen
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    # Sums of doubles: those of squares over a large picture do not fit into 32 bits.
    sums, squares = cv2.integral2(grey, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    for grid, tiles in zip(grids[:-1], chosen[:-1], strict=True):
        if excess <= 0:
            break
        dropped = np.argsort(contrasts(sums, squares, grid), kind='stable')[:excess]
        tiles[dropped] = False
        excess -= len(dropped)
    return chosen


def contrasts(
    sums: Float[Array, 'h1 w1'], squares: Float[Array, 'h1 w1'], grid: TileGrid
) -> Float[Array, ' n']:
    """Returns the variance of grey in each tile, from integral images of grey and its square."""
    left, top, right, bottom = grid.boxes().numpy().astype(int).T

    def mean(integral: Array) -> Array:
        inside = integral[bottom, right] - integral[top, right]
        inside = inside - integral[bottom, left] + integral[top, left]
        return inside / ((right - left) * (bottom - top))

    return mean(squares) - mean(sums) ** 2
