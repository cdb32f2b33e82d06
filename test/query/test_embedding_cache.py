from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scenery import CAMERA, WordEncoder, mapped, named, orbit, picture, see
from scenery import SIZE as SIZE_OF_WORDS

from lerf_ros.config import FeatureOptions, FieldOptions, QueryOptions
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.maps.reading import points_at
from lerf_ros.query import reading
from lerf_ros.query.embedding_cache import BLOCK_ROWS, EmbeddingCache
from lerf_ros.query.engine import QueryEngine, QueryRequest
from lerf_ros.query.reading import FieldReader, folded_cosines

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

    def cosines(self, positions, texts):
        return self(positions) @ texts.T


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


@pytest.mark.parametrize('limit', [1 << 30, BLOCK_ROWS * SCALES * SIZE, 0])
def test_lengths_of_a_part_equal_those_read_now(surface_map, limit):
    surface = surface_map.points()
    cache = made(surface, limit)
    cache.refresh(Counter(), 5, len(surface))

    def part(embeddings):
        return F.normalize(embeddings * torch.tensor([0.0] * 3 + [1.0] * (SIZE - 3)), dim=-1)

    wanted = Counter()(torch.from_numpy(surface.positions))[..., 3:].norm(dim=-1)
    assert torch.allclose(cache.lengths(Counter(), part), wanted, atol=1e-5)


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


def grown(surface_map, number, at=1):
    pose = orbit(9)[at]
    depth, balls = see(pose)
    surface_map.integrate(named(number), depth, picture(balls), CAMERA, pose)
    return surface_map.points()


def test_a_surface_that_grows_costs_its_new_points_only():
    """No entry is moved, and no memory is taken but for what is new."""
    surface_map = mapped(views=4)
    cache = made(surface_map.points())
    cache.refresh(Counter(), 7, len(surface_map.points()))
    blocks, rows = list(cache._blocks), dict(zip(cache._keys, cache._key_rows, strict=True))
    for number in range(3):
        points = grown(surface_map, 70 + number, at=1 + number)
        cache.follow(points, SCALES, SIZE, CPU)
        assert all(mine is theirs for mine, theirs in zip(cache._blocks, blocks, strict=False))
        now = dict(zip(cache._keys, cache._key_rows, strict=True))
        assert all(now[key] == row for key, row in rows.items() if key in now)
        assert len(set(now.values())) == len(now) == len(points)
        held = sum(len(block) for block in cache._blocks)
        assert held < len(points) + BLOCK_ROWS
    reader = Counter()
    cache.refresh(reader, 8, len(points), min_age_steps=100)
    assert 0 < reader.points < len(points) - 0.8 * len(rows)


def test_rows_of_points_that_are_gone_are_used_again():
    surface_map = mapped(views=4)
    before = surface_map.points()
    limit = len(before) * 4 * SCALES * SIZE
    cache = made(before, limit)
    cache.refresh(Counter(), 7, len(before))
    surface_map.move({named(number): np.diag([-1.0, -1.0, 1.0, 1.0]) for number in range(4)})
    after = surface_map.points()
    assert np.isin(after.keys, before.keys).mean() < 0.9
    cache.follow(after, SCALES, SIZE, CPU)
    assert len(cache.steps) == len(after)
    assert (cache.steps[~np.isin(after.keys, before.keys)] == -1).all()
    cache.refresh(Counter(), 8, len(after))
    assert cache.cosines(Counter(), TEXTS) == pytest.approx(exact(after), abs=1e-5)
    assert sum(block.numel() * 4 for block in cache._blocks) <= limit


def test_the_mean_leaves_out_what_was_never_read(surface_map):
    surface = surface_map.points()
    cache = made(surface)
    cache.refresh(Counter(), 5, 300)
    read = cache.steps == 5
    expected = Counter()(torch.from_numpy(surface.positions[read])).mean(dim=0)
    torch.testing.assert_close(cache.means(), F.normalize(expected, dim=-1))


