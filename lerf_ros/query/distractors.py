"""Distractors: what else the best place could be.

A second set of phrases, apart from the negatives. A place that fits one of them better than the
phrase asked for is likely that other thing. Some are made from the phrase itself by changing its
colour, so that a red mug does not pass for a blue one; the others are the things that an encoder
was taught, where it says which, and else things of a household.
"""

from __future__ import annotations

from collections.abc import Sequence

from lerf_ros.features.colours import COLOURS, colour_named

# No surfaces, since every crop also shows some table; no words that are colours as well.
NOUNS = (
    'mug',
    'bowl',
    'plate',
    'bottle',
    'can',
    'box',
    'book',
    'ball',
    'banana',
    'apple',
    'pear',
    'carrot',
    'spoon',
    'fork',
    'knife',
    'screwdriver',
    'hammer',
    'teapot',
    'glass',
    'scissors',
    'pan',
    'brush',
    'torch',
    'candle',
    'cube',
    'shoe',
    'hat',
    'lamp',
    'vase',
    'key',
    'roll of tape',
    'pen',
    'toy car',
    'toy duck',
    'wrench',
    'jar',
    'basket',
    'clock',
    'phone',
    'keyboard',
    'chair',
    'towel',
)

# Words of the longest name of a thing.
LONGEST_NAME = 3


def distractors(text: str) -> list[str]:
    """Returns phrases that name something else than the text does."""
    words = set(text.lower().split())
    others = [noun for noun in NOUNS if not set(noun.split()) & words]
    return coloured_alike(text, others) + recoloured(text)


def coloured_alike(text: str, nouns: Sequence[str]) -> list[str]:
    """Returns nouns in the colour that a text names, or as they are where it names none."""
    spoken = next((word for word in text.lower().split() if colour_named(word)), None)
    return [f'{spoken} {noun}' if spoken else noun for noun in nouns]


def spans(text: str) -> list[str]:
    """Returns the words of a text that stand together, up to three: one of them may be a name."""
    words = text.lower().split()
    return [
        ' '.join(words[first : first + count])
        for count in range(1, LONGEST_NAME + 1)
        for first in range(len(words) - count + 1)
    ]


def recoloured(text: str) -> list[str]:
    """Returns a text in the colours that it does not name; none where it names no colour, or
    nothing else."""
    words = text.lower().split()
    own = {colour for word in words if (colour := colour_named(word))}
    if not own:
        return []
    spoken = next(word for word in words if colour_named(word) in own)
    rest = ' '.join(word for word in words if word != spoken)
    return [f'{colour} {rest}' for colour in COLOURS if rest and colour not in own]
