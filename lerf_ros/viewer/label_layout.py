"""Where labels stand on the screen: none over another, each as close above its place as it goes.

Pixels, (u, v) with v down. A label is given by the middle of its lower border.
"""

from __future__ import annotations

import unicodedata

import numpy as np
from jaxtyping import Float

Array = np.ndarray

# Labels of viser: letters of 12 pixels on a plate.
LETTER_PX, WIDE_LETTER_PX, PLATE_PX = 6.6, 12.5, 6.0
HEIGHT_PX, GAP_PX = 17.0, 2.0


def label_width(text: str) -> float:
    """Returns about how wide a label is, pixels."""
    wide = sum(unicodedata.east_asian_width(letter) in 'WF' for letter in text)
    return (len(text) - wide) * LETTER_PX + wide * WIDE_LETTER_PX + PLATE_PX


def raised(feet_uv: Float[Array, 'n 2'], widths_px: Float[Array, ' n']) -> Float[Array, ' n']:
    """Returns by how many pixels each label is raised so that it covers none before it.

    Args:
        feet_uv: Where they stand, the most important first.
        widths_px: How wide they are.
    """
    step = HEIGHT_PX + GAP_PX
    raise_px = np.zeros(len(feet_uv))
    for number, (u, v) in enumerate(feet_uv):
        beside = np.abs(feet_uv[:number, 0] - u) < (widths_px[:number] + widths_px[number]) / 2
        taken = np.sort((feet_uv[:number, 1] - raise_px[:number])[beside])[::-1]
        top = v
        for foot in taken:
            # Upwards over all that stand in the way; they come from below to above.
            if abs(foot - top) < step:
                top = foot - step
        raise_px[number] = v - top
    return raise_px
