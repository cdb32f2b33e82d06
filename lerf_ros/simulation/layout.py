"""What stands on the table, and where, before physics has its say."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from lerf_ros.geometry import Array
from lerf_ros.simulation.catalogue import (
    CATEGORIES,
    COLOURS,
    HELD_OUT_SEED,
    TEXTURES,
    excluded_pairs,
)
from lerf_ros.simulation.category import Part
from lerf_ros.simulation.shapes import axis_rotation

TABLE_SIZE_M = (1.0, 0.8)
_CELL_M = 0.004
_DROP_M = 0.003
_BORDER_M = 0.03


@dataclass(frozen=True)
class Ground:
    """A flat place for things, in its own frame: the middle is the origin, z = 0 the top.

    Attributes:
        size_m: Sides along x and y.
        spread_m: How far from the middle the centres of things may be, along x and y.
        clear_m: Free height above it.
    """

    size_m: tuple[float, float]
    spread_m: tuple[float, float]
    clear_m: float = math.inf


TABLE = Ground(TABLE_SIZE_M, (0.41, 0.33))


@dataclass(frozen=True, eq=False)
class Item:
    """One object to put on the table.

    Attributes:
        category: Key of `CATEGORIES`.
        colour: Key of `COLOURS`.
        texture: Key of `TEXTURES`.
        rgb: The shade of the colour.
        parts: Its meshes, in its own frame.
        object_to_world: Where it is dropped.
    """

    category: str
    colour: str
    texture: str
    rgb: Float[Array, '3']
    parts: tuple[Part, ...]
    object_to_world: Float[Array, '4 4']


def allowed_pairs(seed: int) -> list[tuple[str, str]]:
    """Returns the (colour, category) pairs a scene with this seed may contain, in fixed order."""
    left_out = excluded_pairs() if seed < HELD_OUT_SEED else frozenset()
    return [(c, k) for c in COLOURS for k in CATEGORIES if (c, k) not in left_out]


def draw_pairs(seed: int, count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Returns distinct (colour, category) pairs, several of which share a word.

    A fifth of them repeats a category and a third a colour that is there already, so that neither
    word alone says which object is meant.
    """
    allowed = allowed_pairs(seed)
    # A held-out scene shows the pairs that training never saw more often than chance would.
    unseen = [pair for pair in allowed if pair in excluded_pairs()]
    chosen: list[tuple[str, str]] = []
    while len(chosen) < count:
        free = [pair for pair in allowed if pair not in chosen]
        kind = rng.random()
        if unseen and kind > 0.8:
            free = [pair for pair in free if pair in unseen] or free
        elif chosen and kind < 0.2:
            categories = [category for _, category in chosen]
            free = [p for p in free if categories.count(p[1]) == 1] or free
        elif chosen and kind < 0.5:
            free = [p for p in free if p[0] in {colour for colour, _ in chosen}]
            free = [p for p in free if p[1] not in {category for _, category in chosen}] or free
        else:
            free = [p for p in free if p[1] not in {category for _, category in chosen}] or free
        # A category first: they are then equally frequent whatever the number of their colours.
        categories = sorted({category for _, category in free})
        category = categories[rng.integers(len(categories))]
        free = [p for p in free if p[1] == category]
        chosen.append(free[rng.integers(len(free))])
    return chosen


def place(
    pairs: list[tuple[str, str]],
    gap_m: float,
    required: bool,
    rng: np.random.Generator,
    ground: Ground = TABLE,
    stacked_share: float = 0.0,
    size_m: tuple[float, float] | None = None,
) -> list[Item]:
    """Returns items for the pairs with places where none touches another.

    Args:
        pairs: (colour, category) of each; the order of the result is theirs.
        gap_m: Least free distance between two footprints.
        required: Whether all must find a place; else those that do not are left out.
        rng: Draws proportions, textures, shades and places.
        ground: Where they are put; the table if not said otherwise.
        stacked_share: Share of the items, the smallest, that are dropped onto others.
        size_m: Least and greatest mean of the two longer sides; None leaves things as they are.

    Raises:
        ValueError: An item that is required finds no place.
    """
    built = []
    for colour, category in pairs:
        parts = tuple(CATEGORIES[category].build(rng))
        if size_m is not None:
            parts = _of_size(parts, rng.uniform(*size_m))
        texture = 'plain' if rng.random() < 0.5 else str(rng.choice(list(TEXTURES)))
        rgb = COLOURS[colour].sample(rng)
        built.append((colour, category, texture, rgb, parts, _pose(category, rng)))
    points = [np.concatenate([p.mesh.vertices for p in b[4]]) @ b[5].T for b in built]
    area = [float(np.prod(np.ptp(p[:, :2], axis=0))) for p in points]
    taken = np.zeros(
        (round(ground.size_m[1] / _CELL_M), round(ground.size_m[0] / _CELL_M)), dtype=np.uint8
    )
    heights = np.zeros(taken.shape, dtype=np.float64)
    lying = len(built) - round(stacked_share * len(built))
    items: dict[int, Item] = {}
    # The large ones first: the small ones fit in between, or on top.
    for rank, i in enumerate(np.argsort(area)[::-1]):
        colour, category, texture, rgb, parts, pose = built[i]
        if rank < lying:
            found = _free_place(points[i], taken, gap_m, rng, ground)
        else:
            found = _place_above(points[i], heights, rng, ground)
        if found is None:
            if required:
                raise ValueError(f'objects: expected all to fit on the table, got {len(pairs)}')
            continue
        rotation, offset = found
        dropped = points[i] @ rotation.T + offset
        under = _footprint(dropped[:, :2], heights.shape, ground)
        heights[under] = dropped[:, 2].max()
        object_to_world = np.eye(4)
        object_to_world[:3, :3] = rotation @ pose
        object_to_world[:3, 3] = offset
        items[int(i)] = Item(category, colour, texture, rgb, parts, object_to_world)
    return [items[i] for i in sorted(items)]


