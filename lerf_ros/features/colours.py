"""Words for colours."""

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

# Other words for the same colour.
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


def colour_named(word: str) -> str:
    """Returns which of `COLOURS` a word names, '' where it names none."""
    colour = SAME_COLOUR.get(word, word)
    return colour if colour in COLOURS else ''
