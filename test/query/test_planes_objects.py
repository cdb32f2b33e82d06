from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bare_surface import bare_surface
from scenery import CENTRES, RADII, mapped
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from lerf_ros.query.maxima import SHARPNESS, find_maxima, hot_centre
from lerf_ros.query.objects import (
    alike_in_dense,
    grow,
    oriented_box,
    robust_centre,
    spread_among_alike,
)
from lerf_ros.query.scene_graph import (
    SceneGraph,
    colour_likeness,
    reached_from,
    reached_twin,
)
from lerf_ros.surface.planes import Plane


@pytest.fixture(scope='module')
def graph():
    return SceneGraph.of(mapped(noise_m=0.002).points())


def on_ball(graph, number, margin=0.006):
    positions = graph.surface.positions
    near = np.linalg.norm(positions - CENTRES[number], axis=1) < RADII[number] + margin
    return near & (positions[:, 2] > 0.008)


def test_the_table_is_a_plane_and_the_balls_are_not(graph):
    (plane,) = graph.support.planes
    assert plane.normal == pytest.approx([0, 0, 1], abs=0.01)
    assert plane.offset_m == pytest.approx(0, abs=0.001)
    assert graph.support.on_plane.mean() > 0.8
    assert not graph.support.on_plane[on_ball(graph, 0)].any()


def test_each_ball_is_one_piece(graph):
    pieces = [np.bincount(graph.segments[on_ball(graph, i)]).argmax() for i in range(5)]
    assert len(set(pieces)) == 5
    for number, piece in enumerate(pieces):
        assert (graph.segments[on_ball(graph, number)] == piece).mean() > 0.97


def test_plane_below_is_the_closest_horizontal_one(graph):
    assert graph.support.below(np.array([0, 0, 0.1])) is graph.support.planes[0]
    assert graph.support.below(np.array([0, 0, -0.3])) is None
    assert graph.support.below(np.array([0, 0, 2.0])) is None


def test_an_object_does_not_swallow_the_table(graph):
    # Language is blurred: what is hot reaches beyond the ball, and peaks beside it.
    positions = graph.surface.positions
    distance = np.linalg.norm(positions - CENTRES[2], axis=1)
    relevancy = np.exp(-((distance / 0.12) ** 2))
    beside = np.linalg.norm(positions - [-0.2, 0.035, 0.0], axis=1).argmin()
    assert graph.support.on_plane[beside]
    relevancy[beside] = 1.0
    members = grow(graph, int(beside), relevancy, 0.0, reach_m=0.06).points
    truth = np.flatnonzero(on_ball(graph, 2))
    overlap = len(np.intersect1d(members, truth)) / len(np.union1d(members, truth))
    assert overlap > 0.9


def test_the_table_itself_can_be_the_answer(graph):
    relevancy = np.where(graph.support.on_plane, 0.9, 0.1)
    peak = int(np.flatnonzero(graph.support.on_plane)[500])
    members = grow(graph, peak, relevancy, 0.1, reach_m=0.05).points
    assert graph.support.on_plane[members].all()
    assert len(members) > 0.5 * graph.support.on_plane.sum()


def test_touching_things_are_parted_by_relevancy(graph):
    # Only the upper half of a ball is hot: a piece that is mostly cold is not taken whole.
    ball = on_ball(graph, 0)
    upper = ball & (graph.surface.positions[:, 2] > 0.08)
    relevancy = np.where(upper, 0.9, 0.1)
    members = grow(graph, int(np.flatnonzero(upper)[0]), relevancy, 0.1, reach_m=0.05).points
    assert set(np.flatnonzero(upper)) <= set(members)
    # What touches it and looks the same may come along, no further than two voxels.
    assert graph.surface.positions[members, 2].min() > 0.08 - 2.5 * graph.surface.voxel_m
    assert len(members) < 1.5 * upper.sum() < 0.8 * ball.sum()


def test_dense_features_give_a_touching_thing_its_border(graph):
    # The cap of a ball is another thing than the rest. Language fades across the border and alone
    # would cut before it; dense features know where one ends and the other begins.
    ball = on_ball(graph, 0)
    height_m = graph.surface.positions[:, 2]
    cap = height_m > 0.06
    truth = np.flatnonzero(ball & cap)
    relevancy = np.where(ball, np.clip((height_m - 0.04) / 0.06, 0, 1), 0.0)
    peak = int(np.flatnonzero(ball)[height_m[ball].argmax()])
    noise = np.random.default_rng(0).normal(0, 0.2, (len(cap), 2))
    features = np.where(cap[:, None], [[1.0, 0.0]], [[0.0, 1.0]]) + noise
    features /= np.linalg.norm(features, axis=1, keepdims=True)

    def iou(members):
        return len(np.intersect1d(members, truth)) / len(np.union1d(members, truth))

    assert iou(grow(graph, peak, relevancy, 0.0, reach_m=0.05).points) < 0.85
    assert iou(grow(graph, peak, relevancy, 0.0, 0.05, features.__getitem__).points) > 0.95


