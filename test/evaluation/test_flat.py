"""The truth about a simulated flat, and the figures made of answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from colour_encoder import ColourEncoder

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.flat.asking import ask
from lerf_ros.evaluation.flat.figures import by_class, figures, forgotten_points, shuffled
from lerf_ros.evaluation.flat.run import FlatRun, evaluate_flat, leaving_times, visited_area
from lerf_ros.evaluation.flat.second_events import closure_pose, loop_closed, saved_and_loaded
from lerf_ros.evaluation.flat.truth import FlatQuestion, FlatTruth, Sightings
from lerf_ros.geometry import look_at, transform_points
from lerf_ros.maps.atlas import Atlas
from lerf_ros.simulation import SENSORS, FlatOptions, FlatScene, gl

try:
    gl.make_current()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(scope='module')
def flat():
    options = FlatOptions(area_m2=30.0, width=160, height=120, samples=0)
    with FlatScene(5, options) as scene:
        yield scene


@pytest.fixture(scope='module')
def truth(flat):
    return FlatTruth(flat)


def right(truth, question):
    centre = truth.objects[question.objects[0]].obj.surface_centre_world
    return truth.judge(question, True, 0.9, centre)


def test_an_answer_at_the_object_is_right_and_one_in_the_next_room_wrong(truth):
    question = truth.questions([0])[0]
    assert right(truth, question).room
    assert right(truth, question).within
    assert right(truth, question).error_m == 0
    other = next(each for each in truth.objects if each.room != truth.objects[0].room)
    far = truth.judge(question, True, 0.9, other.obj.surface_centre_world)
    assert not far.room
    assert not far.within
    assert far.error_m > 0.25
    nowhere = truth.judge(question, False, 0.1, None)
    assert (nowhere.room, nowhere.within, nowhere.error_m) == (False, False, math.inf)


def test_absent_phrases_name_nothing_in_the_flat(truth):
    names = {name for each in truth.objects for name in each.obj.names}
    asked = truth.absent_questions(20)
    assert len(asked) == 20
    assert not names & {question.phrase for question in asked}


def test_only_what_is_seen_from_near_by_often_enough_is_asked_for(flat):
    sightings = Sightings()
    obj = flat.objects[0].obj
    eye = obj.surface_centre_world + np.array([0.0, 0.05, 0.6])
    view = flat.render(look_at(eye, obj.surface_centre_world), room=flat.objects[0].room)
    sightings.look(99, view)  # a picture that becomes no keyframe
    for number in range(3):
        assert obj.index not in sightings.seen()
        sightings.look(number, view)
        sightings.note(number)
    assert obj.index in sightings.seen()
    assert sightings.nearest_m[obj.index] == pytest.approx(0.6, abs=0.15)


def test_the_oracle_finds_what_the_surface_holds_and_nothing_else(truth):
    question = truth.questions([0])[0]
    obj = truth.objects[0].obj
    rng = np.random.default_rng(0)
    spread = rng.uniform(-0.5, 0.5, (200, 3)) * obj.box_size_m
    on_it = spread @ obj.box_to_world[:3, :3].T + obj.box_to_world[:3, 3]
    positions = np.concatenate([on_it, on_it + np.array([0, 0, 5.0])])
    labels = truth.label(positions)
    assert (labels[:200] == 0).all()
    assert (labels[200:] == -1).all()
    assert truth.oracle(question, positions, labels).within
    assert not truth.oracle(question, positions[200:], labels[200:]).said_present
    assert not truth.oracle(FlatQuestion('unicorn'), positions, labels).said_present


def test_chance_scores_far_below_right_answers(truth):
    questions = truth.questions(range(len(truth.objects)))
    ours = [right(truth, question) for question in questions]
    ours += [truth.judge(each, False, 0.1, None) for each in truth.absent_questions(10)]
    row = figures(ours)
    assert (row['room'], row['within_25cm'], row['absent_refused']) == (1, 1, 1)
    assert row['median_error_m'] == 0
    assert row['present_refused'] == 0
    chance = figures(shuffled(truth, ours, np.random.default_rng(0)))
    assert chance['within_25cm'] < 0.2
    assert chance['room'] < 0.9
    classes = by_class(truth, Sightings(), ours)
    assert sum(each['questions'] for each in classes['support'].values()) == len(questions)
    assert set(classes['room']) == {room.name for room in truth.plan.rooms}


def test_forgotten_points_compare_the_same_questions(truth):
    questions = truth.questions(range(4))
    before = [right(truth, question) for question in questions]
    after = [*before[:3], truth.judge(questions[3], True, 0.5, np.array([-9.0, -9.0, 0.0]))]
    assert forgotten_points(before, after) == pytest.approx(25.0)
    assert forgotten_points(before[:3], after) == pytest.approx(0.0)
    assert forgotten_points([], after) is None


def test_a_room_is_asked_about_once_it_is_left(flat):
    path = flat.path(150.0, 10.0)
    leaves = leaving_times(flat, path)
    assert leaves
    for time_s, rooms in leaves.items():
        for room in rooms:
            assert flat.room_of(path[round(time_s * 10)][:3, 3]) != room
    assert visited_area(flat, path) == pytest.approx(30.0, abs=20.0)


SMALL = LerfConfig.from_flat(
    {
        'training.rays_per_step': 128,
        'training.language_rays_per_step': 64,
        'field.table_log2': 12,
        'field.language_table_log2': 12,
        'features.pyramid_levels': 4,
        'query.voxel_m': 0.04,
        'query.max_range_m': 3.0,
        'query.scales': 6,
        'atlas.submap_side_m': 4.0,
    }
)


@pytest.fixture
def live_map(flat):
    path = flat.path(100.0, 0.25)
    atlas = Atlas(SMALL, ColourEncoder())
    for index, pose in enumerate(path):
        atlas.ingest(flat.shoot(pose, index, index * 4_000_000_000, SENSORS['usual'])[0])
        atlas.step()
    yield atlas
    atlas.close()


def test_answers_follow_a_closed_loop(live_map, truth, monkeypatch):
    questions = [FlatQuestion(colour, (0,)) for colour in ('red', 'blue', 'green', 'yellow')]
    for _ in range(40):
        live_map.step()
    # So young a map answers otherwise after every step: its weights rest meanwhile.
    monkeypatch.setattr(live_map, 'step', lambda: None)
    before = ask(live_map, truth, questions)
    row = loop_closed(live_map, truth, questions)
    assert live_map.pose_epoch == 1
    assert row['closure_follow_s'] > 0
    assert 0 <= row['closure_within_25cm'] <= 1
    after = ask(live_map, truth, questions)
    places = np.array([answer.position_m for answer in before])
    moved = np.array([answer.position_m for answer in after])
    assert np.allclose(transform_points(closure_pose(), places), moved, atol=1e-3)
    assert np.median(np.linalg.norm(places - moved, axis=1)) > 0.08


def test_a_saved_flat_is_loaded_and_asked(live_map):
    row = saved_and_loaded(live_map, SMALL, live_map.encoder, 'red')
    assert 0 < row['map_mb'] < 50
    assert row['load_and_ask_s'] > 0


def test_the_real_clock_counts_what_the_walk_brought():
    run = FlatRun(seeds=(9004,), area_m2=15.0, seconds=12.0, realtime=True, width=160)
    result, (report,) = evaluate_flat(run, SMALL, ColourEncoder, {}, lambda *_: None)
    row, *bounds = result['rows']
    assert [each['method'] for each in (row, *bounds)] == ['field', 'oracle', 'shuffled']
    assert row['keyframes'] > 1
    assert row['steps'] > 0
    assert row['keyframes_per_s'] == row['keyframes'] / 12.0
    assert row['frames_dropped'] + row['keyframes'] <= 120  # of ten frames a second
    assert report.growth[-1][0] == 12.0


def test_a_walk_too_short_to_visit_a_room_has_no_figures_by_area():
    run = FlatRun(seeds=(9004,), area_m2=15.0, seconds=6.0, steps_per_second=2.0, width=160)
    result, _ = evaluate_flat(run, SMALL, ColourEncoder, {}, lambda *_: None)
    row = result['rows'][0]
    assert row['steps'] <= 12
    assert row['frames_dropped'] is None  # the nominal clock waits for the map
    assert row['map_mb_per_m2'] is None
    assert row['area_m2'] == 0
