"""Pictures of things in colours that they do not have.

A kind must be known in colours in which it was never seen. Told only pictures of things as they
are, an encoder learns that what is blue is no mug where no mug was blue. Of a recoloured thing it
is told the kind, and nothing of the colour.
"""

from __future__ import annotations

import numpy as np
from tabletop_views import TABLE

RECOLOURED = -2
"""The colour of what was recoloured: no caption's, and not known to be none."""
_BRIGHTNESS = (25.0, 210.0)


def without_colours(names: np.ndarray) -> np.ndarray:
    """Returns `tabletop_truth.label_names` of a picture whose things are recoloured."""
    names = names.copy()
    names[names[:, 1] >= 0, 1] = RECOLOURED
    return names


def recolour(picture: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture, uint8 (h, w, 3), in which each thing has another colour.

    Its channels change places, it fades, and a tint falls on it; its shading and what surrounds it
    stay.
    """
    result = picture.copy()
    for thing in np.unique(labels[labels < TABLE] // 16):
        on = labels // 16 == thing
        on &= labels < TABLE
        pixels = picture[on].astype(np.float32)
        faded = rng.uniform(0, 1) if rng.random() < 0.6 else 0.0
        mixed = np.eye(3)[rng.permutation(3)] * (1 - faded) + faded / 3
        tint = 2 ** rng.uniform(-1.5, 0.0, 3) if rng.random() < 0.6 else np.ones(3)
        mixed = mixed * tint[:, None]
        changed = pixels @ mixed.T.astype(np.float32)
        gain = rng.uniform(*_BRIGHTNESS) / max(float(changed.mean()), 1.0)
        result[on] = np.clip(changed * min(gain, 4.0), 0, 255)
    return result
