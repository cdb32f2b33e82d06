"""Everything the simulator can put on the table: categories, colours, textures, finishes.

The vocabulary of a scene is closed: `CATEGORIES`, `COLOURS` and `TEXTURES` list it. Some pairs of
colour and category never occur in scenes for training, see `excluded_pairs`.
"""

from __future__ import annotations

import colorsys
import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.simulation import food, household, kitchen, toys, workshop
from lerf_ros.simulation.category import Category

HELD_OUT_SEED = 10_000
"""Scenes with this seed or a greater one are for evaluation only, never for training or tuning."""

TEXTURE_TILE_M = 0.055
"""A texture repeats after this many metres of surface."""


@dataclass(frozen=True)
class Colour:
    """A colour one can name: ranges of hue (turns), saturation and value, and other words."""

    name: str
    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]
    synonyms: tuple[str, ...] = ()

    def sample(self, rng: np.random.Generator) -> Float[np.ndarray, '3']:
        """Returns an RGB triple in [0, 1] that goes by this name."""
        hue, saturation, value = (
            rng.uniform(*span) for span in (self.hue, self.saturation, self.value)
        )
        return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


@dataclass(frozen=True)
class Finish:
    """How a part looks that does not take the colour of its object.

    Attributes:
        rgb: Its colour, in [0, 1].
        colours: Names somebody might call that colour, keys of `COLOURS`.
        specular: Strength of its highlights, in [0, 1].
        shininess: Sharpness of its highlights, in [0, 1].
        emission: Share of its colour that it gives off in the dark.
    """

    rgb: tuple[float, float, float]
    colours: tuple[str, ...] = ()
    specular: float = 0.2
    shininess: float = 0.3
    emission: float = 0.0


COLOURS: dict[str, Colour] = {
    colour.name: colour
    for colour in (
        Colour('red', (-0.015, 0.008), (0.85, 0.95), (0.75, 0.90), ('crimson',)),
        Colour('orange', (0.063, 0.085), (0.88, 0.97), (0.95, 1.0)),
        Colour('yellow', (0.135, 0.16), (0.80, 0.95), (0.92, 1.0)),
        Colour('green', (0.32, 0.39), (0.70, 0.90), (0.42, 0.65)),
        Colour('blue', (0.59, 0.64), (0.78, 0.95), (0.60, 0.88)),
        Colour('purple', (0.755, 0.79), (0.62, 0.80), (0.48, 0.66), ('violet',)),
        Colour('pink', (0.90, 0.945), (0.38, 0.52), (0.95, 1.0)),
        Colour('brown', (0.055, 0.075), (0.60, 0.72), (0.34, 0.46)),
        Colour('black', (0.0, 1.0), (0.0, 0.10), (0.06, 0.10)),
        Colour('white', (0.0, 1.0), (0.0, 0.03), (0.95, 1.0)),
        Colour('grey', (0.0, 1.0), (0.0, 0.05), (0.42, 0.55), ('gray',)),
    )
}

TEXTURES: dict[str, tuple[str, ...]] = {
    'plain': (),
    'striped': ('stripy',),
    'dotted': ('spotted', 'polka dot'),
    'checkered': ('chequered',),
    'marbled': ('mottled',),
}
"""Names of the textures, each with other words for it."""

