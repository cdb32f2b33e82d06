"""Pictures of things in colours that they do not have."""

from __future__ import annotations

import numpy as np

RECOLOURED = -2
"""The colour of what is in a recoloured picture: no caption's, and not known to be none."""


def recolour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture, uint8 (h, w, 3), whose colours are others: its channels change places,
    and a tint falls on them.

    A kind must be known in colours in which it was never seen. Told only pictures of things as
    they are, an encoder learns that what is blue is no mug where no mug was blue.
    """
    mixed = np.eye(3)[rng.permutation(3)] * 0.7 + rng.dirichlet(np.ones(3), 3) * 0.3
    tint = 2 ** rng.uniform(-1.2, 0.4, 3)
    return np.clip(picture @ (mixed * tint[:, None]).T, 0, 255).astype(np.uint8)
