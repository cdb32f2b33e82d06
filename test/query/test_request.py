from __future__ import annotations

import math

import numpy as np
import pytest

from lerf_ros.query.engine import Exemplar, QueryRequest, Region

IMAGE = np.zeros((40, 60, 3), np.uint8)


@pytest.mark.parametrize(
    ('request_', 'sentence'),
    [
        (QueryRequest(), 'at least one phrase or exemplar'),
        (QueryRequest(('  ',)), 'expected words to look for'),
        (QueryRequest(('?!...',)), 'expected words to look for'),
        (QueryRequest(('mug',) * 1000), 'at most 64 in one request, got 1000'),
        (QueryRequest(('mug',), negatives=('x',) * 1000), 'negatives: expected at most 256'),
        (QueryRequest(('mug',), negatives=(' ',)), 'negatives: expected words'),
        (QueryRequest(('mug', 'cup'), parts=('handle',)), 'parts: expected one for each'),
        (QueryRequest(('mug; top',), parts=('handle',)), 'already names a part'),
        (QueryRequest(('mug',), min_relevancy=1.5), 'min_relevancy: expected 0 to 1'),
        (QueryRequest(('mug',), min_relevancy=math.nan), 'min_relevancy: expected 0 to 1'),
        (QueryRequest(('mug',), max_maxima=0), 'max_maxima: expected 1 to 100'),
        (QueryRequest(('mug',), region=Region.between((1, 0, 0), (0, 1, 1))), 'sides above 0 m'),
        (QueryRequest(('mug',), region=Region.between((0, 0, 0), (0, 1, 1))), 'sides above 0 m'),
        (
            QueryRequest(('mug',), region=Region.between((math.nan, 0, 0), (1, 1, 1))),
            'region: expected finite',
        ),
        (QueryRequest(exemplars=(Exemplar(IMAGE[:1, :1]),)), 'at least 8 px a side'),
        (QueryRequest(exemplars=(Exemplar(IMAGE, (3, 3, 4, 4)),)), 'at least 8 px a side'),
        (QueryRequest(exemplars=(Exemplar(IMAGE, (70, 0, 90, 30)),)), 'inside the 60x40 image'),
        (QueryRequest(exemplars=(Exemplar(IMAGE, (30, 0, 10, 30)),)), 'inside the 60x40 image'),
        (QueryRequest(exemplars=(Exemplar(IMAGE, (0, 0, math.inf, 9)),)), 'finite box'),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(request_, sentence):
    with pytest.raises(ValueError, match=sentence):
        request_.check()


@pytest.mark.usefixtures('unchecked')
@pytest.mark.parametrize('image', [IMAGE[..., 0], IMAGE / 255.0])
def test_a_picture_that_is_no_picture_is_refused_with_a_sentence(image):
    with pytest.raises(ValueError, match='RGB uint8'):
        QueryRequest(exemplars=(Exemplar(image),)).check()


def test_good_requests_pass():
    QueryRequest(
        positives=('mug', 'red cup; handle'),
        exemplars=(Exemplar(IMAGE, (5.2, 5.0, 30.7, 70.0)),),
        negatives=('table',),
        region=Region.between((-1, -1, -1), (1, 1, 1)),
        min_relevancy=0.5,
    ).check()


def test_parts_as_fields_equal_parts_in_the_phrase():
    fields = QueryRequest(('mug', 'bowl'), parts=('handle', '')).phrases()
    inline = QueryRequest(('mug; handle', 'bowl')).phrases()
    assert [(p.object, p.part) for p in fields] == [(p.object, p.part) for p in inline]
