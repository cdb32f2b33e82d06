"""Where each level of a hash grid keeps its entries.

All backends share one layout, that of tiny-cuda-nn, so that a table trained with one can be read
by another: level after level; a level of resolution r is stored densely when r^3 entries fit,
else hashed into a power of two. Positions lie in [0, 1]^3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GridLayout:
    """Levels of a hash grid.

    Attributes:
        levels: Number of levels.
        features: Features an entry.
        min_resolution: Resolution of the coarsest level, in cells along the unit cube.
        max_resolution: Resolution of the finest level.
        table_log2: Bound on the entries of a level, as a power of 2.
    """

    levels: int
    features: int
    min_resolution: int
    max_resolution: int
    table_log2: int

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f'levels: expected at least 1, got {self.levels}')
        if self.features not in (1, 2, 4, 8):
            raise ValueError(f'features: expected 1, 2, 4 or 8 a level, got {self.features}')
        if not 1 < self.min_resolution <= self.max_resolution:
            raise ValueError(
                'resolutions: expected 1 < min <= max, '
                f'got {self.min_resolution} and {self.max_resolution}'
            )
        if not 3 <= self.table_log2 <= 28:
            raise ValueError(f'table_log2: expected 3 to 28, got {self.table_log2}')

    @property
    def growth(self) -> float:
        """Ratio of the resolutions of two neighbouring levels."""
        if self.levels == 1:
            return 1.0
        return (self.max_resolution / self.min_resolution) ** (1 / (self.levels - 1))

    @property
    def scales(self) -> tuple[float, ...]:
        """Cells per unit length of each level, float32 values."""
        exponent = np.arange(self.levels, dtype=np.float32) * np.float32(math.log2(self.growth))
        scales = np.exp2(exponent) * np.float32(self.min_resolution) - np.float32(1)
        return tuple(float(scale) for scale in scales)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Grid points along an axis of each level."""
        return tuple(math.ceil(scale) + 1 for scale in self.scales)

    @property
    def firsts(self) -> tuple[int, ...]:
        """First entry of each level; the last number is the number of all entries."""
        sizes = [
            min(-(-(resolution**3) // 8) * 8, 1 << self.table_log2)
            for resolution in self.resolutions
        ]
        return tuple(int(first) for first in np.cumsum([0, *sizes]))

    @property
    def entries(self) -> int:
        """Number of entries of all levels."""
        return self.firsts[-1]

    @property
    def width(self) -> int:
        """Number of outputs a point."""
        return self.levels * self.features
