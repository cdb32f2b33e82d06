from __future__ import annotations

import numpy as np
import pytest
import torch
from scenery import CENTRES, DIRECTIONS, BallField, WordEncoder, mapped

from lerf_ros.config import QueryOptions
from lerf_ros.query.engine import QueryEngine, QueryRequest
from lerf_ros.query.parts import MOST_POINTS

# Ball 0 has a red cap: the top of it says its own name.
CAP = 30
CAP_FROM_M = 0.075


class CappedField(BallField):
    def embed(self, features, scale_m):
        plain = super().embed(features, scale_m)
        centre = torch.tensor(CENTRES[0], dtype=features.dtype)
        near = torch.linalg.norm(features - centre, dim=1) < 0.06
        cap = near & (features[:, 2] > CAP_FROM_M)
        return plain + 0.5 * cap[:, None] * DIRECTIONS[CAP]


class PartEncoder(WordEncoder):
    def _direction(self, text):
        return DIRECTIONS[CAP] if 'cap' in text else super()._direction(text)


@pytest.fixture(scope='module')
def surface():
    return mapped(noise_m=0.001)


def ask(surface, *positives, **options):
    engine = QueryEngine(PartEncoder(), QueryOptions())
    request = QueryRequest(positives, **options)
    return engine.query(request, field=CappedField(), surface=surface, step=0, stamp_ns=0)


def test_a_part_lies_in_its_object(surface):
    (result,) = ask(surface, '0; cap')
    assert result.phrase == '0; cap'
    assert result.object is not None
    obj, part = result.object.maxima[0], result.maxima[0]
    assert set(part.point_indices) < set(obj.point_indices)
    assert np.linalg.norm(obj.position_m - CENTRES[0]) < 0.012
    heights = surface.points().positions[part.point_indices][:, 2]
    assert np.median(heights) > CAP_FROM_M
    assert part.position_m[2] > CAP_FROM_M
    assert part.box_size_m[2] < 0.6 * obj.box_size_m[2]


def test_part_as_a_field_equals_part_in_the_phrase(surface):
    (inline,) = ask(surface, '0; cap')
    (field,) = ask(surface, '0', parts=('cap',))
    assert field.phrase == inline.phrase
    assert (field.maxima[0].point_indices == inline.maxima[0].point_indices).all()


def test_relevancy_of_a_part_is_that_of_its_objects_only(surface):
    (result,) = ask(surface, '0; cap', max_maxima=1)
    outside = np.ones(len(result.relevancy), bool)
    outside[result.object.maxima[0].point_indices] = False
    assert (result.relevancy[outside] == 0).all()
    assert result.relevancy[result.maxima[0].point_indices].min() > 0.5


def test_existence_is_that_of_the_object(surface):
    (result,) = ask(surface, '0; cap')
    assert result.exists == result.object.exists
    assert result.confidence == result.object.confidence


def test_keyframes_correct_a_blurred_field(surface):
    """The field says the whole ball is the cap; what keyframes show is sharp."""

    class Blurred(BallField):
        def embed(self, features, scale_m):
            plain = super().embed(features, scale_m)
            near = (
                torch.linalg.norm(features - torch.tensor(CENTRES[0]).to(features), dim=1) < 0.06
            )
            return plain + 0.5 * near[:, None] * DIRECTIONS[CAP]

    asked = []

    def views(points, indices, scales_m):
        positions = torch.from_numpy(points.positions[indices])
        asked.append(len(indices))
        sharp = torch.stack(
            [CappedField().embed(positions, scale.expand(len(positions))) for scale in scales_m], 1
        )
        unit = torch.nn.functional.normalize(sharp, dim=-1)
        return unit, torch.ones(unit.shape[:2], dtype=torch.bool)

    def nothing(points, indices, scales_m):
        shape = (len(indices), len(scales_m))
        return torch.zeros(*shape, DIRECTIONS.shape[1]), torch.zeros(shape, dtype=torch.bool)

    heights_m = {}
    for name, reader in (('field', None), ('views', views), ('nothing', nothing)):
        engine = QueryEngine(PartEncoder(), QueryOptions())
        (result,) = engine.query(
            QueryRequest(('0; cap',)),
            field=Blurred(),
            surface=surface,
            step=0,
            stamp_ns=0,
            views=reader,
        )
        points = surface.points().positions[result.maxima[0].point_indices]
        heights_m[name] = float(np.median(points[:, 2]))
    assert asked
    assert sum(asked) <= MOST_POINTS < len(surface.points())  # of objects alone, and not of all
    assert heights_m['views'] > CAP_FROM_M > heights_m['field']
    assert heights_m['nothing'] == heights_m['field']
