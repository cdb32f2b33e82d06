"""Whether what was asked for is in the scene at all: a confidence from evidence.

A map always has a most relevant point. What tells a thing that is there from one that is not is
how relevant the best place is, whether any other phrase fits that place better, and how much of
the surface, seen how often, says so. A logistic model, fitted for each encoder by
``lerf_ros calibrate``, turns this evidence into a probability.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.features.encoder import ExistenceCalibration, ExistenceModel
from lerf_ros.query.request import Evidence

# Without a calibration, nothing was fitted and nobody knows how sure to be. The cautious rule asks
# for both: closer to the phrase than to every negative, and than to every distractor by a factor
# of two in the odds. It never says more than this.
CAUTIOUS_MARGIN = math.log(2)
CAUTIOUS_LIMIT = 0.7
# A phrase that the encoder does not know may look like anything.
DOUBTED = 0.2


def gather_evidence(
    points: Int[np.ndarray, ' k'],
    relevancy: Float[np.ndarray, ' k'],
    views: Int[np.ndarray, ' k'],
    cosines: Float[Tensor, 'n s'],
    embeddings: Float[Tensor, 'k s d'],
    distractors: Float[Tensor, 'm d'],
    temperature: float,
) -> Evidence:
    """Returns the evidence of a phrase's best maximum.

    Args:
        points: Its points.
        relevancy: Relevancy of each at the maximum's scale.
        views: Number of keyframes that saw each.
        cosines: Cosine of every surface point at every scale with the phrase.
        embeddings: Unit embeddings of its points.
        distractors: Unit embeddings of what else it could be.
        temperature: The encoder's factor of cosines.
    """
    own = cosines[torch.from_numpy(points)].mean(dim=0)
    scale = int(own.argmax())
    # The mean over the points, not renormalised: its cosine is then the mean of theirs.
    others = distractors @ embeddings[:, scale].mean(dim=0)
    return Evidence(
        relevancy=log_odds(float(relevancy.mean())),
        margin=temperature * float(own[scale] - others.max()),
        contrast=temperature * float(own[scale] - torch.quantile(cosines[:, scale], 0.75)),
        views=math.log1p(int(np.median(views))),
        support=math.log(len(points)),
    )


def confidence(evidence: Evidence, model: ExistenceModel | None) -> float:
    """Returns the probability that the phrase names something in the scene."""
    if model is None:
        weakest = min(evidence.relevancy, evidence.margin - CAUTIOUS_MARGIN)
        return min(_logistic(weakest), CAUTIOUS_LIMIT)
    return _logistic(model.bias + float(np.dot(model.weights, evidence.values(model.features))))


def model_of(calibration: ExistenceCalibration | None, *, pictured: bool) -> ExistenceModel | None:
    """Returns the model fitted to phrases or to pictures; None without a calibration."""
    if calibration is None:
        return None
    return calibration.pictures if pictured else calibration.phrases


def _logistic(total: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


def log_odds(probability: float) -> float:
    """Returns log(p / (1 - p)), bounded."""
    p = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))
