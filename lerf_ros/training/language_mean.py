"""The language that questions read: the mean of what the last steps made of it.

A step learns at a few hundred points, so weights jitter about what all points would make of them,
and two answers that are nearly as good change places from step to step. Their mean over the last
steps does not (Polyak and Juditsky 1992). It is forgotten by and by, so that it follows a map that
goes on: the younger a map, the sooner.
"""

from __future__ import annotations

import torch

from lerf_ros.field.language import LanguageField
from lerf_ros.field.readable import ReadableField

# The mean is over about this share of all steps so far, ...
SHARE_OF_STEPS = 0.1
# ... and takes weights in every so many steps: they hardly differ in between.
EVERY = 4


class LanguageMean:
    """Follows the language of a field.

    Args:
        language: The language that is trained.
        field: A field of the same sizes, which becomes the mean.
        most_steps: Steps about which the mean is over at most.

    Attributes:
        field: The mean, to be read.
    """

    def __init__(self, language: LanguageField, field: ReadableField, most_steps: int) -> None:
        self._trained, self._most_steps = language, most_steps
        self.field = field.requires_grad_(False)
        self.settle()

    def settle(self) -> None:
        """Begins anew with the weights as they are: they mean something else than before."""
        self.field.language.load_state_dict(self._trained.state_dict())

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Takes in the weights after a step.

        Args:
            step: Number of training steps so far.
        """
        steps = min(self._most_steps, SHARE_OF_STEPS * step)
        if steps <= EVERY:
            self.settle()
        elif step % EVERY == 0:
            means, weights = self.field.language.parameters(), self._trained.parameters()
            for mean, weight in zip(means, weights, strict=True):
                mean.lerp_(weight, EVERY / steps)
