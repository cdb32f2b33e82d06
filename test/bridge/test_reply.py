"""Questions and answers across frames; regions; markers and poses as RViz wants them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, Vector3
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from lerf_ros.bridge import reply
from lerf_ros.bridge.clouds import cloud_array
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.poses import pose_message
from lerf_ros.frames.messages import pose_matrix_of
from lerf_ros.geometry import inverse_transform, transform_points
from lerf_ros.query.engine import Maximum, QueryResult
from lerf_ros.srv import QueryLanguage

# The robot stands at (1, 2) and looks along +y: its x is the world's y.
FRAME_TO_WORLD = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]])


def place(x: float, y: float, relevancy: float = 0.8) -> Maximum:
    box = np.eye(4)
    box[:3, 3] = (x, y, 0.05)
    return Maximum(
        position_m=np.array([x, y, 0.1]),
        normal=np.array([0.0, 1.0, 0.0]),
        relevancy=relevancy,
        scale_m=0.12,
        box_to_world=box,
        box_size_m=np.array([0.1, 0.2, 0.1]),
        point_indices=np.arange(4),
        views=3,
        viewpoints=np.array([[1.0, 2.0, 1.0]], np.float32),
    )


def result(phrase: str, *maxima: Maximum) -> QueryResult:
    return QueryResult(
        phrase=phrase,
        exists=True,
        confidence=0.9,
        maxima=maxima,
        positions=np.array([[1, 3, 0], [2, 2, 0]], np.float32),
        colours=np.zeros((2, 3), np.uint8),
        relevancy=np.array([0.7, 0.2], np.float32),
        scale_m=np.full(2, 0.1, np.float32),
        step=12,
        stamp_ns=5,
    )


def test_answers_move_into_the_frame_asked_for() -> None:
    frame_from_world = inverse_transform(FRAME_TO_WORLD)
    found = reply.phrase_result_message(
        result('mug', place(1.0, 3.0)), frame_from_world, Header(frame_id='base'), True
    )
    maximum = found.maxima[0]
    # One metre along the world's y is one metre ahead of the robot.
    assert (maximum.position.x, maximum.position.y) == pytest.approx((1.0, 0.0))
    assert (maximum.normal.x, maximum.normal.y) == pytest.approx((1.0, 0.0))
    box = pose_matrix_of(maximum.box_pose)
    np.testing.assert_allclose(box, frame_from_world @ place(1.0, 3.0).box_to_world, atol=1e-12)
    assert (maximum.points, maximum.views) == (4, 3)
    points = cloud_array(found.cloud)
    assert (points['x'][0], points['y'][0]) == pytest.approx((1.0, 0.0))
    assert points['relevancy'][0] == pytest.approx(0.7)


def test_clouds_come_only_where_asked_for() -> None:
    found = reply.phrase_result_message(result('mug'), np.eye(4), Header(), False)
    assert len(found.cloud.data) == 0
    assert not found.maxima


def request(**fields: object) -> QueryLanguage.Request:
    return QueryLanguage.Request(**{'positives': ['mug'], **fields})


def test_defaults_of_a_question() -> None:
    asked = reply.request_of(request(), np.eye(4), 5)
    assert (asked.positives, asked.max_maxima, asked.region) == (('mug',), 5, None)


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'positives': []}, 'positives'),
        ({'positives': ['']}, 'positives'),
        ({'positives': ['x' * 10_000]}, 'positives'),
        ({'positives': ['mug'] * 1000}, 'at most'),
        ({'max_maxima': -1}, 'max_maxima'),
        ({'max_maxima': 10**6}, 'max_maxima'),
        ({'min_relevancy': 1.5}, 'min_relevancy'),
        ({'min_relevancy': float('nan')}, 'min_relevancy'),
        ({'region_size': Vector3(x=1.0, y=1.0, z=-1.0)}, 'region_size'),
        ({'region_size': Vector3(x=1.0)}, 'region_size'),
        ({'region_size': Vector3(x=float('inf'), y=1.0, z=1.0)}, 'region_size'),
        (
            {
                'region_size': Vector3(x=1.0, y=1.0, z=1.0),
                'region_pose': Pose(position=Point(x=float('nan'))),
            },
            'pose',
        ),
    ],
)
def test_bad_questions_are_one_sentence(fields: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        reply.request_of(request(**fields), np.eye(4), 5)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_turned_region_reaches_the_engine_as_it_is() -> None:
    turned = np.eye(4)
    turned[:2, :2] = np.sqrt(0.5) * np.array([[1, -1], [1, 1]])
    message = request(region_pose=pose_message(turned), region_size=Vector3(x=2.0, y=0.2, z=1.0))
    asked = reply.request_of(message, np.eye(4), 3)
    assert asked.region is not None
    assert asked.max_maxima == 3
    places = np.array([[0.5, 0.5, 0.0], [0.5, -0.5, 0.0], [0.7, 0.7, 0.5], [0.5, 0.5, 0.51]])
    assert asked.region.contains(places).tolist() == [True, False, True, False]


def test_regions_are_given_in_the_frame_of_the_question() -> None:
    pose = Pose(position=Point(x=1.0))
    message = request(region_pose=pose, region_size=Vector3(x=0.2, y=0.2, z=0.2))
    region = reply.request_of(message, FRAME_TO_WORLD, 1).region
    assert region is not None
    assert region.contains(np.array([[1.0, 3.0, 0.0], [2.0, 2.0, 0.0]])).tolist() == [True, False]


def test_poses_of_maxima_look_along_the_normal() -> None:
    flat = place(0, 0)
    up = Maximum(**{**vars(flat), 'normal': np.zeros(3)})
    poses = reply.maxima_message([result('mug', flat, up)], Header(frame_id='map')).poses
    directions = [pose_matrix_of(pose)[:3, 0] for pose in poses]
    np.testing.assert_allclose(directions, [[0, 1, 0], [0, 0, 1]], atol=1e-9)


def test_planners_get_no_place_of_what_is_absent() -> None:
    absent = replace(result('elephant', place(3, 3)), exists=False)
    weak = result('mug', place(0, 0), place(1, 1, 0.1))
    poses = reply.maxima_message([absent, weak], Header(frame_id='map')).poses
    assert [(pose.position.x, pose.position.y) for pose in poses] == [(0.0, 0.0)]


def test_viewpoints_are_those_of_the_best_place() -> None:
    frame_from_world = inverse_transform(FRAME_TO_WORLD)
    found = reply.viewpoint_messages([result('mug', place(1, 3))], frame_from_world)
    expected = transform_points(frame_from_world, np.array([1.0, 2.0, 1.0]))
    np.testing.assert_allclose([found[0].x, found[0].y, found[0].z], expected, atol=1e-9)
    assert reply.viewpoint_messages([result('mug')], frame_from_world) == []


def test_a_part_comes_with_its_object() -> None:
    whole = result('mug', place(1.0, 3.0), place(4.0, 3.0))
    part = replace(result('mug; handle', place(1.05, 3.0), place(4.05, 3.0)), object=whole)
    found = reply.phrase_result_message(part, np.eye(4), Header(), True)
    assert found.maxima[0].position.x == pytest.approx(1.05)
    assert [m.position.x for m in found.objects] == pytest.approx([1.0, 4.0])
    assert list(found.maxima[0].point_indices) == [0, 1, 2, 3]
    bare = reply.phrase_result_message(result('mug', place(1.0, 3.0)), np.eye(4), Header(), False)
    assert not bare.objects
    assert not bare.maxima[0].point_indices


def test_exemplars_come_with_and_without_a_box() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    image = image_message(picture, 'rgb8', Header())
    boxes = [RegionOfInterest(x_offset=10, y_offset=5, width=20, height=16), RegionOfInterest()]
    asked = reply.request_of(request(exemplars=[image, image], exemplar_boxes=boxes), np.eye(4), 8)
    assert [exemplar.box_uv for exemplar in asked.exemplars] == [(10.0, 5.0, 30.0, 21.0), None]
    np.testing.assert_array_equal(asked.exemplars[0].image, picture)


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'parts': ['handle', 'lid']}, 'parts'),
        ({'exemplar_boxes': [RegionOfInterest(width=9, height=9)]}, 'exemplar_boxes'),
        (
            {'exemplars': [image_message(np.zeros((1, 1, 3), np.uint8), 'rgb8', Header())]},
            'at least 8 px',
        ),
    ],
)
def test_parts_and_exemplars_that_do_not_fit_are_refused(fields: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reply.request_of(request(**fields), np.eye(4), 8)