def _pose(category: str, rng: np.random.Generator) -> Float[Array, '3 3']:
    poses = CATEGORIES[category].poses
    weights = np.array([pose[0] for pose in poses])
    _, axis, angle_deg = poses[rng.choice(len(poses), p=weights / weights.sum())]
    return axis_rotation(axis, angle_deg) if axis else np.eye(3)


def _free_place(
    points: Float[Array, 'n 3'],
    taken: Array,
    gap_m: float,
    rng: np.random.Generator,
    ground: Ground,
) -> tuple[Float[Array, '3 3'], Float[Array, '3']] | None:
    """Finds a turn about z and an offset, and marks the footprint as taken."""
    if np.ptp(points[:, 2]) > ground.clear_m:
        return None
    spread_x, spread_y = ground.spread_m
    for attempt in range(60):
        rotation = axis_rotation('z', rng.uniform(0, 360))
        turned = points @ rotation.T
        # Near the middle at first, so that the camera sees all; farther out when it gets crowded.
        reach = 0.45 + 0.55 * attempt / 60
        centre = -(turned.min(axis=0) + turned.max(axis=0)) / 2
        x, y = (
            rng.uniform(-spread_x, spread_x) * reach,
            rng.uniform(-spread_y, spread_y) * reach,
        )
        offset = centre + np.array([x, y, 0.0])
        offset[2] = _DROP_M - turned[:, 2].min()
        flat = (turned + offset)[:, :2]
        if (np.abs(flat).max(axis=0) > np.array(ground.size_m) / 2 - _BORDER_M).any():
            continue
        footprint = _footprint(flat, taken.shape, ground)
        if (taken[footprint] > 0).any():
            continue
        reach_cells = 2 * math.ceil(gap_m / _CELL_M) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach_cells, reach_cells))
        taken |= cv2.dilate(footprint.astype(np.uint8), disc)
        return rotation, offset
    return None


def _place_above(
    points: Float[Array, 'n 3'],
    heights: Float[Array, 'rows cols'],
    rng: np.random.Generator,
    ground: Ground,
) -> tuple[Float[Array, '3 3'], Float[Array, '3']] | None:
    """Finds a turn about z and an offset over what is there already."""
    for _ in range(60):
        rotation = axis_rotation('z', rng.uniform(0, 360))
        turned = points @ rotation.T
        offset = -(turned.min(axis=0) + turned.max(axis=0)) / 2
        offset[:2] += rng.uniform(-0.45, 0.45, 2) * ground.spread_m
        under = _footprint((turned + offset)[:, :2], heights.shape, ground)
        if (heights[under] > 0).mean() > 0.5:
            offset[2] = heights[under].max() + _DROP_M - turned[:, 2].min()
            return rotation, offset
    return None


def _of_size(parts: tuple[Part, ...], size_m: float) -> tuple[Part, ...]:
    """Returns the same thing with another mean of its two longer sides."""
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    factor = size_m / float(np.sort(np.ptp(vertices, axis=0))[1:].mean())
    return tuple(
        replace(part, mesh=replace(part.mesh, vertices=part.mesh.vertices * factor))
        for part in parts
    )


def _footprint(
    flat: Float[Array, 'n 2'], shape: tuple[int, int], ground: Ground
) -> Bool[Array, 'rows cols']:
    """Returns the cells of the ground under the convex hull of points on it."""
    cells = (flat + np.array(ground.size_m) / 2) / _CELL_M
    hull = cv2.convexHull(np.round(cells).astype(np.int32))
    mask = np.zeros(shape, dtype=np.uint8)
    cv2.fillConvexPoly(mask, hull, 1)
    return mask.astype(bool)
