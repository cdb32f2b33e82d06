"""What is it? Texts compared with a place; and reading at one scale."""

from __future__ import annotations

import numpy as np
import pytest
from scenery import CENTRES, RADII, BallField, WordEncoder, mapped

from lerf_ros.config import FeatureOptions, QueryOptions
from lerf_ros.query.distractors import NOUNS
from lerf_ros.query.engine import QueryEngine, QueryRequest
from lerf_ros.query.likeness import MAX_TEXTS, familiar_texts, likeness


@pytest.fixture(scope='module')
def surface():
    return mapped()


def like(surface, position_m, *texts):
    return likeness(
        np.asarray(position_m),
        texts,
        encoder=WordEncoder(),
        field=BallField(),
        points=surface.points(),
        options=QueryOptions(),
        features=FeatureOptions(),
    )


@pytest.mark.parametrize('number', range(len(CENTRES)))
def test_a_place_is_most_like_what_lies_there(surface, number) -> None:
    top = CENTRES[number] + [0, 0, RADII[number]]
    found = like(surface, top, *map(str, range(len(CENTRES))))
    assert found.texts[0] == str(number)
    assert sum(found.shares) == pytest.approx(1, abs=1e-5)
    assert list(found.shares) == sorted(found.shares, reverse=True)
    assert found.scale_m == pytest.approx(2 * RADII[number], rel=0.5)


@pytest.mark.parametrize(
    ('texts', 'sentence'),
    [((), 'expected 1 to'), (('mug',) * (MAX_TEXTS + 1), 'got 257'), (('mug', '!'), 'words')],
)
def test_what_cannot_be_compared_is_refused(surface, texts, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        like(surface, np.zeros(3), *texts)


def test_one_scale_is_read_where_it_is_asked_for(surface) -> None:
    engine = QueryEngine(WordEncoder(), QueryOptions(), FeatureOptions())

    def ask(scale_m):
        request = QueryRequest(('0',), scale_m=scale_m)
        return engine.query(request, field=BallField(), surface=surface, step=3, stamp_ns=1)[0]

    best, fitting, wrong = ask(None), ask(2 * RADII[0]), ask(10 * RADII[0])
    assert len(np.unique(best.scale_m)) > 1
    assert len(np.unique(fitting.scale_m)) == len(np.unique(wrong.scale_m)) == 1
    assert fitting.scale_m[0] == pytest.approx(2 * RADII[0], rel=0.15)
    assert wrong.relevancy.max() < fitting.relevancy.max() <= best.relevancy.max() + 1e-6


@pytest.mark.parametrize('scale_m', [0.0, -1.0, float('nan'), float('inf')])
def test_a_scale_that_is_none_is_refused(scale_m) -> None:
    with pytest.raises(ValueError, match='scale_m'):
        QueryRequest(('mug',), scale_m=scale_m).check()


def test_a_place_is_compared_with_what_the_encoder_was_taught() -> None:
    class Taught(WordEncoder):
        things = ('lever', 'wheel')

    assert familiar_texts(Taught()) == ('lever', 'wheel')
    assert familiar_texts(WordEncoder()) == NOUNS