def test_colours_give_a_touching_thing_its_border(graph):
    # Two halves of a ball in two colours, and language that fades from one into the other.
    ball = on_ball(graph, 0)
    height_m = graph.surface.positions[:, 2]
    truth = np.flatnonzero(ball & (height_m > 0.06))
    relevancy = np.where(ball, np.clip((height_m - 0.04) / 0.06, 0, 1), 0.0)
    peak = int(np.flatnonzero(ball)[height_m[ball].argmax()])
    painted = graph.surface.colours.copy()
    painted[truth] = (30, 200, 30)
    other = replace(graph, surface=replace(graph.surface, colours=painted))

    def iou(members):
        return len(np.intersect1d(members, truth)) / len(np.union1d(members, truth))

    assert iou(grow(graph, peak, relevancy, 0.0, reach_m=0.05).points) < 0.85
    assert iou(grow(other, peak, relevancy, 0.0, reach_m=0.05).points) > 0.95


def test_values_pass_among_alike_neighbours_only():
    pairs = np.stack([np.arange(19), np.arange(1, 20)], axis=1)
    features = np.where(np.arange(20)[:, None] < 10, [[1.0, 0.0]], [[0.0, 1.0]])
    colours = (255 * np.append(features, features[:, :1], axis=1)).astype(np.uint8)
    values = np.where(np.arange(20) == 9, 1.0, 0.0)
    by_colour = in_both_ways(pairs, colour_likeness(colours, pairs))
    by_features = alike_in_dense(in_both_ways(pairs, np.ones(19)), features)
    for alike in (by_features, by_colour):
        spread = spread_among_alike(values, alike)
        assert spread[10:] == pytest.approx(np.zeros(10), abs=1e-3)
        assert spread[5] > 0.01
    alone = csr_matrix((1, 1))
    assert spread_among_alike(values[9:10], alone) == pytest.approx([1.0])
    assert alike_in_dense(alone, features[:1]).nnz == 0


def in_both_ways(pairs, likeness):
    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    return csr_matrix((np.tile(likeness, 2), (first, second)), shape=(20, 20))


def test_what_touches_hangs_together_however_unlike_it_looks(graph):
    ball = np.flatnonzero(on_ball(graph, 0))
    striped = graph.surface.colours.copy()
    striped[ball[::2]] = (255, 0, 255)
    striped[ball[1::2]] = (0, 255, 0)
    other = replace(graph, surface=replace(graph.surface, colours=striped))
    assert len(reached_from(other.alike_among(ball), 0)) == len(
        reached_from(graph.alike_among(ball), 0)
    )
    two_balls = np.flatnonzero(on_ball(graph, 0) | on_ball(graph, 1))
    start = int(np.searchsorted(two_balls, ball[0]))
    assert set(two_balls[reached_from(graph.alike_among(two_balls), start)]) <= set(ball)


def test_what_is_reached_through_chosen_points_is_what_the_readable_twin_reaches(graph):
    generator = np.random.default_rng(0)
    alike, points = graph.alike, len(graph.surface)
    reached = []
    for share in (0.2, 0.5, 0.9, 1.0):
        chosen = generator.random(points) < share
        start = int(generator.integers(points))
        chosen[start] = True
        found = reached_from(alike, start, chosen)
        np.testing.assert_array_equal(found, reached_twin(alike, start, chosen))
        assert chosen[found].all()
        reached.append(len(found))
    assert 1 <= reached[0] < reached[-1] <= points


def test_likenesses_in_a_segment_are_those_among_its_points(graph):
    segment = int(np.bincount(graph.segments[graph.segments >= 0]).argmax())
    expected = graph.alike_among(np.flatnonzero(graph.segments == segment))
    for _ in range(2):
        assert (graph.alike_in_segment(segment) != expected).nnz == 0


def test_stray_points_do_not_move_the_centre():
    points = np.random.default_rng(0).normal(0, 0.01, (200, 3))
    moved = np.concatenate([points, np.full((5, 3), 1.0)])
    assert np.linalg.norm(robust_centre(moved) - points.mean(axis=0)) < 0.002


