"""Furniture of a flat: what things stand on, and what stands in the way.

A piece lives in its own frame: metres, z up from the floor, its back at the least y, the origin in
the middle of its footprint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lerf_ros.simulation.shapes import Mesh, box, joined

TABLE, SHELF, COUNTER, BLOCK = 'table', 'shelf', 'counter', 'block'


@dataclass(frozen=True)
class Top:
    """A flat surface of a piece of furniture on which things can stand.

    Attributes:
        size_m: Its sides along x and y.
        centre_m: Its middle in the frame of the piece; z is its height.
        clear_m: Free height above it.
    """

    size_m: tuple[float, float]
    centre_m: tuple[float, float, float]
    clear_m: float


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of furniture.

    Attributes:
        name: Noun, as in 'shelf'.
        kind: `TABLE`, free on all sides; `SHELF` and `COUNTER`, against a wall; or `BLOCK`.
        size_m: Footprint along x and y.
        height_m: Its greatest height.
        meshes: Surfaces with the material each is made of, see `model.ground`.
        tops: What can carry things.
    """

    name: str
    kind: str
    size_m: tuple[float, float]
    height_m: float
    meshes: tuple[tuple[Mesh, str], ...]
    tops: tuple[Top, ...]


def table(rng: np.random.Generator) -> Piece:
    """Returns a table on four legs."""
    x, y = rng.uniform(1.0, 1.5), rng.uniform(0.7, 0.9)
    z = rng.uniform(0.68, 0.76)
    legs = joined(
        *(
            box((0.05, 0.05, z - 0.03), (sx * (x / 2 - 0.05), sy * (y / 2 - 0.05), (z - 0.03) / 2))
            for sx in (-1, 1)
            for sy in (-1, 1)
        )
    )
    board = box((x, y, 0.03), (0, 0, z - 0.015))
    kind = str(rng.choice(['wood', 'plain', 'cloth']))
    return Piece('table', TABLE, (x, y), z, ((board, kind), (legs, 'wood')),
                 (Top((x, y), (0, 0, z), 1.5),))  # fmt: skip


def low_table(rng: np.random.Generator) -> Piece:
    """Returns a coffee table."""
    x, y, z = rng.uniform(0.8, 1.1), rng.uniform(0.5, 0.65), rng.uniform(0.40, 0.48)
    board = box((x, y, 0.04), (0, 0, z - 0.02))
    foot = box((x * 0.5, y * 0.5, z - 0.04), (0, 0, (z - 0.04) / 2))
    kind = str(rng.choice(['wood', 'stone', 'plain']))
    return Piece('low table', TABLE, (x, y), z, ((board, kind), (foot, 'wood')),
                 (Top((x, y), (0, 0, z), 1.5),))  # fmt: skip


def shelf(rng: np.random.Generator) -> Piece:
    """Returns open shelves with a back, to be put against a wall."""
    x, y = rng.uniform(0.9, 1.3), rng.uniform(0.36, 0.42)
    heights = [0.30, 0.72, 1.14]
    z = 1.56
    boards = [box((x, y, 0.025), (0, 0, at - 0.0125)) for at in (*heights, z)]
    sides = [box((0.025, y, z), (sx * (x / 2 - 0.0125), 0, z / 2)) for sx in (-1, 1)]
    back = box((x, 0.015, z), (0, -y / 2 + 0.0075, z / 2))
    tops = tuple(Top((x - 0.06, y - 0.02), (0, 0.005, at), 0.36) for at in heights)
    kind = str(rng.choice(['wood', 'plain']))
    return Piece('shelf', SHELF, (x, y), z, ((joined(*boards, *sides, back), kind),), tops)


def counter(rng: np.random.Generator) -> Piece:
    """Returns a block of cupboards with a worktop, to be put against a wall."""
    x, y, z = rng.uniform(1.4, 2.0), 0.6, rng.uniform(0.86, 0.92)
    body = box((x - 0.02, y - 0.04, z - 0.04), (0, -0.01, (z - 0.04) / 2))
    lid = box((x, y, 0.04), (0, 0, z - 0.02))
    return Piece('counter', COUNTER, (x, y), z, ((body, 'plain'), (lid, 'stone')),
                 (Top((x, y), (0, 0, z), 1.5),))  # fmt: skip


def sofa(rng: np.random.Generator) -> Piece:
    """Returns a sofa, which carries nothing."""
    x, y = rng.uniform(1.4, 1.9), 0.8
    meshes = joined(
        box((x, y, 0.42), (0, 0, 0.21)),
        box((x, 0.2, 0.42), (0, -y / 2 + 0.1, 0.62)),
        *(box((0.16, y, 0.2), (sx * (x / 2 - 0.08), 0, 0.5)) for sx in (-1, 1)),
    )
    return Piece('sofa', BLOCK, (x, y), 0.83, ((meshes, 'cloth'),), ())


def bed(rng: np.random.Generator) -> Piece:
    """Returns a bed."""
    x, y = rng.uniform(1.0, 1.5), 2.0
    return Piece(
        'bed',
        BLOCK,
        (x, y),
        0.9,
        (
            (box((x, y, 0.28), (0, 0, 0.14)), 'wood'),
            (box((x - 0.06, y - 0.1, 0.2), (0, 0.03, 0.38)), 'cloth'),
            (box((x, 0.05, 0.9), (0, -y / 2 + 0.025, 0.45)), 'wood'),
        ),
        (),
    )


def cupboard(rng: np.random.Generator) -> Piece:
    """Returns a closed cupboard."""
    x, y, z = rng.uniform(0.7, 1.1), 0.5, rng.uniform(1.5, 2.0)
    return Piece('cupboard', BLOCK, (x, y), z, ((box((x, y, z), (0, 0, z / 2)), 'wood'),), ())


def chair(rng: np.random.Generator) -> Piece:
    """Returns a chair."""
    side, seat = 0.42, rng.uniform(0.42, 0.47)
    legs = [
        box((0.035, 0.035, seat), (sx * (side / 2 - 0.02), sy * (side / 2 - 0.02), seat / 2))
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    back = box((side, 0.03, 0.45), (0, -side / 2 + 0.015, seat + 0.225))
    whole = joined(*legs, back, box((side, side, 0.03), (0, 0, seat - 0.015)))
    return Piece('chair', BLOCK, (side, side), seat + 0.45, ((whole, 'wood'),), ())


# What stands in each kind of room: what carries things first, for it needs the room most.
FURNISHING: dict[str, tuple[Callable[[np.random.Generator], Piece], ...]] = {
    'living room': (low_table, shelf, sofa, cupboard, chair),
    'kitchen': (counter, table, shelf, chair, chair),
    'bedroom': (shelf, low_table, bed, chair),
    'study': (table, shelf, shelf, chair),
    'workshop': (table, counter, shelf),
    'nursery': (low_table, shelf, bed, chair),
    'dining room': (table, counter, shelf, chair, chair),
}
