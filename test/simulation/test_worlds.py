"""The harder tables are what they are called."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lerf_ros.geometry import transform_points
from lerf_ros.simulation import WORLDS, TabletopScene

SEED = 9201


@pytest.fixture(scope='module')
def scenes():
    made = {name: TabletopScene(SEED, options) for name, options in WORLDS.items()}
    yield made
    for scene in made.values():
        scene.close()


def gaps_m(scene):
    """Returns the least distance between the boxes of each object and of any other."""
    low = np.array([obj.box_min_world for obj in scene.objects])
    high = np.array([obj.box_max_world for obj in scene.objects])
    apart = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).clip(min=0)
    distance = np.linalg.norm(apart, axis=2)
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=1)


def test_a_pile_is_large_and_things_touch_and_lie_on_each_other(scenes):
    pile = scenes['clutter']
    assert 20 <= len(pile.objects) <= 32
    # Boxes along the axes overlap before things touch; in a pile nearly all do.
    touching, usual = (np.mean(gaps_m(each) == 0) for each in (pile, scenes['usual']))
    assert touching > max(0.8, usual)
    lifted = [obj.box_min_world[2] > 0.012 for obj in pile.objects]
    assert sum(lifted) >= 2
    assert len({obj.name for obj in pile.objects}) == len(pile.objects)


def test_nothing_hangs_beside_the_table(scenes):
    for scene in scenes.values():
        for obj in scene.objects:
            assert np.abs(obj.box_min_world[:2]).max() < 0.51
            assert obj.box_min_world[2] > -0.01


def test_twins_share_their_name(scenes):
    counts = Counter(obj.name for obj in scenes['twins'].objects)
    assert sum(count > 1 for count in counts.values()) >= 2
    assert max(counts.values()) <= 3
    assert any(count == 1 for count in counts.values())


def test_small_things_are_small(scenes):
    small, usual = (
        [np.sort(obj.box_size_m)[1:].mean() for obj in scenes[name].objects]
        for name in ('small', 'usual')
    )
    assert min(small) > 0.015
    assert max(small) < 0.055
    assert np.median(usual) > max(small)


def test_they_are_the_same_again(scenes):
    for name in ('clutter', 'twins', 'small'):
        with TabletopScene(SEED, WORLDS[name]) as again:
            names = [obj.name for obj in again.objects]
            assert names == [obj.name for obj in scenes[name].objects]
            for one, other in zip(again.objects, scenes[name].objects, strict=True):
                corner = np.zeros((1, 3))
                assert np.array_equal(
                    transform_points(one.object_to_world, corner),
                    transform_points(other.object_to_world, corner),
                )