@pytest.mark.parametrize('angle_deg', [0, 20, 45, 80])
def test_box_of_a_turned_brick(angle_deg):
    generator = np.random.default_rng(0)
    size = np.array([0.2, 0.08, 0.05])
    local = (generator.random((20000, 3)) - 0.5) * size
    angle = np.deg2rad(angle_deg)
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    centre = np.array([0.3, -0.1, 0.025])
    points = local @ rotation.T + centre
    box_to_world, found = oriented_box(points, Plane(np.array([0.0, 0.0, 1.0]), 0.0))
    assert found == pytest.approx(size, abs=0.006)
    assert box_to_world[:3, 3] == pytest.approx(centre, abs=0.003)
    assert np.linalg.det(box_to_world[:3, :3]) == pytest.approx(1)
    assert box_to_world[:3, 2] == pytest.approx([0, 0, 1])
    assert abs(box_to_world[:3, 0] @ rotation[:, 0]) > 0.997


def test_stray_points_do_not_turn_the_box():
    generator = np.random.default_rng(0)
    points = (generator.random((600, 3)) - 0.5) * np.array([0.2, 0.08, 0.05])
    strays = np.array([[0.13, 0.09, 0.0], [-0.12, -0.1, 0.0], [0.11, -0.08, 0.0]])
    box_to_world, size = oriented_box(np.concatenate([points, strays]), None)
    assert abs(box_to_world[0, 0]) > np.cos(np.deg2rad(3))
    assert size == pytest.approx([0.2, 0.08, 0.05], abs=0.012)


def test_box_stands_on_the_plane_whose_contact_no_camera_saw():
    points = np.random.default_rng(0).random((2000, 3)) * 0.1 + [0, 0, 0.02]
    box_to_world, size = oriented_box(points, Plane(np.array([0.0, 0.0, 1.0]), 0.0))
    assert box_to_world[2, 3] - size[2] / 2 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(('away_m', 'spills'), [(0.07, True), (0.2, False)])
def test_language_that_spills_beside_a_thing_is_the_things(graph, away_m, spills):
    ball = np.flatnonzero(on_ball(graph, 0))
    table = np.flatnonzero(graph.segments < 0)
    gaps = cKDTree(graph.surface.positions[ball]).query(graph.surface.positions[table])[0]
    peak = int(table[np.abs(gaps - away_m).argmin()])
    relevancy = np.zeros(len(graph.surface))
    relevancy[ball], relevancy[peak] = 0.9, 1.0
    grown = grow(graph, peak, relevancy, 0.0, reach_m=0.03).points
    assert (len(np.intersect1d(grown, ball)) > 0.9 * len(ball)) == spills
    assert (peak in grown) != spills


def counter(voxel_m, dark, heights=()):
    """Returns the graph of a white square of 40x40 points of which some are dark.

    Args:
        voxel_m: How far they are apart.
        dark: (x, y) of the dark points.
        heights: How many of these stick out of the plane.
    """
    x, y = np.meshgrid(np.arange(40), np.arange(40), indexing='ij')
    positions = voxel_m * np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    rows = np.array([40 * x + y for x, y in dark])
    positions[rows[: len(heights)], 2] = heights
    colours = np.full((x.size, 3), 230, np.uint8)
    colours[rows] = 20
    normals = np.tile(np.array([0, 0, 1], np.float32), (x.size, 1))
    surface = bare_surface(positions.astype(np.float32), voxel_m)
    return SceneGraph.of(replace(surface, colours=colours, normals=normals)), rows


def test_a_thing_as_thin_as_a_voxel_is_more_than_what_sticks_out():
    fork = [(20, 20), (21, 20), *((x, 20) for x in range(22, 30))]
    graph, strip = counter(0.02, fork, heights=[0.018, 0.018])
    assert (~graph.support.on_plane[strip]).sum() == 2
    distance_m = abs(graph.surface.positions[:, 1] - 0.4)
    relevancy = 0.5 * np.exp(-distance_m / 0.03)
    relevancy[strip] = 0.9
    relevancy[strip[0]] = 0.95
    members = grow(graph, int(strip[0]), relevancy, 0.0, reach_m=0.05).points
    assert set(members) == set(strip)


@pytest.mark.parametrize(('voxel_m', 'first'), [(0.02, 0.9), (0.01, 0.8)])
def test_how_few_points_are_noise_depends_on_how_coarse_voxels_are(voxel_m, first):
    # Three voxels of 2 cm are a key, three of 1 cm are noise.
    small, large = [(5, y) for y in range(3)], [(x, y) for x in (30, 31) for y in range(30, 38)]
    graph, rows = counter(voxel_m, small + large)
    scores = np.full((len(graph.surface), 1), 0.01)
    scores[rows[:3]], scores[rows[3:]] = 0.9, 0.8
    found = find_maxima(
        graph,
        scores,
        np.array([2 * voxel_m]),
        np.ones(len(scores), bool),
        max_maxima=2,
        min_relevancy=0.0,
        peaks=np.where(scores[:, 0] == 0.9, 1.0, 0.4 * scores[:, 0]),
    )
    assert [len(maximum.point_indices) for maximum in found] == (
        [3, 16] if first == 0.9 else [16, 3]
    )
    assert [maximum.sparse for maximum in found] == [False, first == 0.8]


