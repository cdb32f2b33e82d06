"""What one training step looks at."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.field.sampling import RayBundle


@dataclass(frozen=True, eq=False)
class RayBatch:
    """Rays with what was measured along them. The first ``m`` rays also carry language.

    Attributes:
        rays: The rays; their depth guide is the measured depth.
        rgb: Measured colour in [0, 1].
        slots: Place of each ray's keyframe on the device.
        uv: Pixel of each ray.
        embedding: Unit language embedding of the first rays.
        scale_per_depth: Scale in metres of that embedding at one metre of depth.
        dense: Dense features of the first rays, None without any.
    """

    rays: RayBundle
    rgb: Float[Tensor, 'n 3']
    slots: Int[Tensor, ' n']
    uv: Float[Tensor, 'n 2']
    embedding: Float[Tensor, 'm d']
    scale_per_depth: Float[Tensor, ' m']
    dense: Float[Tensor, 'm c'] | None

    def __len__(self) -> int:
        return len(self.rays)
