"""Which keyframes a step looks at: the newest, the worst explained, and all of them a little."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.config import TrainingOptions

# Share of the newest error in its running mean.
_ERROR_SHARE = 0.1
# Bound on an error, in means, so that one hopeless picture does not take all rays.
_ERROR_BOUND = 4.0


class Replay:
    """Chances of slots to be drawn.

    Args:
        options: Shares of the newest and of the even floor; the rest follows the error.
        device: Where rays are drawn.

    Nothing here waits for the device: all stays where the rays are.

    Attributes:
        errors: Running mean squared colour error of each slot, NaN where it is not known yet.
    """

    def __init__(self, options: TrainingOptions, device: torch.device | str = 'cpu') -> None:
        self._options = options
        self.errors = torch.zeros(0, device=device)

    def configure(self, options: TrainingOptions) -> None:
        """Takes over other shares."""
        self._options = options

    def append(self) -> None:
        """Adds a slot at the end, of which nothing is known."""
        self.errors = torch.cat([self.errors, self.errors.new_full((1,), float('nan'))])

    def remove(self, slot: int) -> None:
        """Removes a slot; those behind move up."""
        self.errors = torch.cat([self.errors[:slot], self.errors[slot + 1 :]])

    def report(self, slots: Int[Tensor, ' n'], errors: Float[Tensor, ' n']) -> None:
        """Takes in how badly each ray's colour was explained."""
        errors = errors.detach().float()
        count = torch.zeros_like(self.errors).index_add_(0, slots, torch.ones_like(errors))
        total = torch.zeros_like(self.errors).index_add_(0, slots, errors)
        mean = total / count
        running = torch.lerp(self.errors, mean, _ERROR_SHARE)
        blended = torch.where(self.errors.isnan(), mean, running)
        self.errors = torch.where(count > 0, blended, self.errors)

    def chances(self, newest: Bool[Tensor, ' slots']) -> Float[Tensor, ' slots']:
        """Returns how likely each slot is to be drawn.

        Args:
            newest: Which slots hold the newest keyframes.
        """
        unknown = self.errors.isnan()
        largest = self.errors.nan_to_num(-torch.inf).max()
        # What has not been looked at yet counts as the worst, and all alike where nothing has.
        worst = torch.where(unknown, torch.where(largest < 0, 1.0, largest), self.errors)
        worst = torch.minimum(worst, _ERROR_BOUND * worst.mean()) + 1e-9
        even, fresh = self._options.replay_uniform_share, self._options.replay_newest_share
        rest = max(0.0, 1 - even - fresh)
        return (
            even / len(worst)
            + fresh * newest / newest.sum().clamp(min=1)
            + rest * worst / worst.sum()
            + 1e-9
        )
