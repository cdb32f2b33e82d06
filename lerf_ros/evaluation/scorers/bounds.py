"""What stands beside a map's figures: an oracle, and our own answers given to other labels.

The oracle knows what every surface point of our map belongs to, so that it misses only what the
surface lacks; shuffled are our own answers, each given to another label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

Array = np.ndarray
METHODS = ('field', 'oracle', 'shuffled')
# Figures of each method.
Figures = dict[str, dict[str, Any]]

ELSEWHERE = 'map: expected its surface where the truth is, got none: are they in one frame?'


def another(count: int, rng: np.random.Generator) -> Int[Array, ' n']:
    """Returns for each of several things another one, each once; a single one gets itself."""
    order = rng.permutation(count)
    result = np.empty(count, int)
    result[order] = np.roll(order, 1)
    return result
