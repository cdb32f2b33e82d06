from __future__ import annotations

import numpy as np
import pytest
from kinds_encoder import Kinds
from scenery import (
    CAMERA,
    CENTRES,
    COLOURS,
    RADII,
    BallField,
    WordEncoder,
    mapped,
    named,
    orbit,
    picture,
    see,
)
from scipy.spatial import cKDTree

from lerf_ros.config import FeatureOptions, QueryOptions
from lerf_ros.features.encoder import ExistenceCalibration, ExistenceModel
from lerf_ros.query import objects
from lerf_ros.query.engine import Exemplar, QueryEngine, QueryRequest, Region
from lerf_ros.query.heat_map import view_points
from lerf_ros.scheduling.pieces import finish
from lerf_ros.surface.cloud import SurfaceMap


@pytest.fixture(scope='module')
def surface():
    return mapped(noise_m=0.002)


@pytest.fixture
def engine():
    return QueryEngine(WordEncoder(), QueryOptions(), FeatureOptions())


def ask(engine, surface, *positives, step=3, **options):
    request = QueryRequest(positives=positives, **options)
    return engine.query(request, field=BallField(), surface=surface, step=step, stamp_ns=42)


def heat_of(engine, surface, phrase, depth, pose):
    pieces = engine.heat_map_pieces(
        phrase,
        field=BallField(),
        surface=surface,
        depth_m=depth,
        camera=CAMERA,
        camera_to_world=pose,
        step=3,
    )
    return finish(pieces)


def on_ball(surface, number):
    positions = surface.points().positions
    near = np.linalg.norm(positions - CENTRES[number], axis=1) < RADII[number] + 0.006
    return np.flatnonzero(near & (positions[:, 2] > 0.008))


def test_each_phrase_finds_its_ball(engine, surface):
    results = ask(engine, surface, '0', '1', '2', '3', '4')
    assert [result.phrase for result in results] == ['0', '1', '2', '3', '4']
    for number, result in enumerate(results):
        best = result.maxima[0]
        assert np.linalg.norm(best.position_m - CENTRES[number]) < 0.01
        truth = on_ball(surface, number)
        found = np.intersect1d(best.point_indices, truth)
        assert len(found) / len(np.union1d(best.point_indices, truth)) > 0.85
        assert best.box_size_m == pytest.approx(np.full(3, 2 * RADII[number]), abs=0.012)
        assert best.relevancy > 0.8
        assert best.views >= 5
        assert len(best.viewpoints) > 5
        # The scale of a crop that the ball fills, not the smallest nor the largest.
        assert 0.5 < best.scale_m / (2 * RADII[number]) < 2.5


def test_maxima_come_best_first_and_lie_apart(engine, surface):
    (result,) = ask(engine, surface, '0')
    assert len(result.maxima) > 1
    assert result.maxima[0].relevancy == max(maximum.relevancy for maximum in result.maxima)
    for i, one in enumerate(result.maxima):
        for other in result.maxima[i + 1 :]:
            assert len(np.intersect1d(one.point_indices, other.point_indices)) == 0


def test_the_result_carries_the_cloud_the_step_and_the_stamp(engine, surface):
    (result,) = ask(engine, surface, '0', step=17)
    count = len(surface.points())
    assert result.positions.shape == (count, 3)
    assert result.colours.shape == (count, 3)
    assert result.relevancy.shape == result.scale_m.shape == (count,)
    assert (result.step, result.stamp_ns) == (17, 42)
    best = result.maxima[0]
    assert result.relevancy[best.point_indices].mean() > result.relevancy.mean() + 0.3
    (bare,) = ask(engine, surface, '0', with_points=False)
    assert len(bare.positions) == len(bare.relevancy) == 0
    assert bare.maxima[0].relevancy == best.relevancy


def test_the_step_is_that_of_the_oldest_embedding_read(engine, surface):
    ask(engine, surface, '0', step=100)
    (result,) = ask(engine, surface, '0', step=150)
    assert result.step == 100
    (result,) = ask(engine, surface, '0', step=1000)
    assert result.step == 1000


def test_refresh_between_steps_renews_what_queries_read(engine, surface):
    ask(engine, surface, '0', step=1)
    count = len(surface.points())
    assert engine.refresh(500, field=BallField(), surface=surface, step=2) == 500
    assert engine.refresh(count, field=BallField(), surface=surface, step=2) == count - 500
    (result,) = ask(engine, surface, '0', step=2)
    assert result.step == 2


def test_an_older_step_means_another_map(engine, surface):
    ask(engine, surface, '0', step=100)
    (result,) = ask(engine, surface, '0', step=5)
    assert result.step == 5


