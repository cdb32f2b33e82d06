"""Distractors: what else the best place could be.

A second set of phrases, apart from the negatives. A place that fits one of them better than the
phrase asked for is likely that other thing. Some are made from the phrase itself by changing its
colour, so that a red mug does not pass for a blue one; the others are things of a household.
"""

from __future__ import annotations

COLOURS = (
    'red',
    'orange',
    'yellow',
    'green',
    'blue',
    'purple',
    'pink',
    'brown',
    'black',
    'white',
    'grey',
)

# Other words for the same colour are no distractors.
SAME_COLOUR = {
    'gray': 'grey',
    'silver': 'grey',
    'crimson': 'red',
    'scarlet': 'red',
    'violet': 'purple',
    'lilac': 'purple',
    'magenta': 'pink',
    'cyan': 'blue',
    'navy': 'blue',
    'beige': 'brown',
    'tan': 'brown',
    'golden': 'yellow',
    'gold': 'yellow',
}

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


def distractors(text: str) -> list[str]:
    """Returns phrases that name something else than the text does."""
    words = text.lower().split()
    own_colours = {SAME_COLOUR.get(word, word) for word in words} & set(COLOURS)
    result = [noun for noun in NOUNS if not set(noun.split()) & set(words)]
    if own_colours:
        spoken = next(word for word in words if SAME_COLOUR.get(word, word) in own_colours)
        rest = ' '.join(word for word in words if word != spoken)
        others = [colour for colour in COLOURS if colour not in own_colours]
        result = [f'{spoken} {noun}' for noun in result]
        if rest:
            result += [f'{colour} {rest}' for colour in others]
    return result
