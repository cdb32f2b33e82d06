"""Whether the phrase is in the scene at all: a confidence from evidence.

A map always has a most relevant point. What tells a thing that is there from one that is not is
how relevant the best place is, whether any other phrase fits that place better, and how much of
the surface, seen how often, says so. A logistic model, fitted for each encoder by
``lerf_ros calibrate``, turns this evidence into a probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lerf_ros.features.encoder import ExistenceCalibration


@dataclass(frozen=True)
class Evidence:
    """What speaks for a phrase.

    Attributes:
        relevancy: Relevancy of the best maximum, as log-odds.
        margin: Cosine of that place with the phrase, less the greatest with a distractor, times
            the encoder's temperature.
        contrast: Cosine of that place with the phrase, less its upper quartile over the scene,
            times the temperature.
        views: Logarithm of the number of keyframes that saw the place.
        support: Logarithm of the number of surface points of the place.
    """

    relevancy: float
    margin: float
    contrast: float
    views: float
    support: float

    def values(self, names: tuple[str, ...]) -> list[float]:
        """Returns the evidence of these names.

        Raises:
            ValueError: There is no evidence of a name.
        """
        unknown = [name for name in names if name not in self.__dataclass_fields__]
        if unknown:
            raise ValueError(f'existence: no evidence is called {", ".join(unknown)}')
        return [float(getattr(self, name)) for name in names]


# Without a calibration of its own an encoder gets this cautious one: relevancy above 0.5, and no
# distractor that fits better.
DEFAULT_FEATURES = ('relevancy', 'margin')
DEFAULT_WEIGHTS = (1.0, 1.0)
DEFAULT_BIAS = -0.5


def confidence(evidence: Evidence, calibration: ExistenceCalibration | None) -> float:
    """Returns the probability that the phrase names something in the scene."""
    if calibration is None:
        names, weights, bias = DEFAULT_FEATURES, DEFAULT_WEIGHTS, DEFAULT_BIAS
    else:
        names, weights, bias = calibration.features, calibration.weights, calibration.bias
    total = bias + float(np.dot(weights, evidence.values(names)))
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


def log_odds(probability: float) -> float:
    """Returns log(p / (1 - p)), bounded."""
    p = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))
