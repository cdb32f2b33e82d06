from __future__ import annotations

import numpy as np
import pytest
from bare_surface import bare_surface
from scipy.spatial import cKDTree

from lerf_ros.query.segments import (
    SPECK_POINTS,
    TOUCH_VOXELS,
    connected_components,
    find_segments,
)
from lerf_ros.surface.planes import Plane, Support

VOXEL_M = 0.01


def ring(height_m: float, radius_m: float, x_m: float = 0.0) -> np.ndarray:
    """Returns points around an upright axis."""
    angles = np.arange(0, 2 * np.pi, 0.8 * VOXEL_M / radius_m)
    xy = radius_m * np.stack([np.cos(angles), np.sin(angles)], axis=1) + (x_m, 0)
    return np.column_stack([xy, np.full(len(angles), height_m)])


def segments_of(*things: np.ndarray) -> list[set[int]]:
    """Returns the pieces of each thing; below all is a plane at height 0, without points."""
    positions = np.concatenate(things)
    surface = bare_surface(positions, VOXEL_M)
    table = Plane(np.array([0.0, 0.0, 1.0]), 0.0)
    pairs = cKDTree(positions).query_pairs(TOUCH_VOXELS * VOXEL_M, output_type='ndarray')
    found = find_segments(surface, Support((table,), np.zeros(len(positions), bool)), pairs)
    ends = np.cumsum([len(thing) for thing in things])
    return [set(part.tolist()) for part in np.split(found, ends[:-1])]


BOWL = np.concatenate([ring(z, 0.04) for z in (0.10, 0.11, 0.12, 0.13)])
FOOT = ring(0.01, 0.03)


def test_a_bowl_is_one_with_the_foot_below_it():
    bowl, foot = segments_of(BOWL, FOOT)
    assert len(bowl) == 1
    assert bowl == foot


def test_what_stands_beside_is_another_thing():
    bowl, foot, ball = segments_of(BOWL, FOOT, ring(0.02, 0.03, x_m=0.1))
    assert bowl == foot
    assert not ball & bowl


def test_what_is_wider_is_no_foot():
    bowl, tray = segments_of(BOWL, np.concatenate([ring(0.01, r) for r in (0.09, 0.1, 0.11)]))
    assert not tray & bowl


def test_things_that_stand_stay_apart():
    low, lower = segments_of(ring(0.02, 0.04), ring(0.005, 0.02))
    assert not low & lower


def test_specks_are_no_pieces():
    row = np.array([[0.01 * x, 0.3, 0.01] for x in range(SPECK_POINTS)])
    bowl, speck, short, long = segments_of(BOWL, np.array([[0.0, 0.0, 0.3]]), row[1:], row + 0.2)
    assert len(bowl) == len(long) == 1
    assert min(bowl | long) >= 0
    assert speck == short == {-1}
    assert not bowl & speck


def test_components_are_what_hangs_together():
    components = connected_components(4, np.array([[0, 1], [3, 1]]))
    assert components[0] == components[1] == components[3] != components[2]


@pytest.mark.parametrize('count', [0, 1])
def test_a_surface_of_nothing_has_no_piece(count):
    (found,) = segments_of(np.zeros((count, 3)))
    assert len(found) == count