def test_region_bounds_the_maxima(engine, surface):
    region = Region.between((0.1, 0.0, -0.1), (0.3, 0.2, 0.2))
    results = ask(engine, surface, '1', '0', region=region)
    for result in results:
        for maximum in result.maxima:
            positions = surface.points().positions[maximum.point_indices]
            assert (positions[:, 0] >= 0.1).all()
    assert np.linalg.norm(results[0].maxima[0].position_m - CENTRES[1]) < 0.01
    assert results[1].maxima[0].relevancy < 0.6
    outside = surface.points().positions[:, 0] < 0.1
    assert (results[0].relevancy[outside] == 0).all()


def test_a_turned_region_finds_what_lies_in_it_however_much_lies_around_it(engine, surface):
    """A box along the world's axes around this one would hold better places."""
    turned = np.eye(4)
    turned[:3, :3] = np.array([[1, -1, 0], [1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    # A slab through the middle from (-, -) to (+, +), with ball 4 in it and ball 3 beside it.
    along = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    turned[:3, 3] = CENTRES[4]
    region = Region(turned, np.array([1.2, 0.14, 0.3]))
    everywhere, bounded = (
        ask(engine, surface, '3', max_maxima=1, region=box)[0] for box in (None, region)
    )
    assert np.linalg.norm(everywhere.maxima[0].position_m - CENTRES[3]) < 0.01
    assert len(bounded.maxima) == 1
    across = np.cross([0.0, 0.0, 1.0], along)
    for result in ask(engine, surface, '3', '4', '0', max_maxima=8, region=region):
        for maximum in result.maxima:
            points = surface.points().positions[maximum.point_indices]
            assert np.abs((points - CENTRES[4]) @ across).max() <= 0.07 + 1e-5
    (best,) = ask(engine, surface, '4', max_maxima=1, region=region)
    assert np.linalg.norm(best.maxima[0].position_m - CENTRES[4]) < 0.01
    assert best.exists


def test_a_region_without_points_is_nothing_found(engine, surface):
    (result,) = ask(engine, surface, '0', region=Region.between((5.0, 5.0, 5.0), (6.0, 6.0, 6.0)))
    assert result.maxima == ()
    assert not result.exists
    assert result.confidence == 0


def test_min_relevancy_and_max_maxima_bound_the_answer(engine, surface):
    (result,) = ask(engine, surface, '0', min_relevancy=0.8)
    assert [m.relevancy >= 0.8 for m in result.maxima] == [True] * len(result.maxima)
    assert len(result.maxima) < 8
    (result,) = ask(engine, surface, '0', max_maxima=1)
    assert len(result.maxima) == 1
    (result,) = ask(engine, surface, '0', min_relevancy=1.0)
    assert result.maxima == ()


def test_custom_negatives_push_their_own_thing_down(engine, surface):
    (plain,) = ask(engine, surface, '0')
    (pushed,) = ask(engine, surface, '0', negatives=('0',))
    assert plain.maxima[0].relevancy > 0.8
    assert pushed.relevancy.max() == pytest.approx(0.5, abs=1e-5)


def test_what_is_there_is_surer_than_what_is_not(engine, surface):
    present = ask(engine, surface, '0', '1', '2', '3', '4')
    (absent,) = ask(engine, surface, 'unicorn')
    assert min(result.confidence for result in present) > 0.5
    assert all(result.exists for result in present)
    assert absent.confidence < 0.5
    assert not absent.exists


def test_an_exemplar_finds_what_it_shows(engine, surface):
    image = np.full((60, 80, 3), 150, np.uint8)
    image[20:40, 30:50] = COLOURS[3]
    boxed = Exemplar(image, box_uv=(30, 20, 50, 40), name='this one')
    results = ask(engine, surface, '1', exemplars=(boxed,))
    assert [result.phrase for result in results] == ['1', 'this one']
    assert np.linalg.norm(results[1].maxima[0].position_m - CENTRES[3]) < 0.01


def test_pictures_and_phrases_have_models_of_their_own(surface):
    encoder = WordEncoder()
    sure, unsure = (ExistenceModel(('views',), (0.0,), bias) for bias in (3.0, -3.0))
    encoder.existence = ExistenceCalibration('words', phrases=unsure, pictures=sure)
    engine = QueryEngine(encoder, QueryOptions(), FeatureOptions())
    image = np.full((40, 40, 3), COLOURS[1], np.uint8)
    phrase, picture_ = ask(engine, surface, '0', exemplars=(Exemplar(image),))
    assert not phrase.exists
    assert picture_.exists
    assert picture_.confidence == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_heat_map_is_hot_where_the_ball_is_seen(engine, surface):
    pose = orbit(16)[3]
    depth, balls = see(pose)
    depth[:10] = np.nan
    heat = heat_of(engine, surface, '2', depth, pose)
    assert heat.shape == depth.shape
    assert (np.isnan(heat) == np.isnan(depth)).all()
    inside = heat[(balls == 2) & np.isfinite(depth)]
    assert np.median(inside) > np.nanmedian(heat[balls < 0]) + 0.3
    assert np.median(inside) > np.nanmedian(heat[balls == 1]) + 0.3


def test_heat_map_agrees_with_the_cloud(engine, surface):
    """The pixel over a surface point shows that point's relevancy."""
    (result,) = ask(engine, surface, '0')
    pose = orbit(16)[0]
    depth, _ = see(pose)
    heat = heat_of(engine, surface, '0', depth, pose)
    positions, pixels = view_points(depth, CAMERA, pose)
    distance, nearest = cKDTree(result.positions).query(positions)
    close = distance < 0.003
    difference = np.abs(heat.reshape(-1)[pixels][close] - result.relevancy[nearest[close]])
    assert close.sum() > 500
    assert np.median(difference) < 0.02
    assert np.quantile(difference, 0.95) < 0.15


def test_evidence_is_what_many_keyframes_saw_of_an_object(engine):
    surface = SurfaceMap(QueryOptions())
    for number, pose in enumerate(orbit(24)):
        depth, balls = see(pose)
        if number >= 3:  # the left of the ball is only seen at first
            depth[:, : CAMERA.width // 2][balls[:, : CAMERA.width // 2] == 0] = np.nan
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
    (result,) = ask(engine, surface, '0')
    own = result.maxima[0].point_indices
    often = surface.points().views[own] >= 4
    assert 10 < often.sum() < len(own)
    assert result.evidence.support == pytest.approx(np.log(often.sum()))


def test_dense_features_of_the_field_are_read_where_it_has_them(engine, surface, monkeypatch):
    class DenseField(BallField):
        dense_size = 3
        asked = 0

        def dense(self, features):
            self.asked += 1
            return features + 1.0

    field = DenseField()
    request = QueryRequest(positives=('0',), max_maxima=1)
    for whole_size_m, asked in ((0.6, 0), (0.0, 1)):  # what stands alone has its own border
        monkeypatch.setattr(objects, 'WHOLE_SIZE_M', whole_size_m)
        (result,) = engine.query(request, field=field, surface=surface, step=3, stamp_ns=0)
        assert field.asked == asked
        assert np.linalg.norm(result.maxima[0].position_m - CENTRES[0]) < 0.01


def test_an_answer_to_a_kind_is_no_larger_than_what_it_was_told_by(engine, surface):
    def reach_m(engine):
        (result,) = ask(engine, surface, '0', scale_m=0.04, max_maxima=1)
        points = surface.points().positions[result.maxima[0].point_indices]
        assert np.isin(result.maxima[0].point_indices, on_ball(surface, 0)).mean() > 0.9
        return np.ptp(points, axis=0).max()

    of_kinds = QueryEngine(Kinds(), QueryOptions(), FeatureOptions())
    frame_m = 2 * np.sqrt(2) * 3 * surface.points().voxel_m
    assert reach_m(of_kinds) < frame_m < reach_m(engine)


def test_a_map_without_surface_says_so(engine):
    with pytest.raises(ValueError, match='no surface yet'):
        ask(engine, SurfaceMap(QueryOptions()), '0')


def test_what_few_keyframes_saw_is_no_maximum_in_a_grown_map(engine):
    surface = SurfaceMap(QueryOptions())
    for number, pose in enumerate(orbit(24)):
        depth, balls = see(pose)
        if number >= 3:
            # The ball and what hides it are only seen at first.
            depth[balls == 3] = np.nan
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
    (result,) = ask(engine, surface, '3')
    assert len(on_ball(surface, 3)) > 20
    assert all(
        len(np.intersect1d(maximum.point_indices, on_ball(surface, 3))) == 0
        for maximum in result.maxima
    )
    # A young map has nothing else.
    young = SurfaceMap(QueryOptions())
    for number, pose in enumerate(orbit(24)[:3]):
        depth, balls = see(pose)
        young.integrate(named(number), depth, picture(balls), CAMERA, pose)
    (result,) = ask(engine, young, '3')
    assert len(np.intersect1d(result.maxima[0].point_indices, on_ball(young, 3))) > 20
