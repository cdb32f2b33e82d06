"""What is typed, as a question; answers, as words and as files."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from viewer_answers import answer

from lerf_ros.query.likeness import Likeness
from lerf_ros.surface.ply import ply_bytes
from lerf_ros.viewer import words
from lerf_ros.viewer.cameras import eye_for, overview, picked, up_of
from lerf_ros.viewer.exports import answer_json
from lerf_ros.viewer.state import Status

STATUS = Status('WAITING', 0, 0.0, math.nan, 0, 300.0, 'tabletop', 'cpu', 0, 0, 0, '', '')


def test_phrases_and_parts_are_told_apart() -> None:
    assert words.split_phrases(' red  mug ; teapot>lid;; ') == (
        ('red mug', 'teapot'),
        ('', 'lid'),
    )
    assert words.split_list('object; things,stuff ;; things') == ('object', 'things', 'stuff')


@pytest.mark.parametrize('text', ['', '  ;  ; ', 'a > b > c'])
def test_what_asks_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='phrase: expected'):
        words.split_phrases(text)


def test_an_answer_says_where_and_how_sure() -> None:
    given = answer()
    page = words.answer_html(given.results, given.step, given.frame, 0.25)
    for piece in ('there, confidence 0.90', '1. at 0.100 0.000 0.050', 'step 9, 250 ms'):
        assert piece in page


def test_an_absent_phrase_says_why() -> None:
    (result,) = answer(exists=False).results
    page = words.answer_html((result,), 9, 'map', 0.1)
    assert 'not found, confidence 0.10' in page
    assert words.why_not(result) in page
    far = replace(result.maxima[0], relevancy=0.2)
    assert 'closer to a negative' in words.why_not(replace(result, maxima=(far,)))
    assert 'Nothing' in words.why_not(replace(result, maxima=()))


def test_no_word_of_a_person_becomes_markup() -> None:
    given = answer('<script>alert(1)</script>')
    pages = [
        words.answer_html(given.results, 1, '<i>', 0.1),
        words.error_html('<b>'),
        words.likeness_html(Likeness(('<u>',), (1.0,), 0.1), np.zeros(3)),
        words.status_html(replace(STATUS, note='<em>', error='<em>'), 3),
    ]
    for page in pages:
        assert not any(tag in page for tag in ('<script', '<i>', '<u>', '<em>'))


def test_a_status_says_why_nothing_arrives() -> None:
    assert 'is the camera stream running' in words.status_html(STATUS, 0)
    assert 'is the camera stream running' in words.headline_html(STATUS)
    told = words.status_html(replace(STATUS, note='nobody publishes /lerf/keyframes'), 0)
    assert 'nobody publishes' in told
    assert 'camera stream' not in told


def test_an_answer_is_a_json_file() -> None:
    content = json.loads(answer_json(answer()))
    assert (content['frame_id'], content['step'], content['stamp']) == ('map', 9, 1.5)
    (maximum,) = content['results'][0]['maxima']
    assert maximum['position'] == [0.1, 0.0, 0.05]


def test_a_cloud_is_a_ply_file() -> None:
    (result,) = answer().results
    content = ply_bytes(result.positions, result.colours)
    head, _, body = content.partition(b'end_header\n')
    assert b'element vertex 2' in head
    assert b'relevancy' not in head
    assert len(body) == 2 * (3 * 4 + 3)
    assert np.frombuffer(body[:12], '<f4').tolist() == pytest.approx([0.1, 0.0, 0.05])


def test_a_click_finds_the_first_point_along_its_ray() -> None:
    points = np.array([[0.0, 0.0, 1.0], [0.004, 0.0, 2.0], [0.0, 0.0, -1.0]], np.float32)
    origin, forward = np.zeros(3), np.array([0.0, 0.0, 2.0])
    assert picked(origin, forward, points, 0.01) == 0
    assert picked(origin, forward, points[1:], 0.01) == 0
    assert picked(origin, np.array([1.0, 0.0, 0.0]), points, 0.01) is None


def test_one_flies_closer_from_where_a_camera_saw_it() -> None:
    (place,) = answer().results[0].maxima
    eye = eye_for(place.position_m, 0.1, place.viewpoints, np.array([3.0, 0.0, 3.0]))
    seen_from = place.viewpoints[0] - place.position_m
    np.testing.assert_allclose(
        (eye - place.position_m) / np.linalg.norm(eye - place.position_m),
        seen_from / np.linalg.norm(seen_from),
    )
    assert np.linalg.norm(eye - place.position_m) == pytest.approx(0.5)


def test_a_table_is_first_seen_from_above_and_a_room_from_within() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (500, 3)) * (1, 1, 0.1)
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, :3, 3] = [[2, 0, 1.5], [0, 2, 1.5], [-2, 0, 1.5], [0, -2, 1.5]]
    eye, target = overview(points, poses)
    assert np.linalg.norm(target) < 0.2
    assert eye[2] > 0.5
    assert eye[0] > abs(eye[1])
    poses[:, :3, 3] *= 0.1
    eye, target = overview(points, poses)
    np.testing.assert_array_equal(eye, poses[0, :3, 3])
    # The first camera of many a SLAM looks along z: up is against its y.
    forward = np.tile(np.eye(4), (3, 1, 1))
    forward[:, :3, 3] = [[0, 0, -3], [0.2, 0, -3], [0.4, 0, -3]]
    np.testing.assert_array_equal(up_of(forward), (0, -1, 0))
    eye, target = overview(points, forward)
    assert eye[1] < target[1] - 0.5
    assert eye[2] < target[2] - 0.5
    eye, target = overview(points, np.zeros((0, 4, 4)))
    np.testing.assert_array_equal(up_of(np.zeros((0, 4, 4))), (0, 0, 1))
    assert eye[2] > target[2]
