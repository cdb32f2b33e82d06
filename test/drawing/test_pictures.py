from __future__ import annotations

import numpy as np
import pytest
from scenery import CAMERA, CENTRES, BallField, WordEncoder, mapped, orbit, picture, see

from lerf_ros.config import QueryOptions
from lerf_ros.drawing.heat_maps import depth_picture, heat_overlay, levels
from lerf_ros.drawing.marks import box_corners, mark_maximum
from lerf_ros.drawing.top_views import top_view
from lerf_ros.geometry import inverse_transform, project, transform_points
from lerf_ros.query.engine import QueryEngine, QueryRequest


@pytest.fixture(scope='module')
def result():
    engine = QueryEngine(WordEncoder(), QueryOptions())
    request = QueryRequest(('1',))
    return engine.query(request, field=BallField(), surface=mapped(), step=0, stamp_ns=0)[0]


def test_mappings():
    relevancy = np.array([0.2, 0.5, 0.6, 0.7, np.nan])
    assert levels(relevancy, 'raw') == pytest.approx([0.2, 0.5, 0.6, 0.7, 0])
    assert levels(relevancy, 'centred') == pytest.approx([0, 0, 0.2, 0.4, 0])
    assert levels(relevancy, 'normalised') == pytest.approx([0, 0, 0.5, 1, 0])
    assert levels(relevancy, 'normalised', top=0.9) == pytest.approx([0, 0, 0.25, 0.5, 0])
    with pytest.raises(ValueError, match='raw, centred, normalised'):
        levels(relevancy, 'rainbow')


def test_a_low_thing_on_a_wide_plane_shows_in_the_picture_of_depth():
    rows = np.mgrid[:60, :80][0]
    plane = (1.4 - 0.01 * rows).astype(np.float32)
    obj = plane.copy()
    obj[25:35, 30:40] -= 0.02  # 2 cm, of 60 cm of depth
    without, with_object = (depth_picture(depth).astype(int) for depth in (plane, obj))
    border = np.abs(with_object - without).sum(axis=-1) > 30
    assert border[25:35, 30:40].any()
    assert not border[:20].any()
    assert (depth_picture(np.where(rows < 5, np.nan, plane))[:5] == 0).all()


def test_nothing_relevant_leaves_the_picture_alone():
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    assert (heat_overlay(image, np.full((20, 30), 0.4)) == image).all()
    hot = np.full((20, 30), 0.4)
    hot[5, 5] = 0.9
    painted = heat_overlay(image, hot)
    assert (painted[5, 5] != image[5, 5]).any()
    assert (painted[6:] == image[6:]).all()


def test_the_mark_lies_on_the_ball(result):
    pose = orbit(16)[2]
    _, balls = see(pose)
    image = picture(balls)
    marked = mark_maximum(image, result.maxima[0], CAMERA, pose)
    assert (image == picture(balls)).all()
    v, u = np.nonzero((marked != image).any(axis=-1))
    centre, _ = project(CAMERA, transform_points(inverse_transform(pose), CENTRES[1:2]))
    assert np.linalg.norm([u.mean() - centre[0, 0], v.mean() - centre[0, 1]]) < 6


def test_corners_of_a_box():
    pose = np.eye(4)
    pose[:3, 3] = (1.0, 2.0, 3.0)
    corners = box_corners(pose, np.array([2.0, 4.0, 6.0]))
    assert corners.min(axis=0) == pytest.approx([0, 0, 0])
    assert corners.max(axis=0) == pytest.approx([2, 4, 6])
    assert corners[1] - corners[0] == pytest.approx([2, 0, 0])


def test_top_view_shows_the_heat_where_the_ball_is(result):
    places = np.stack([maximum.position_m for maximum in result.maxima])
    cloud = (result.positions, result.colours)
    cold = top_view(*cloud, np.zeros_like(result.relevancy), places, 200)
    hot = top_view(*cloud, result.relevancy, places, 200)
    v, u = np.nonzero((cold != hot).any(axis=-1))
    # x grows to the right and y upwards: the ball at (0.2, 0.1) is right of and above the middle.
    low, high = (np.quantile(result.positions, q, axis=0) for q in (0.005, 0.995))
    height, width = hot.shape[:2]
    assert height == 200
    assert np.median(u) == pytest.approx((0.2 - low[0]) / (high[0] - low[0]) * width, abs=4)
    assert np.median(v) == pytest.approx((high[1] - 0.1) / (high[1] - low[1]) * height, abs=4)


def test_top_view_needs_points(result):
    with pytest.raises(ValueError, match='with points'):
        top_view(result.positions[:0], result.colours[:0], result.relevancy[:0], np.zeros((0, 3)))
