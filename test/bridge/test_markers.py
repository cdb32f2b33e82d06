"""Boxes and labels as RViz wants them, and the keyframes' path and frusta."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from lerf_ros.bridge.keyframe_path import frusta_message, path_message
from lerf_ros.bridge.markers import LINE, TEXT_HEIGHT_M, Label, apart, markers_message
from lerf_ros.geometry import PinholeCamera, look_at
from lerf_ros.query.request import Maximum, QueryResult

MAP = Header(frame_id='map')


def place(x: float, y: float, relevancy: float = 0.8) -> Maximum:
    box = np.eye(4)
    box[:3, 3] = (x, y, 0.05)
    return Maximum(
        position_m=np.array([x, y, 0.1]),
        normal=np.zeros(3),
        relevancy=relevancy,
        scale_m=0.12,
        box_to_world=box,
        box_size_m=np.array([0.1, 0.2, 0.1]),
        point_indices=np.arange(4),
        views=3,
        viewpoints=np.zeros((0, 3), np.float32),
    )


def result(phrase: str, *maxima: Maximum, exists: bool = True) -> QueryResult:
    empty = np.zeros(0, np.float32)
    return QueryResult(
        phrase=phrase,
        exists=exists,
        confidence=0.9,
        maxima=maxima,
        positions=np.zeros((0, 3), np.float32),
        colours=np.zeros((0, 3), np.uint8),
        relevancy=empty,
        scale_m=empty,
        step=12,
        stamp_ns=5,
    )


def texts(*results: QueryResult) -> list[Marker]:
    markers = markers_message(results, MAP).markers
    return [marker for marker in markers if marker.type == Marker.TEXT_VIEW_FACING]


def test_markers_replace_the_old_and_never_repeat_an_id() -> None:
    twice = [result('mug', place(0, 0), place(1, 1)), result('mug', place(2, 2))]
    markers = markers_message(twice, MAP).markers
    assert markers[0].action == Marker.DELETEALL
    names = [(marker.ns, marker.id) for marker in markers[1:]]
    assert len(set(names)) == len(names) == 6
    for marker in markers[1:]:
        numbers = [marker.pose.position.x, marker.scale.x, marker.scale.z]
        assert all(math.isfinite(number) for number in numbers)


def test_a_space_in_a_label_is_as_wide_as_a_space() -> None:
    (label,) = texts(result('purple hat', place(0, 0)))
    assert label.text == 'purple hat 0.80'
    # RViz takes scale.x for the width of a space; 0 makes it that of a line.
    assert label.scale.x == pytest.approx(0.4 * label.scale.z)


def test_what_is_absent_is_grey_and_says_so() -> None:
    there = result('mug', place(0, 0))
    absent = result('elephant', place(1, 1), place(2, 2), exists=False)
    markers = markers_message([there, absent], MAP).markers[1:]
    drawn = [marker for marker in markers if marker.ns == 'elephant']
    assert [marker.type for marker in drawn] == [Marker.CUBE, Marker.TEXT_VIEW_FACING]
    assert drawn[1].text == 'elephant: not found'
    for marker in drawn:
        assert marker.color.r == marker.color.g == marker.color.b < 1
    assert markers_message([result('elephant', exists=False)], MAP).markers[1:] == []


def test_places_closer_to_a_negative_are_not_drawn() -> None:
    assert len(texts(result('mug', place(0, 0), place(1, 1, 0.6), place(2, 2, 0.3)))) == 2


def test_labels_lie_over_no_other() -> None:
    crowd = [place(0.03 * n, 0.02 * n) for n in range(4)]
    found = texts(*(result(f'red mug number {n}', at) for n, at in enumerate(crowd)))
    heights = sorted(label.pose.position.z for label in found)
    assert min(np.diff(heights)) >= LINE * TEXT_HEIGHT_M - 1e-6
    # One that is alone stays where it is.
    far = Label('red mug', np.array([5.0, 0.0, 0.1]))
    assert apart(far, [Label('red mug', np.zeros(3))]) is far


def test_keyframes_come_as_a_path_and_as_lines() -> None:
    camera = PinholeCamera.from_vertical_fov(64, 48, 90.0)
    poses = np.array([look_at(np.array([x, -1.0, 1.0]), np.zeros(3)) for x in (0.0, 0.5, 1.0)])
    path = path_message(poses, MAP)
    assert [pose.pose.position.x for pose in path.poses] == [0.0, 0.5, 1.0]
    assert path.header.frame_id == 'map'
    frusta = frusta_message(poses, camera, MAP)
    assert (frusta.type, frusta.action) == (Marker.LINE_LIST, Marker.ADD)
    ends = np.array([[point.x, point.y, point.z] for point in frusta.points]).reshape(3, 8, 2, 3)
    # Each camera's four rays begin in its eye and reach what it looks at from the front.
    np.testing.assert_allclose(ends[:, :4, 0], np.repeat(poses[:, None, :3, 3], 4, axis=1))
    middle = ends[:, :4, 1].mean(axis=1) - poses[:, :3, 3]
    np.testing.assert_allclose(
        middle / np.linalg.norm(middle, axis=1, keepdims=True), poses[:, :3, 2], atol=1e-9
    )
    assert frusta_message(poses[:0], camera, MAP).action == Marker.DELETE


def test_a_long_drive_is_drawn_in_bounds() -> None:
    camera = PinholeCamera.from_vertical_fov(64, 48, 90.0)
    poses = np.repeat(np.eye(4)[None], 1201, axis=0)
    assert len(frusta_message(poses, camera, MAP).points) <= 500 * 16
    assert len(path_message(poses, MAP).poses) == 1201


def test_an_absent_phrase_shows_one_place() -> None:
    found = result('mug', place(0, 0), place(1, 1))
    assert len(found.shown) == 2
    assert len(replace(found, exists=False).shown) == 1
