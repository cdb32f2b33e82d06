"""Tests of lerf_ros.maps.coarse_index: what it says of cells, in few numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lerf_ros.config import QueryOptions
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps import coarse_index
from lerf_ros.maps.coarse_index import SCALES_M, CoarseIndex, build_index, promises
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.reading import read_embeddings
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.points import SurfacePoints

SIZE, KINDS, CELL_M = 128, 6, 0.1


class Striped:
    """A field that shows one of a few kinds in each 20 cm of x, changed a little by scale."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.kinds = F.normalize(torch.randn(KINDS, SIZE, generator=generator), dim=-1)
        self.by_scale = 0.2 * F.normalize(torch.randn(SIZE, generator=generator), dim=-1)

    def language_features(self, positions_world):
        kind = (positions_world[:, 0] / 0.2).floor().long() % KINDS
        return F.one_hot(kind, KINDS).float()

    def embed(self, features, scale_m):
        return F.normalize(features @ self.kinds + scale_m[:, None] * self.by_scale, dim=-1)


@pytest.fixture(scope='module')
def points() -> SurfacePoints:
    camera = PinholeCamera(100.0, 100.0, 80.0, 60.0, 160, 120)
    surface = SurfaceMap(QueryOptions(voxel_m=0.02, min_views=1))
    depth_m, image = np.full((120, 160), 0.8, np.float32), np.zeros((120, 160, 3), np.uint8)
    surface.integrate(KeyframeId('camera', 0), depth_m, image, camera, np.eye(4))
    return surface.points()


@pytest.fixture(scope='module')
def index(points) -> CoarseIndex:
    return build_index(Striped(), points, CELL_M, 3, 7, torch.device('cpu'))


def phrase_of(field: Striped, kind: int) -> Phrase:
    others = field.kinds[torch.arange(KINDS) != kind]
    return Phrase('thing', field.kinds[kind][None], others, distractors=others, temperature=10.0)


def scores_of(index: CoarseIndex, phrase: Phrase) -> np.ndarray:
    (scores,) = promises([index], phrase)
    return scores