def test_points_without_room_are_read_in_the_folded_form(surface_map):
    """The readable twin is the product with embeddings that are made one by one."""
    surface = surface_map.points()
    field = LerfField(FieldOptions(), SceneBox((0.0, 0.0, 0.0), 0.6), 64, seed=3)
    for parameter in field.parameters():
        parameter.requires_grad_(False)
    scales_m = torch.tensor([0.05, 0.1, 0.2])
    texts = F.normalize(torch.randn(5, 64, generator=torch.Generator().manual_seed(2)), dim=1)
    reader = FieldReader(field, scales_m)
    answers = []
    for limit in (1 << 30, 500 * 4 * 3 * 64, 0):
        cache = EmbeddingCache(limit)
        cache.follow(surface, 3, 64, CPU)
        cache.refresh(reader, 1, len(surface))
        answers.append((cache.cosines(reader, texts), cache.cosines_by_scale(reader, texts[:3])))
    positions = torch.from_numpy(surface.positions)
    twin = torch.stack(
        [
            F.normalize(
                field.embed(field.language_features(positions), scale.expand(len(positions))),
                dim=-1,
            )
            @ texts.T
            for scale in scales_m
        ],
        dim=1,
    )
    for cosines, by_scale in answers:
        torch.testing.assert_close(cosines, twin, atol=1e-4, rtol=0)
        expected = twin[..., :3].diagonal(dim1=1, dim2=2)
        torch.testing.assert_close(by_scale, expected, atol=1e-4, rtol=0)


def test_production_folds_where_there_is_no_room(surface_map, monkeypatch):
    field = LerfField(FieldOptions(), SceneBox((0.0, 0.0, 0.0), 0.6), SIZE_OF_WORDS, seed=3)
    field.requires_grad_(False)
    folded = []

    def counting(field_, positions, scales_m, texts):
        folded.append(len(positions))
        return folded_cosines(field_, positions, scales_m, texts)

    monkeypatch.setattr(reading, 'folded_cosines', counting)
    answers = []
    for limit_mb in (1, 256):
        options = QueryOptions(cache_limit_mb=limit_mb)
        engine = QueryEngine(WordEncoder(), options, FeatureOptions())
        (result,) = engine.query(
            QueryRequest(positives=('0',)), field=field, surface=surface_map, step=1, stamp_ns=0
        )
        answers.append(result.relevancy)
    assert len(folded) == 1
    assert 0 < folded[0] < len(surface_map.points())
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-4)


def pieces(surface):
    """Four quarters of a surface, as patches of a large map."""
    middle = np.median(surface.positions, axis=0)
    east, north = (surface.positions[:, axis] > middle[axis] for axis in (0, 1))
    return [
        points_at(surface, np.flatnonzero((east == x) & (north == y)))
        for x in (False, True)
        for y in (False, True)
    ]


def ask_of(cache, surface, step):
    """Returns how many points had to be read for the cosines, which are right."""
    reader = Counter()
    cache.follow(surface, SCALES, SIZE, CPU)
    cache.refresh(reader, step, len(surface), 100)
    assert cache.cosines(reader, TEXTS) == pytest.approx(exact(surface), abs=1e-5)
    assert cache.embeddings(reader, np.arange(len(surface))) == pytest.approx(
        Counter()(torch.from_numpy(surface.positions)), abs=1e-5
    )
    return reader.points


def test_pieces_of_a_surface_keep_what_was_read_of_them(surface_map):
    parts = pieces(surface_map.points())
    cache = EmbeddingCache(1 << 30, by_pieces=True)
    assert [ask_of(cache, part, 1) for part in parts] == [len(part) for part in parts]
    assert [ask_of(cache, part, 2) for part in parts] == [0] * 4
    assert (cache.steps == 1).all()
    # Too old, piece by piece.
    assert ask_of(cache, parts[0], 200) == len(parts[0])
    assert ask_of(cache, parts[0], 201) == 0
    # One alone forgets the others.
    alone = EmbeddingCache(1 << 30)
    assert [ask_of(alone, part, 1) for part in (*parts, parts[0])][-1] == len(parts[0])


def test_of_pieces_the_one_asked_for_longest_ago_goes_first(surface_map):
    parts = pieces(surface_map.points())
    entry = 4 * SCALES * SIZE
    room = len(parts[0]) + len(parts[1]) + len(parts[2]) // 2
    cache = EmbeddingCache(room * entry, by_pieces=True)
    for part in parts[:3]:
        assert ask_of(cache, part, 1) == len(part)
    assert sum(len(block) for block in cache._blocks) <= room
    assert ask_of(cache, parts[1], 2) == 0
    assert ask_of(cache, parts[0], 2) > len(parts[0]) // 3
