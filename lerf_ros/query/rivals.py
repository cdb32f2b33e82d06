"""Rivals: what a place may be instead of what was asked for.

An encoder with a list of kinds is asked which of them a scene looks like, whatever is there:
compared with all kinds at every point, a phrase would cost a thousand times as much. For words of
any other encoder the distractors are the rivals, where the phrase is most relevant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.features.encoder import KindEncoder, LanguageEncoder
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.relevancy import phrase_relevancy
from lerf_ros.surface.points import SurfacePoints

# Points whose embeddings say which kinds a scene looks like.
SAMPLE_POINTS = 512
# Most kinds that a phrase is compared with. The places of a kitchen were closest to 138 of 1000.
RIVALS = 128
# Share of the points, the most relevant ones, that distractors contest; and at least so many.
CONTESTED_SHARE, LEAST_CONTESTED = 1 / 16, 64
# What the relevancy of the others counts: they come last, in their order.
UNCONTESTED = 0.01

ReadPoints = Callable[[Int[np.ndarray, ' k']], Float[Tensor, 'k s d']]


def common_kinds(
    embeddings: Float[Tensor, 'n d'], kinds: Float[Tensor, 'm d'], limit: int = RIVALS
) -> Int[Tensor, ' c']:
    """Returns which kinds some embeddings are closest to, the most frequent first."""
    closest = (embeddings.to(kinds) @ kinds.T).argmax(dim=1)
    most = torch.bincount(closest, minlength=len(kinds)).topk(min(limit, len(kinds)))
    return most.indices[most.values > 0]


class CommonKinds:
    """The kinds that a scene looks like, found anew when its surface has changed.

    Args:
        encoder: The encoder; of one without a list of kinds, nothing is common.
    """

    def __init__(self, encoder: LanguageEncoder) -> None:
        self._encoder = encoder
        self._known: tuple[SurfacePoints, Int[Tensor, ' c']] | None = None

    def of(
        self, surface: SurfacePoints, trained: Bool[Tensor, 'n s'], read: ReadPoints
    ) -> Int[Tensor, ' c'] | None:
        """Returns the rows of the kinds; None where the encoder has no list of them.

        Args:
            surface: The surface.
            trained: Which scales were trained at each point.
            read: Reads embeddings of points at every scale.
        """
        if not isinstance(self._encoder, KindEncoder):
            return None
        if self._known is None or self._known[0] is not surface:
            some = np.unique(np.linspace(0, len(surface) - 1, SAMPLE_POINTS).astype(int))
            embeddings = read(some)
            seen = embeddings[trained[some].to(embeddings.device)]
            self._known = surface, common_kinds(seen, self._encoder.kinds)
        return self._known[1]


def contested_relevancy(
    scores: Float[np.ndarray, 'n s'],
    trained: Bool[Tensor, 'n s'],
    allowed: Bool[np.ndarray, ' n'],
    phrase: Phrase,
    read: ReadPoints,
) -> Float[np.ndarray, ' n']:
    """Returns how relevant each point is to a phrase where its distractors count as rivals.

    The hottest point of a pile is often another thing that looks like the phrase; of 77 things in
    three piles the peak was found on 62 by relevancy alone, and on 65 so. Only the most relevant
    points are compared with so many texts, the others come after them. A phrase that has rivals,
    and a picture, keep their relevancy.

    Args:
        scores: Relevancy of each point at each scale.
        trained: Which scales were trained at each point.
        allowed: Which points may be a peak.
        phrase: The phrase.
        read: Reads embeddings of points at every scale.
    """
    best = scores.max(axis=1, initial=0)
    if phrase.background is not None or phrase.rivals is not None or not len(phrase.distractors):
        return best
    count = min(int(allowed.sum()), max(LEAST_CONTESTED, math.ceil(CONTESTED_SHARE * len(best))))
    some = np.sort(np.argsort(np.where(allowed, -best, np.inf), kind='stable')[:count])
    among = replace(phrase, rivals=phrase.distractors)
    contested = phrase_relevancy(read(some) @ among.compared.T, among)
    contested = torch.where(trained[some].to(contested.device), contested, 0).amax(dim=1)
    heights = UNCONTESTED * best
    heights[some] = contested.cpu().numpy()
    return heights
