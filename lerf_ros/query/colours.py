"""Colours that are asked for, held against the colours of the surface itself.

An encoder with a list of kinds knows no colours, but the map does: every surface point has one. A
thing of another colour than the one asked for stays an answer, as light and cameras change colours
and words for them are loose; it only counts less.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from lerf_ros.query.distractors import COLOURS, SAME_COLOUR

Array = np.ndarray

# What cameras make of things of that colour indoors, RGB.
_EXAMPLES = {
    'red': ((180, 30, 30),),
    'orange': ((230, 120, 30),),
    'yellow': ((225, 205, 50),),
    'green': ((50, 130, 60),),
    'blue': ((40, 70, 170), (90, 160, 220)),
    'purple': ((110, 60, 140),),
    'pink': ((235, 140, 170),),
    'brown': ((110, 70, 40),),
    'black': ((25, 25, 25),),
    'white': ((235, 235, 235),),
    'grey': ((128, 128, 128),),
}
# Light changes how bright a thing looks more than its hue.
_LIGHTNESS_SHARE = 0.6
# Difference in CIELAB at which a colour is e times less likely.
_SOFTNESS = 8.0
# What is left of the relevancy of a thing of quite another colour.
OTHER_COLOUR = 0.25


def colour_named(text: str) -> str:
    """Returns the first colour in a text, by its commonest name; '' for none."""
    words = (SAME_COLOUR.get(word, word) for word in text.lower().split())
    return next((word for word in words if word in COLOURS), '')


def colour_factors(colours_rgb: UInt8[Array, 'n 3'], colour: str) -> Float32[Array, ' n'] | None:
    """Returns what relevancy is multiplied by, for each colour seen; None where none is asked.

    Args:
        colours_rgb: Colours of points.
        colour: One of `COLOURS`, or ''.
    """
    if not colour:
        return None
    seen = _lab(colours_rgb)
    differences = np.stack(
        [
            np.min([np.linalg.norm(seen - one, axis=1) for one in _lab(_EXAMPLES[name])], axis=0)
            for name in COLOURS
        ],
        axis=1,
    )
    likely = np.exp(-(differences - differences.min(axis=1, keepdims=True)) / _SOFTNESS)
    share = likely[:, COLOURS.index(colour)] / likely.sum(axis=1)
    return (OTHER_COLOUR + (1 - OTHER_COLOUR) * share).astype(np.float32)


def _lab(rgb: object) -> Float32[Array, 'n 3']:
    row = np.asarray(rgb, np.float32).reshape(1, -1, 3) / 255
    return cv2.cvtColor(row, cv2.COLOR_RGB2LAB)[0] * np.array([_LIGHTNESS_SHARE, 1, 1], np.float32)
