from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scenery import CAMERA, mapped, named, orbit, picture, see

from lerf_ros.query.embedding_cache import EmbeddingCache

CPU = torch.device('cpu')
SCALES, SIZE = 3, 8
MIX = torch.randn(3, SCALES * SIZE, generator=torch.Generator().manual_seed(0))
TEXTS = F.normalize(torch.randn(4, SIZE, generator=torch.Generator().manual_seed(1)), dim=1)


class Counter:
    """Reads embeddings and counts the points."""

    def __init__(self, sign: float = 1.0) -> None:
        self.points = 0
        self.sign = sign

    def __call__(self, positions):
        self.points += len(positions)
        return F.normalize((self.sign * positions @ MIX).reshape(-1, SCALES, SIZE), dim=-1)


@pytest.fixture(scope='module')
def surface_map():
    return mapped(views=6)


def exact(surface, sign=1.0):
    return Counter(sign)(torch.from_numpy(surface.positions)) @ TEXTS.T


def made(surface, limit=1 << 30):
    cache = EmbeddingCache(limit)
    cache.follow(surface, SCALES, SIZE, CPU)
    return cache


def test_cached_cosines_equal_those_read_now(surface_map):
    surface = surface_map.points()
    cache = made(surface)
    cache.refresh(Counter(), 5, len(surface))
    assert cache.cosines(Counter(), TEXTS) == pytest.approx(exact(surface), abs=1e-5)
    assert (cache.steps == 5).all()


def test_points_beyond_the_limit_are_read_by_each_query(surface_map):
    surface = surface_map.points()
    cache = made(surface, limit=1000 * 4 * SCALES * SIZE)
    cache.refresh(Counter(), 5, len(surface))
    reader = Counter()
    assert cache.cosines(reader, TEXTS) == pytest.approx(exact(surface), abs=1e-3)
    assert reader.points == len(surface) - 1000
    rows = np.array([3, len(surface) - 1])
    assert cache.embeddings(reader, rows)[1] == pytest.approx(
        Counter()(torch.from_numpy(surface.positions[rows]))[1]
    )


def test_refresh_takes_missing_entries_first_then_the_oldest(surface_map):
    surface = surface_map.points()
    cache = made(surface)
    reader = Counter()
    assert cache.refresh(reader, 1, 400) == 400
    assert cache.refresh(reader, 2, 600) == 600
    assert sorted(set(cache.steps)) == [-1, 1, 2]
    cache.refresh(reader, 3, len(surface) - 1000)
    assert cache.refresh(reader, 4, 400) == 400
    assert sorted(set(cache.steps)) == [2, 3, 4]
    assert (cache.steps == 2).sum() == 600


def test_young_entries_are_kept(surface_map):
    surface = surface_map.points()
    cache = made(surface)
    cache.refresh(Counter(), 10, len(surface))
    assert cache.refresh(Counter(), 10, len(surface)) == 0
    assert cache.refresh(Counter(), 29, len(surface), min_age_steps=20) == 0
    assert cache.refresh(Counter(-1.0), 30, len(surface), min_age_steps=20) == len(surface)
    assert cache.cosines(Counter(), TEXTS) == pytest.approx(exact(surface, -1.0), abs=1e-3)


def test_entries_outlive_the_growth_of_the_surface():
    surface_map = mapped(views=4)
    before = surface_map.points()
    cache = made(before)
    cache.refresh(Counter(), 7, len(before))
    depth, balls = see(orbit(9)[1])
    surface_map.integrate(named(70), depth, picture(balls), CAMERA, orbit(9)[1])
    after = surface_map.points()
    assert after is not before
    cache.follow(after, SCALES, SIZE, CPU)
    kept = np.isin(after.keys, before.keys)
    assert (cache.steps[kept] == 7).all()
    assert (cache.steps[~kept] == -1).all()
    assert (~kept).any()
    reader = Counter()
    cache.refresh(reader, 8, len(after), min_age_steps=100)
    assert reader.points == (~kept).sum()
    # Kept entries were read where the point was before its mean moved a little.
    difference = (cache.cosines(reader, TEXTS) - exact(after)).abs()
    assert difference.median() < 1e-3


def test_other_scales_start_anew(surface_map):
    surface = surface_map.points()
    cache = made(surface)
    cache.refresh(Counter(), 7, len(surface))
    cache.follow(surface, SCALES + 1, SIZE, CPU)
    assert (cache.steps == -1).all()