FINISHES: dict[str, Finish] = {
    'metal': Finish((0.62, 0.63, 0.66), ('grey', 'white'), specular=0.8, shininess=0.7),
    'wood': Finish((0.55, 0.38, 0.22), ('brown', 'orange')),
    'dark': Finish((0.10, 0.10, 0.11), ('black',)),
    'rubber': Finish((0.85, 0.45, 0.45), ('pink', 'red')),
    'white': Finish((0.93, 0.93, 0.91), ('white',)),
    'paper': Finish((0.90, 0.86, 0.74), ('white', 'yellow'), specular=0.05),
    'glass': Finish((0.62, 0.80, 0.88), ('blue', 'grey', 'white'), specular=0.9, shininess=0.9),
    'glow': Finish((1.0, 0.96, 0.75), ('white', 'yellow'), emission=0.5),
    'flame': Finish((1.0, 0.65, 0.15), ('orange', 'yellow'), emission=0.7),
    'leaf': Finish((0.20, 0.50, 0.16), ('green',)),
    'dough': Finish((0.83, 0.62, 0.36), ('brown', 'orange', 'yellow')),
    'cherry': Finish((0.72, 0.06, 0.10), ('red',), specular=0.7),
    'soil': Finish((0.20, 0.13, 0.09), ('brown', 'black'), specular=0.0),
    'clay': Finish((0.70, 0.38, 0.25), ('brown', 'orange', 'red'), specular=0.05),
    'beak': Finish((0.95, 0.55, 0.10), ('orange', 'yellow')),
}
"""Looks of the parts that keep their own colour; 'contrast' is resolved by `contrasting`."""

CATEGORIES: dict[str, Category] = {
    category.name: category
    for module in (kitchen, food, workshop, household, toys)
    for category in module.CATEGORIES
}


@functools.cache
def excluded_pairs() -> frozenset[tuple[str, str]]:
    """Returns the (colour, category) pairs that no scene with a seed for training contains.

    They are 15 % of all pairs, listed in ``excluded_pairs.json``. They do occur in scenes with a
    seed from `HELD_OUT_SEED` on, where they measure whether an encoder composes words.
    """
    text = resources.files(__package__).joinpath('excluded_pairs.json').read_text('utf-8')
    return frozenset((colour, category) for colour, category in json.loads(text)['pairs'])


def contrasting(rgb: Float[np.ndarray, '3']) -> Finish:
    """Returns the lighter or the darker finish, whichever shows on the colour."""
    return FINISHES['dark'] if rgb @ (0.30, 0.59, 0.11) > 0.55 else FINISHES['white']


def paint(
    texture: str, rgb: Float[np.ndarray, '3'], rng: np.random.Generator, size: int = 64
) -> UInt8[np.ndarray, 'size size 3']:
    """Returns a tile, seamless in both directions, of a texture on a ground of the colour.

    The colour keeps more than half of the tile, so that the object still goes by its name.

    Raises:
        ValueError: The texture is not one of `TEXTURES`.
    """
    row, col = np.mgrid[0:size, 0:size] / size
    if texture == 'plain':
        amount = np.zeros((size, size))
    elif texture == 'striped':
        amount = (col if rng.random() < 0.5 else row) % 0.5 < 0.5 * rng.uniform(0.30, 0.42)
    elif texture == 'dotted':
        radius = rng.uniform(0.20, 0.26)
        inside = [
            (row - y) ** 2 + (col - x) ** 2 < radius**2 / 2
            for x, y in ((0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25))
        ]
        amount = np.any(inside, axis=0)
    elif texture == 'checkered':
        amount = 0.6 * (((row * 4).astype(int) + (col * 4).astype(int)) % 2)
    elif texture == 'marbled':
        field = np.zeros((size, size))
        for _ in range(6):
            along, across = rng.integers(-3, 4, size=2)
            phase = rng.uniform(0, 2 * np.pi)
            field += np.sin(
                2 * np.pi * (along * row + across * col) + phase + np.sin(4 * np.pi * row)
            )
        amount = 0.6 * np.clip(1 - np.abs(field) / 1.1, 0, 1)
    else:
        raise ValueError(f'texture: expected one of {", ".join(TEXTURES)}, got {texture!r}')
    other = np.array(contrasting(rgb).rgb)
    # The second colour is mixed with the first, for a pattern and not a second name.
    second = 0.35 * rgb + 0.65 * other
    amount = np.asarray(amount, dtype=np.float64)[..., None]
    return np.round(255 * (rgb * (1 - amount) + second * amount)).astype(np.uint8)
