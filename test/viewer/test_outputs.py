"""Outputs by LERF's names, as colours of points and of views."""

from __future__ import annotations

import numpy as np
import pytest
from viewer_answers import answer

from lerf_ros.geometry import PinholeCamera, project
from lerf_ros.viewer.backdrop import fitted, window_camera
from lerf_ros.viewer.chunks import Chunk
from lerf_ros.viewer.outputs import Paint, output_names, paint_points, paint_view
from lerf_ros.viewer.painter import Painter
from lerf_ros.viewer.state import Drawing

COLOURS = np.array([[200, 20, 20], [20, 200, 20], [20, 20, 200]], np.uint8)
RELEVANCY = np.array([0.9, 0.6, 0.1], np.float32)


def test_names_are_those_of_lerf() -> None:
    assert output_names(0) == ('rgb', 'depth', 'accumulation')
    assert output_names(2)[3:] == ('relevancy_0', 'relevancy_1', 'composited_0', 'composited_1')
    assert Paint('composited_1').phrase == 1
    assert Paint('accumulation').phrase is None


def test_without_an_answer_points_keep_their_colours() -> None:
    for output in ('rgb', 'relevancy_0'):
        np.testing.assert_array_equal(paint_points(Paint(output), COLOURS), COLOURS)


def test_normalised_relevancy_is_brightest_at_the_best_place() -> None:
    paint = Paint('relevancy_0', colour_map='grey', opacity=1.0)
    painted = paint_points(paint, COLOURS, relevancy=RELEVANCY, top=0.9)
    assert painted[0].tolist() == [255, 255, 255]
    assert painted[2].tolist() == [0, 0, 0]
    raw = Paint('relevancy_0', 'raw', 'grey', 1.0)
    assert paint_points(raw, COLOURS, relevancy=RELEVANCY)[2].tolist() == [26, 26, 26]


def test_composited_relevancy_leaves_alone_what_is_below_the_threshold() -> None:
    paint = Paint('composited_0', opacity=1.0, threshold=0.5)
    painted = paint_points(paint, COLOURS, relevancy=RELEVANCY, top=0.9)
    assert (painted[:2] != COLOURS[:2]).any(axis=1).all()
    np.testing.assert_array_equal(painted[2], COLOURS[2])
    unknown = paint_points(paint, COLOURS, relevancy=np.full(3, np.nan), top=0.9)
    np.testing.assert_array_equal(unknown, COLOURS)


def test_opacity_lets_the_picture_through() -> None:
    full, none = (Paint('composited_0', opacity=share, threshold=0.0) for share in (1.0, 0.0))
    np.testing.assert_array_equal(
        paint_points(none, COLOURS, relevancy=RELEVANCY, top=0.9), COLOURS
    )
    assert (paint_points(full, COLOURS, relevancy=RELEVANCY, top=0.9) != COLOURS).any()


@pytest.mark.parametrize('output', ['rgb', 'depth', 'accumulation', 'relevancy_0', 'composited_0'])
def test_every_output_of_a_view_is_a_picture(output: str) -> None:
    drawing = Drawing(
        np.full((4, 6, 3), 90, np.uint8),
        np.linspace(0.5, 2, 24, dtype=np.float32).reshape(4, 6),
        np.linspace(0, 1, 24).reshape(4, 6),
        (np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6),),
    )
    picture = paint_view(Paint(output), drawing, 1.0)
    assert (picture.shape, picture.dtype) == ((4, 6, 3), np.uint8)
    if output != 'rgb':
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 6


@pytest.mark.parametrize('aspect', [0.5, 1.0, 4 / 3, 2.5])
def test_a_picture_fits_into_any_window_where_its_camera_sees_it(aspect: float) -> None:
    picture = np.full((90, 120, 3), 200, np.uint8)
    window, corners_uv = fitted(picture, aspect)
    assert window.shape[1] / window.shape[0] == pytest.approx(aspect, rel=0.03)
    assert (window == 200).all(axis=-1).sum() == 90 * 120
    # The middle of the picture, as the window's camera sees it.
    camera = PinholeCamera.from_vertical_fov(120, 90, 50.0)
    wide = window_camera(camera, corners_uv)
    uv, _ = project(wide, np.array([[0.1, -0.05, 1.0]]))
    share = uv[0] / (wide.width, wide.height)
    expected, _ = project(camera, np.array([[0.1, -0.05, 1.0]]))
    np.testing.assert_allclose(
        corners_uv[0] + share * (corners_uv[1] - corners_uv[0]), expected[0]
    )


def test_points_that_came_after_the_answer_are_unknown() -> None:
    given = answer()
    positions = np.array([[0.105, 0.0, 0.05], [3.0, 3.0, 3.0]], np.float32)
    chunk = Chunk(
        1, np.zeros(3), np.arange(2), positions, COLOURS[:2], np.arange(2), np.ones(2, np.float32)
    )
    painter = Painter(Paint('composited_0', opacity=1.0), given, np.eye(4))
    painted = painter.chunk(chunk)
    assert (painted[0] != COLOURS[0]).any()
    np.testing.assert_array_equal(painted[1], COLOURS[1])
