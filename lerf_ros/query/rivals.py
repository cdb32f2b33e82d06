"""Rivals: what a place may be instead of what was asked for.

An encoder with a list of kinds is asked which of them a scene looks like, whatever is there:
compared with all kinds at every point, a phrase would cost a thousand times as much, so its rivals
are those that the scene looks like (:mod:`lerf_ros.query.scene_kinds`). For words of any other
encoder the distractors are the rivals, where the phrase is most relevant.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lerf_ros.query.phrase import Phrase
from lerf_ros.query.relevancy import phrase_relevancy
from lerf_ros.query.scene_kinds import ReadPoints

# Share of the points, the most relevant ones, that distractors contest; and at least so many.
CONTESTED_SHARE, LEAST_CONTESTED = 1 / 16, 64
# What the relevancy of the others counts: they come last, in their order.
UNCONTESTED = 0.01


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
