"""Where to look: an oriented box in the world frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lerf_ros.geometry import inverse_transform, require_rigid, transform_points

Array = np.ndarray

# A point on the border is inside, whatever rounding says.
SLACK_M = 1e-6


@dataclass(frozen=True, eq=False)
class Region:
    """An oriented box.

    Attributes:
        box_to_world: Pose of its centre, axes along its sides.
        size_m: Its full sides.
    """

    box_to_world: Float[Array, '4 4']
    size_m: Float[Array, '3']

    @classmethod
    def between(
        cls, minimum_m: tuple[float, float, float], maximum_m: tuple[float, float, float]
    ) -> Region:
        """Returns the box along the world's axes between two corners."""
        low, high = np.array(minimum_m, np.float64), np.array(maximum_m, np.float64)
        box_to_world = np.eye(4)
        box_to_world[:3, 3] = (low + high) / 2
        return cls(box_to_world, high - low)

    def moved(self, target_from_world: Float[Array, '4 4']) -> Region:
        """Returns the same box as another frame sees it."""
        return Region(target_from_world @ self.box_to_world, self.size_m)

    def grown(self, by_m: float) -> Region:
        """Returns the box with every side moved outwards."""
        return Region(self.box_to_world, self.size_m + 2 * by_m)

    def check(self) -> None:
        """Checks that the box is one.

        Raises:
            ValueError: Its pose is no rigid transform, or a side is not above 0.
        """
        require_rigid(self.box_to_world, 'region')
        size_m = np.asarray(self.size_m)
        if size_m.shape != (3,) or not np.isfinite(size_m).all() or (size_m <= 0).any():
            raise ValueError(f'region: expected three sides above 0 m, got {size_m.tolist()}')

    def contains(self, positions_world: Float[Array, '*n 3']) -> Bool[Array, '*n']:
        """Tells which points lie inside, border included."""
        local = transform_points(inverse_transform(self.box_to_world), positions_world)
        return np.all(np.abs(local) <= self.size_m / 2 + SLACK_M, axis=-1)
