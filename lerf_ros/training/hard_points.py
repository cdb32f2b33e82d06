"""Which points of the surface an update looks at: all of them a little, the worst most."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

# Share of the points that are drawn evenly; the others follow the error.
_EVEN_SHARE = 0.25
# Those are drawn from so many times as many candidates: weighing all points would cost more.
_CANDIDATES = 4
# Share of the newest error in the running mean of a point.
_NEWEST_SHARE = 0.5
# Error of a point that was never looked at, about the greatest there is: new things come first.
_UNKNOWN = 1.0


class HardPoints:
    """Errors of surface points by voxel, so that they outlive the growth of the surface.

    Args:
        device: Where points are drawn.

    Attributes:
        errors: Running mean error of each point.
    """

    def __init__(self, device: torch.device | str = 'cpu') -> None:
        # Voxels in ascending order, and the points that they are.
        self._keys: Int[np.ndarray, ' n'] = np.zeros(0, np.int64)
        self._order: Int[np.ndarray, ' n'] = np.zeros(0, np.int64)
        self.errors: Float[Tensor, ' n'] = torch.zeros(0, device=device)

    def follow(self, keys: Int[np.ndarray, ' n']) -> None:
        """Makes the errors those of these voxels, in their order."""
        errors = torch.full((len(keys),), _UNKNOWN, device=self.errors.device)
        order = np.argsort(keys)
        ascending = np.take(keys, order)
        if len(self._keys):
            # Both sorted: what is looked for lies beside what was found last.
            at = np.searchsorted(self._keys, ascending)
            at = np.minimum(at, len(self._keys) - 1)
            known = np.flatnonzero(np.take(self._keys, at) == ascending)
            old = torch.from_numpy(np.take(self._order, np.take(at, known)))
            errors[torch.from_numpy(np.take(order, known))] = self.errors[old]
        self._keys, self._order, self.errors = ascending, order, errors

    def draw(self, count: int, generator: torch.Generator | None = None) -> Int[Tensor, ' k']:
        """Returns points to look at; one may come twice.

        Args:
            count: Number of points.
            generator: Source of randomness, on the device.
        """
        size, device = len(self.errors), self.errors.device
        even = round(_EVEN_SHARE * count)
        hard = count - even
        indices = torch.randint(
            size, (even + _CANDIDATES * hard,), generator=generator, device=device
        )
        candidates = indices[even:]
        chosen = torch.multinomial(
            self.errors[candidates] + 1e-6, hard, replacement=False, generator=generator
        )
        return torch.cat([indices[:even], candidates[chosen]])

    def report(self, indices: Int[Tensor, ' k'], errors: Float[Tensor, ' k']) -> None:
        """Takes in how badly points were explained."""
        old = self.errors[indices]
        self.errors[indices] = torch.lerp(old, errors.detach().float(), _NEWEST_SHARE)
