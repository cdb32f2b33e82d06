"""Phrases for what stands on the table, and for what does not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lerf_ros.simulation.catalogue import (
    CATEGORIES,
    COLOURS,
    FINISHES,
    TEXTURES,
    excluded_pairs,
)


@dataclass(frozen=True)
class AbsentPhrase:
    """A phrase for something that is not in a scene.

    Attributes:
        text: The phrase.
        kind: 'colour', the category is there in another colour only; 'category', the colour is
            there on other categories only; 'absent', a category alone that is not there at all.
    """

    text: str
    kind: str


def colour_names(colour: str) -> tuple[str, ...]:
    """Returns the words for a colour, its own name first."""
    return (colour, *COLOURS[colour].synonyms)


def category_names(category: str) -> tuple[str, ...]:
    """Returns the words for a category, its own name first."""
    return (category, *CATEGORIES[category].synonyms)


@functools.cache
def side_colours(category: str) -> frozenset[str]:
    """Returns the colours that parts of a category may have whatever the object's own colour."""
    colours: set[str] = set()
    for seed in range(8):
        for part in CATEGORIES[category].build(np.random.default_rng(seed)):
            if part.finish == 'contrast':
                colours.update(('black', 'white'))
            elif part.finish != 'main':
                colours.update(FINISHES[part.finish].colours)
    return frozenset(colours)


def object_names(colour: str, category: str, texture: str) -> tuple[str, ...]:
    """Returns phrases that describe an object truly, '<colour> <category>' first."""
    names = [f'{c} {k}' for c in colour_names(colour) for k in category_names(category)]
    names += [f'{category} that is {colour}']
    names += [f'{t} {colour} {category}' for t in (texture, *TEXTURES[texture]) if t != 'plain']
    return tuple(names)


def part_names(colour: str, category: str, part: str) -> tuple[str, ...]:
    """Returns phrases for a part of an object, '<part> of the <colour> <category>' first."""
    return (f'{part} of the {colour} {category}', f'{colour} {category} {part}')


def absent_phrases(
    present: Sequence[tuple[str, str]],
    count: int,
    rng: np.random.Generator,
    with_excluded: bool = False,
) -> list[AbsentPhrase]:
    """Returns phrases for things that are not there, one third of each kind as far as they go.

    'grey hammer' is no such phrase beside a red one: its head is grey, see `side_colours`.

    Args:
        present: (colour, category) of the objects that are there.
        count: How many phrases.
        rng: Draws them.
        with_excluded: Whether pairs of `excluded_pairs` may be named.
    """
    colours = {colour for colour, _ in present}
    categories = {category for _, category in present}
    pool: dict[str, list[str]] = {'colour': [], 'category': [], 'absent': []}
    for category in CATEGORIES:
        if category not in categories:
            pool['absent'].append(category)
        for colour in COLOURS:
            pair = (colour, category)
            if pair in present or (not with_excluded and pair in excluded_pairs()):
                continue
            if category in categories and colour in side_colours(category):
                continue
            if category in categories:
                pool['colour'].append(f'{colour} {category}')
            elif colour in colours:
                pool['category'].append(f'{colour} {category}')
    order = {kind: list(rng.permutation(len(texts))) for kind, texts in pool.items()}
    phrases: list[AbsentPhrase] = []
    while len(phrases) < count and any(order.values()):
        for kind, left in order.items():
            if left and len(phrases) < count:
                phrases.append(AbsentPhrase(pool[kind][left.pop()], kind))
    return phrases
