"""What a category of objects is: named parts of meshes, poses it rests in, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lerf_ros.simulation.shapes import Mesh

UPRIGHT = (1.0, '', 0.0)


@dataclass(frozen=True, eq=False)
class Part:
    """One named part of an object.

    Attributes:
        name: Noun, as in 'handle'.
        mesh: Surface in the frame of the object, z up, metres.
        finish: 'main' for the colour of the object, else a key of `catalogue.FINISHES`.
    """

    name: str
    mesh: Mesh
    finish: str = 'main'


@dataclass(frozen=True)
class Category:
    """A kind of object.

    Attributes:
        name: Noun, as in 'mug'.
        synonyms: Other nouns for the same thing.
        build: Makes the parts of one instance; draws its proportions from the generator.
        poses: Resting poses as (weight, axis, angle in degrees) turned from the pose it is built
            in; an empty axis leaves it as built.
    """

    name: str
    synonyms: tuple[str, ...]
    build: Callable[[np.random.Generator], list[Part]]
    poses: tuple[tuple[float, str, float], ...] = (UPRIGHT,)
