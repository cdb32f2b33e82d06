"""What the keyframes of a map themselves show of points of its surface."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.keyframes.view_means import view_means
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.points import SurfacePoints


class SeenReader:
    """Reads what keyframes on the device show; others, and forgotten ones, are left out.

    Args:
        store: The keyframes.
        surface_map: Knows which of them saw which point.
    """

    def __init__(self, store: KeyframeStore, surface_map: SurfaceMap) -> None:
        self._store, self._surface_map = store, surface_map

    @torch.no_grad()
    def __call__(
        self,
        surface: SurfacePoints,
        points: Int[np.ndarray, ' k'],
        scales_m: Float[Tensor, ' s'],
    ) -> tuple[Float[Tensor, 'k s d'], Bool[Tensor, 'k s']]:
        """Returns the unit mean of each point at each scale, and where it is known.

        Args:
            surface: The surface of that map, or a piece of it.
            points: Indices of the points.
            scales_m: The scales.
        """
        # Row -1, nobody, is the last one.
        slots = F.pad(self._store.slots_of(self._surface_map.keyframe_ids), (0, 1), value=-1)
        seen_by = torch.from_numpy(surface.seen_by[points]).long()
        positions = torch.from_numpy(surface.positions[points])
        device = self._store.device
        return view_means(self._store, positions.to(device), slots[seen_by].to(device), scales_m)