def test_the_best_cells_of_a_phrase_are_those_that_show_it(index, points):
    field = Striped()
    assert index.step == 7
    for kind in range(3):
        scores = scores_of(index, phrase_of(field, kind))
        shown = np.floor(index.centres[:, 0] / 0.2).astype(int) % KINDS == kind
        best = np.argsort(-scores)[: shown.sum() // 2]
        assert shown[best].all()


def test_few_directions_say_what_all_would(index, points):
    field = Striped()
    assert index.embeddings.shape[2] == len(index.basis) < SIZE / 4
    assert torch.allclose(index.basis @ index.basis.T, torch.eye(len(index.basis)), atol=1e-5)
    phrase = phrase_of(field, 1)
    nearest = [
        int(np.linalg.norm(points.positions - centre, axis=1).argmin()) for centre in index.centres
    ]
    read = read_embeddings(
        field, torch.from_numpy(points.positions[nearest]), torch.tensor(SCALES_M)
    )
    mine, others = (read @ texts.T for texts in (phrase.positives, phrase.distractors))
    exact = (mine.amax(dim=2) - 2 / 3 * others.amax(dim=2)).amax(dim=1).numpy()
    scores = scores_of(index, phrase)
    compared = np.isfinite(scores)
    assert compared.sum() >= min(256, len(index))
    assert np.abs(scores - exact)[compared].max() < 0.02


def test_cells_far_from_a_phrase_are_passed_over_and_never_the_best(index, monkeypatch):
    phrase = phrase_of(Striped(), 1)
    whole = scores_of(index, phrase)
    monkeypatch.setattr(coarse_index, '_LEAST_COMPARED', 1)
    some = scores_of(index, phrase)
    compared = np.isfinite(some)
    least = math.ceil(coarse_index._COMPARED_SHARE * len(index))
    # Cells that are equally close are compared together.
    assert least <= compared.sum() <= 2 * least < len(index)
    assert np.array_equal(some[compared], whole[compared])
    assert some.max() == pytest.approx(whole.max(), abs=0.02)


def test_closeness_in_whole_numbers_is_that_in_fractions(index, monkeypatch):
    field = Striped()
    phrase = phrase_of(field, 1)
    several = replace(phrase, positives=field.kinds[1:3])
    for one in (phrase, several):
        exact = index.embeddings.float() / 127 @ (one.positives @ index.basis.T).T
        assert index.closeness(one) == pytest.approx(exact.amax(dim=(1, 2)).numpy(), abs=0.01)
    fast = index.closeness(phrase)
    monkeypatch.delattr(torch, '_int_mm')
    assert np.array_equal(index.closeness(phrase), fast)


def test_many_submaps_are_compared_as_one_and_cost_no_more_than_a_few(index, monkeypatch):
    phrase = phrase_of(Striped(), 1)
    alone = scores_of(index, phrase)
    other = replace(index, embeddings=(index.embeddings / 3).to(torch.int8))
    empty = build_index(
        Striped(), SurfaceMap(QueryOptions()).points(), CELL_M, 3, 0, torch.device('cpu')
    )
    monkeypatch.setattr(coarse_index, '_LEAST_COMPARED', 1)
    monkeypatch.setattr(coarse_index, '_MOST_COMPARED', 8)
    scores = promises([other, empty, index, other], phrase)
    assert [len(each) for each in scores] == [len(index), 0, len(index), len(index)]
    # All that is compared is where the phrase is closest, and says there what it says alone.
    compared = np.isfinite(scores[2])
    assert 8 <= compared.sum() < len(index) / 4
    assert np.array_equal(scores[2][compared], alone[compared])
    assert not np.isfinite(scores[0]).any()


def test_a_phrase_without_distractors_is_held_against_its_negatives(index):
    phrase = phrase_of(Striped(), 1)
    bare = replace(phrase, distractors=phrase.distractors[:0])
    assert np.array_equal(scores_of(index, bare), scores_of(index, phrase))
    alone = replace(bare, negatives=bare.negatives[:0])
    shown = np.floor(index.centres[:, 0] / 0.2).astype(int) % KINDS == 1
    assert shown[scores_of(index, alone).argmax()]


def test_an_index_comes_back_from_a_file_as_it_was(index):
    state = index.state_dict()
    again = CoarseIndex.from_state(state)
    phrase = phrase_of(Striped(), 2)
    assert np.array_equal(scores_of(again, phrase), scores_of(index, phrase))
    assert torch.equal(again.means(), index.means())
    assert again.means().shape == (len(SCALES_M), SIZE)
    with pytest.raises(ValueError, match='lacks'):
        CoarseIndex.from_state({name: state[name] for name in ('centres', 'step', 'embeddings')})
    with pytest.raises(ValueError, match='expected a basis'):
        CoarseIndex.from_state({**state, 'basis': state['basis'][:-1]})


def test_a_surface_without_points_has_an_index_without_cells():
    empty = SurfaceMap(QueryOptions()).points()
    index = build_index(Striped(), empty, CELL_M, 3, 0, torch.device('cpu'))
    assert len(index) == 0
    assert len(scores_of(index, phrase_of(Striped(), 0))) == 0


def differing_one_by_one(points: SurfacePoints, members: np.ndarray, count: int) -> list[int]:
    """Farthest point sampling in colour and place, as one would write it: the slow twin."""
    members = members[np.argsort(points.keys[members], kind='stable')]
    colours = points.colours[members].astype(np.float64) / 255
    looks = np.hstack([colours, points.positions[members] / 0.25])
    chosen = [int(((looks - looks.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    while len(chosen) < count:
        far = [min(((look - looks[row]) ** 2).sum() for row in chosen) for look in looks]
        chosen.append(int(np.argmax(far)))
    return [int(members[row]) for row in chosen]


def test_a_small_thing_stands_for_its_cell_beside_the_shelf_that_it_lies_on(points):
    cells = np.floor(points.positions / CELL_M).astype(np.int64)
    names = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
    colours = np.full((len(points), 3), 200, np.uint8)
    (full,) = np.flatnonzero(np.bincount(names) == np.bincount(names).max())[:1]
    thing = np.flatnonzero(names == full)[:2]
    colours[thing] = (200, 20, 20)
    painted = replace(points, colours=colours)
    rows = coarse_index._differing_rows(painted, names, 3)
    assert set(rows[full]) & set(thing)
    for name in range(len(rows)):
        members = np.flatnonzero(names == name)
        assert set(rows[name]) <= set(members)
        assert rows[name].tolist() == differing_one_by_one(painted, members, 3)
    shuffled = np.random.default_rng(0).permutation(len(points))
    changed = replace(
        painted,
        **{
            name: getattr(painted, name)[shuffled]
            for name in ('positions', 'colours', 'normals', 'views', 'confidence')
        },
        visible_height_m=painted.visible_height_m[shuffled],
        seen_by=painted.seen_by[shuffled],
        keys=painted.keys[shuffled],
    )
    again = coarse_index._differing_rows(changed, names[shuffled], 3)
    np.testing.assert_array_equal(changed.keys[again], painted.keys[rows])


def test_what_is_like_the_phrase_and_more_like_another_comes_before_what_is_like_neither(points):
    """A spoon that looks even more like a fork is still a better place than a wall."""
    spoon, fork, wall = F.normalize(torch.randn(3, SIZE, generator=torch.manual_seed(1)), dim=-1)

    class SpoonOnWall(Striped):
        def embed(self, features, scale_m):
            on_wall = features[:, :1] > 0
            return F.normalize(torch.where(on_wall, wall, 0.8 * spoon + 0.9 * fork), dim=-1)

    index = build_index(SpoonOnWall(), points, CELL_M, 3, 0, torch.device('cpu'))
    phrase = Phrase('spoon', spoon[None], wall[None], distractors=fork[None], temperature=10.0)
    scores = index.advantage(phrase, np.arange(len(index)))
    seen = (index.centres[:, 0] // 0.2).astype(int) % KINDS != 0
    whole = np.abs(index.centres[:, 0] / 0.2 - np.round(index.centres[:, 0] / 0.2)) > 0.2
    assert (seen & whole).any()
    assert (~seen & whole).any()
    assert scores[seen & whole].min() > scores[~seen & whole].max()
