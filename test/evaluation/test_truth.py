"""The truth of simulated scenes: perfect answers are right, wrong ones are told why."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lerf_ros.evaluation.truth import BACKGROUND, SceneTruth
from lerf_ros.evaluation.verdicts import summarise, worst
from lerf_ros.geometry import backproject, pixel_centres, transform_points
from lerf_ros.simulation import WORLDS, TabletopScene, excluded_pairs


@pytest.fixture(scope='module')
def scene():
    with TabletopScene(9001) as scene:
        yield scene


@pytest.fixture(scope='module')
def truth(scene):
    return SceneTruth(scene)


@pytest.fixture(scope='module')
def cloud(scene):
    """Points of one picture, and the object at each."""
    pose = scene.path('orbit', 2.0, 1.0)[1]
    view = scene.render(pose)
    near = np.isfinite(view.depth) & (view.depth < 2)
    uv = pixel_centres(scene.camera)[near]
    points = transform_points(pose, backproject(scene.camera, uv, view.depth[near]))
    return points[::7], view.objects[near][::7]


def answer_all(truth, labels, shift=(0.0, 0.0, 0.0), rotate=0):
    answers = []
    for question in truth.questions():
        if question.kind == 'absent':
            index = 0
        else:
            index = (question.object_index + rotate) % len(truth.objects)
        obj = truth.objects[index]
        centre = obj.surface_centre_world
        if question.kind == 'part' and not rotate:
            centre = obj.parts[question.part_index].centre_world
        answers.append(
            truth.judge(
                question,
                said_present=(question.kind != 'absent') == (rotate == 0),
                confidence=0.9,
                position_m=centre + np.array(shift),
                point_indices=np.flatnonzero(labels == index),
                labels=labels,
            )
        )
    return answers


def test_labels_agree_with_the_pictures(truth, cloud) -> None:
    points, expected = cloud
    labels = truth.label(points)
    assert (labels == expected).mean() > 0.98
    assert truth.label(np.array([[0.0, 0.0, 5.0]])).tolist() == [BACKGROUND]


def test_questions_are_balanced_and_name_what_is_and_is_not_there(truth) -> None:
    questions = truth.questions()
    kinds = [question.kind for question in questions]
    count = len(truth.objects)
    assert kinds.count('object') == kinds.count('absent') == count
    names = {obj.name for obj in truth.objects}
    absent = [question for question in questions if question.kind == 'absent']
    assert {'colour', 'category', ''} == {question.near_miss for question in absent}
    for question in absent:
        assert question.phrase not in names
        categories = {obj.category for obj in truth.objects}
        if question.near_miss == 'colour':
            assert question.phrase.removeprefix(question.colour + ' ') in categories
    assert truth.questions() == questions


def test_perfect_answers_score_perfectly(truth, cloud) -> None:
    labels = truth.label(cloud[0])
    answers = answer_all(truth, labels)
    figures = summarise(answers)
    assert figures['localisation'] == 1.0
    assert figures['median_error_m'] == pytest.approx(0.0)
    assert figures['parts'] == 1.0
    assert figures['existence_precision'] == figures['existence_recall'] == 1.0
    assert not worst(answers, 5)
    visible = set(labels.tolist())
    ious = [a.iou for a in answers if a.question.kind == 'object']
    assert ious == [float(obj.index in visible) for obj in truth.objects]


def test_wrong_answers_score_nothing_and_say_why(truth, cloud) -> None:
    answers = answer_all(truth, truth.label(cloud[0]), rotate=1)
    figures = summarise(answers)
    assert figures['localisation'] == 0.0
    assert figures['miou_3d'] == 0.0
    assert figures['absent_refused'] == 0.0
    assert all(answer.reason.endswith('.') for answer in answers)
    accepted = next(a for a in answers if a.question.kind == 'absent')
    assert accepted.reason.startswith('Said to be there with confidence 0.90')
    assert truth.objects[0].name in accepted.reason


def test_places_off_the_object_are_misses(truth, cloud) -> None:
    labels = truth.label(cloud[0])
    answers = answer_all(truth, labels, shift=(0.0, 0.0, 0.6))
    objects = [answer for answer in answers if answer.question.kind == 'object']
    assert not any(answer.hit for answer in objects)
    assert all(answer.error_m == pytest.approx(0.6) for answer in objects)
    assert all('background' in answer.reason for answer in objects)


def test_no_place_is_a_miss(truth, cloud) -> None:
    answer = truth.judge(
        truth.questions()[0],
        said_present=False,
        confidence=0.1,
        position_m=None,
        point_indices=np.zeros(0, dtype=int),
        labels=truth.label(cloud[0]),
    )
    assert math.isinf(answer.error_m)
    assert not answer.hit
    assert 'No place was returned' in answer.reason


def test_development_scenes_ask_nothing_of_excluded_pairs(truth) -> None:
    assert not any(question.excluded for question in truth.questions())
    with TabletopScene(12_345) as scene:
        questions = SceneTruth(scene).questions()
    pairs = {f'{colour} {category}' for colour, category in excluded_pairs()}
    objects = [question for question in questions if question.kind == 'object']
    assert [q.excluded for q in objects] == [q.phrase in pairs for q in objects]
    assert any(question.excluded for question in questions)


def test_the_oracle_is_right_and_knows_the_parts(truth, cloud):
    points, labels = cloud
    for question in truth.questions():
        known = truth.oracle(question, points, labels)
        if question.absent:
            assert len(known) == 0
            continue
        assert (labels[known] == question.object_index).all()
        if len(known) and question.kind == 'part':
            answer = truth.judge(
                question,
                said_present=True,
                confidence=1.0,
                position_m=points[known].mean(axis=0),
                point_indices=known,
                labels=labels,
            )
            assert answer.hit


def test_each_of_several_alike_is_right_and_all_are_wanted():
    with TabletopScene(9003, WORLDS['twins']) as scene:
        truth = SceneTruth(scene)
    questions = [question for question in truth.questions() if question.kind == 'object']
    names = [obj.name for obj in truth.objects]
    assert len(questions) == len(set(names)) < len(names)
    question = next(q for q in questions if names.count(q.phrase) > 1)
    alike = [obj for obj in truth.objects if obj.name == question.phrase]
    labels = np.array([obj.index for obj in truth.objects])
    places = [obj.box_to_world[:3, 3] for obj in alike]
    for found in (places, places[::-1], places[1:]):
        answer = truth.judge(
            question,
            said_present=True,
            confidence=1.0,
            position_m=found[0],
            point_indices=np.flatnonzero(labels == alike[-1].index),
            labels=labels,
            places_m=found,
        )
        assert answer.hit
        assert answer.twins_found == len(found) / len(alike)
    single = next(q for q in questions if names.count(q.phrase) == 1)
    obj = truth.objects[single.object_index]
    answer = truth.judge(
        single,
        said_present=True,
        confidence=1.0,
        position_m=obj.surface_centre_world,
        point_indices=np.flatnonzero(labels == obj.index),
        labels=labels,
    )
    assert answer.twins_found is None
    assert answer.iou == 1
