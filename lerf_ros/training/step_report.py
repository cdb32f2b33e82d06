"""What one training step did, read from the device only when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class StepReport:
    """What one training step did.

    Its numbers stay on the training device: reading one waits for all work that a GPU was given,
    so a step reads none.

    Attributes:
        step: Number of steps so far.
        seconds: Time the step took on the host; a GPU may still be at it.
        total: Weighted sum of all losses.
        terms: Each loss before weighting.
        finite: Whether all numbers were finite; else weights stayed as they were.
    """

    step: int
    seconds: float
    total: Float[Tensor, '']
    terms: Mapping[str, Float[Tensor, '']]
    finite: Bool[Tensor, '']

    @property
    def loss(self) -> float:
        """Weighted sum of all losses."""
        return float(self.total)

    @property
    def losses(self) -> dict[str, float]:
        """Each loss before weighting."""
        values = torch.stack([value.float() for value in self.terms.values()]).tolist()
        return dict(zip(self.terms, values, strict=True))

    @property
    def skipped(self) -> bool:
        """Whether weights stayed as they were, because a number was not finite."""
        return not bool(self.finite)
