"""Captions of windows of simulated tabletops, and when they are true.

A caption names attributes: a category, a colour, a texture, a part, or the table, or what lies
beyond it; what it leaves open is -1. ``NEVER`` marks captions of things the simulator does not
have: they are true of nothing. No caption names an excluded pair of colour and category.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from lerf_ros.simulation import (
    CATEGORIES,
    COLOURS,
    TEXTURES,
    category_names,
    colour_names,
    excluded_pairs,
)

OBJECT, PART, TABLE, ELSEWHERE, NEVER = range(5)
CANONICAL = ('object', 'things', 'stuff', 'texture')
CATEGORY_LIST, COLOUR_LIST, TEXTURE_LIST = list(CATEGORIES), list(COLOURS), list(TEXTURES)
_TABLE_TEXTS = ('table', 'table top', 'tabletop', 'desk', 'surface of the table')
_ELSEWHERE_TEXTS = ('floor', 'wall', 'background', 'tiled floor', 'ground')
_TEMPLATES = ('a {}', 'the {}', 'a photo of a {}', 'a picture of the {}', 'one {}', 'this {}')
# Things people ask for that the simulator does not have.
_ABSENT_NOUNS = (
    Path(__file__).with_name('tabletop_absent_nouns.txt').read_text(encoding='utf-8').split()
)


@cache
def parts_of(category: str) -> frozenset[str]:
    """Returns the names of all parts that things of a category can have."""
    build = CATEGORIES[category].build
    return frozenset(part.name for seed in range(3) for part in build(np.random.default_rng(seed)))


PART_LIST = sorted({name for category in CATEGORY_LIST for name in parts_of(category)})
# (category, part) of everything that has more than one part.
PART_PAIRS = [
    (index, PART_LIST.index(name))
    for index, category in enumerate(CATEGORY_LIST)
    for name in sorted(parts_of(category))
    if len(parts_of(category)) > 1
]
_EXCLUDED = {
    (COLOUR_LIST.index(colour), CATEGORY_LIST.index(category))
    for colour, category in excluded_pairs()
}


@dataclass
class Captions:
    """A list of captions as columns.

    Attributes:
        texts: The words.
        rows: (kind, category, colour, texture, part) of each.
    """

    texts: list[str] = field(default_factory=list)
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def add(self, text: str, row: tuple[int, int, int, int, int]) -> None:
        """Appends one caption."""
        self.texts.append(text)
        self.rows.append(row)


def is_excluded(colour: int, category: int) -> bool:
    """Tells whether a pair must not be named in training."""
    return (colour, category) in _EXCLUDED


def _pick(rng: np.random.Generator, options) -> str:
    # The first name is what most people say.
    if len(options) > 1 and rng.random() < 0.5:
        return options[int(rng.integers(1, len(options)))]
    return options[0]


def object_caption(
    rng: np.random.Generator, category: int, colour: int, texture: int
) -> tuple[str, tuple[int, int, int, int, int]]:
    """Returns a caption true of an object, of random detail; a negative colour is not named."""
    noun = _pick(rng, category_names(CATEGORY_LIST[category]))
    tint = _pick(rng, colour_names(COLOUR_LIST[colour]))
    look = _pick(rng, (TEXTURE_LIST[texture], *TEXTURES[TEXTURE_LIST[texture]]))
    plain = TEXTURE_LIST[texture] == 'plain'
    draw = rng.random()
    if colour < 0:
        text = noun if plain or draw < 0.8 else f'{look} {noun}'
        return text, (OBJECT, category, -1, -1 if text == noun else texture, -1)
    if draw < 0.55:
        text = f'{noun} that is {tint}' if rng.random() < 0.1 else f'{tint} {noun}'
        return text, (OBJECT, category, colour, -1, -1)
    if draw < 0.75:
        return noun, (OBJECT, category, -1, -1, -1)
    if draw < 0.87 or plain:
        text = str(rng.choice([f'{tint} object', f'something {tint}', f'{tint} thing', tint]))
        return text, (OBJECT, -1, colour, -1, -1)
    if draw < 0.91:
        return f'{look} {noun}', (OBJECT, category, -1, texture, -1)
    if draw < 0.96:
        return f'{look} {tint} {noun}', (OBJECT, category, colour, texture, -1)
    return f'{look} object', (OBJECT, -1, -1, texture, -1)


def part_caption(
    rng: np.random.Generator, category: int, colour: int, part: int
) -> tuple[str, tuple[int, int, int, int, int]]:
    """Returns a caption true of a part, of random detail; a negative colour is not named."""
    noun = _pick(rng, category_names(CATEGORY_LIST[category]))
    tint = _pick(rng, colour_names(COLOUR_LIST[colour]))
    name = PART_LIST[part]
    draw = rng.random() if colour >= 0 else rng.uniform(0.4, 1)
    if draw < 0.4:
        text = str(rng.choice([f'{name} of the {tint} {noun}', f'{tint} {noun} {name}']))
        return text, (PART, category, colour, -1, part)
    if draw < 0.85:
        text = str(rng.choice([f'{noun} {name}', f'{name} of the {noun}', f'{name} of a {noun}']))
        return text, (PART, category, -1, -1, part)
    return name, (PART, -1, -1, -1, part)


def never_caption(rng: np.random.Generator) -> tuple[str, tuple[int, int, int, int, int]]:
    """Returns a caption that is true of nothing the simulator shows."""
    if rng.random() < 0.12:
        letters = rng.choice(list(string.ascii_lowercase), int(rng.integers(3, 9)))
        text = ''.join(letters)
    else:
        text = str(rng.choice(ABSENT_NOUNS))
    draw = rng.random()
    if draw < 0.3:
        text = f'{rng.choice(COLOUR_LIST)} {text}'
    elif draw < 0.4:
        text = f'{rng.choice(TEXTURE_LIST)} {text}'
    elif draw < 0.45:
        text = f'{rng.choice(PART_LIST)} of a {text}'
    return text, (NEVER, -1, -1, -1, -1)


def surroundings_captions() -> Captions:
    """Returns the captions of the table and of what lies beyond it."""
    captions = Captions()
    for text in _TABLE_TEXTS:
        captions.add(text, (TABLE, -1, -1, -1, -1))
    for text in _ELSEWHERE_TEXTS:
        captions.add(text, (ELSEWHERE, -1, -1, -1, -1))
    return captions


def with_template(rng: np.random.Generator, text: str) -> str:
    """Returns the words bare, as most queries are, or in a phrase."""
    return str(rng.choice(_TEMPLATES)).format(text) if rng.random() < 0.25 else text


def known_words() -> set[str]:
    """Returns every word that names something the simulator shows."""
    phrases = [*PART_LIST, *CANONICAL, *_TABLE_TEXTS, *_ELSEWHERE_TEXTS]
    phrases += [name for category in CATEGORIES for name in category_names(category)]
    phrases += [name for colour in COLOURS for name in colour_names(colour)]
    phrases += [name for texture in TEXTURES for name in (texture, *TEXTURES[texture])]
    return {word for phrase in phrases for word in phrase.split()}


ABSENT_NOUNS = [noun.replace('_', ' ') for noun in _ABSENT_NOUNS if noun not in known_words()]


def all_words() -> list[str]:
    """Returns the words of the vocabulary, those of the simulator first."""
    words = sorted(known_words())
    words += ['something', 'thing', 'that', 'is', 'of', 'a', 'the', 'photo', 'picture', 'one']
    words += ['this', 'it', 'with', 'and', 'on', 'in', 'an', 'my', 'to', 'for', 'big', 'small']
    words += ['near', 'left', 'right', 'next', 'item', 'tool', 'toy', 'food', 'kitchen']
    return list(dict.fromkeys([*words, *' '.join(ABSENT_NOUNS).split()]))