def test_peaks_decide_which_maximum_comes_first_and_relevancy_which_come_at_all(graph):
    count = len(graph.surface)
    scores, peaks = np.zeros((count, 1)), np.zeros(count)
    for number, (relevant, peak) in enumerate(((0.9, 0.3), (0.7, 0.6), (0.3, 0.8))):
        scores[on_ball(graph, number)], peaks[on_ball(graph, number)] = relevant, peak

    def balls(**given):
        found = find_maxima(
            graph, scores, np.array([0.1]), np.ones(count, bool), max_maxima=3, **given
        )
        centres = np.array([CENTRES[number] for number in range(3)])
        return [
            int(np.linalg.norm(centres - maximum.position_m, axis=1).argmin()) for maximum in found
        ]

    assert balls(min_relevancy=0.0) == [0, 1, 2]
    assert balls(min_relevancy=0.0, peaks=peaks) == [2, 1, 0]
    assert balls(min_relevancy=0.5, peaks=peaks) == [1, 0]


def best_of(graph, relevancy, side_m, framed):
    """The best maximum of relevancy that was read at one scale."""
    everywhere = np.ones(len(relevancy), bool)
    return find_maxima(
        graph,
        relevancy[:, None],
        np.array([side_m]),
        everywhere,
        max_maxima=1,
        min_relevancy=0.0,
        framed=framed,
    )[0]


def test_a_framed_answer_lies_within_its_frame(graph):
    # All of a ball is nearly as relevant as a spot on one side of it.
    ball = np.flatnonzero(on_ball(graph, 0))
    positions = graph.surface.positions
    spot = ball[positions[ball, 0].argmax()]
    relevancy = np.zeros(len(positions))
    relevancy[ball], relevancy[spot] = 0.9, 1.0
    side_m = 2 * 3 * graph.surface.voxel_m

    def moved_m(framed):
        found = best_of(graph, relevancy, side_m, framed)
        away = np.linalg.norm(positions[found.point_indices] - positions[spot], axis=1)
        return np.linalg.norm(found.position_m - positions[spot]), away.max()

    framed, whole = moved_m(True), moved_m(False)
    assert framed[0] < 0.5 * whole[0]
    assert framed[1] < side_m < whole[1]


def test_the_middle_of_what_a_frame_has_cut_off_is_where_it_is_most_relevant(graph):
    """Two things touch: both are in the frame around one, and one is more relevant."""
    ball = np.flatnonzero(on_ball(graph, 0))
    positions = graph.surface.positions
    peak = ball[positions[ball, 0].argmax()]
    near = ball[np.linalg.norm(positions[ball] - positions[peak], axis=1) < 0.03]
    relevancy = np.zeros(len(positions))
    relevancy[ball], relevancy[near] = 0.8, 0.9

    cut_off, whole = (best_of(graph, relevancy, side_m, True) for side_m in (0.06, 1.0))
    assert set(near) < set(cut_off.point_indices) < set(whole.point_indices) == set(ball)
    middle = positions[near].mean(axis=0)
    plain = positions[cut_off.point_indices].mean(axis=0)
    assert np.linalg.norm(cut_off.position_m - middle) < 0.5 * np.linalg.norm(plain - middle)
    # What geometry bounds has a middle of its own, however relevant its parts are.
    centre = positions[ball].mean(axis=0)
    assert np.linalg.norm(whole.position_m - centre) < np.linalg.norm(middle - centre) / 2


def test_the_hot_centre_is_a_mean_weighed_by_odds():
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [3.0, 0, 0]])
    np.testing.assert_allclose(hot_centre(positions, np.full(3, 0.7)), [4 / 3, 0, 0])
    odds = np.array([1.0, 1.25, 0.5]) ** SHARPNESS
    expected = (odds[1] + 3 * odds[2]) / odds.sum()
    relevancy = np.array([1.0, 1.25, 0.5]) / (1 + np.array([1.0, 1.25, 0.5]))
    np.testing.assert_allclose(hot_centre(positions, relevancy), [expected, 0, 0])
    np.testing.assert_allclose(hot_centre(positions, np.array([0.0, 1.0, 0.0])), [1.0, 0, 0])
