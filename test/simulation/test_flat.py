"""The simulated flat: rooms one can walk through, objects at rest in them, exact truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.geometry import backproject, look_at, pixel_centres, transform_points
from lerf_ros.simulation import HELD_OUT_SEED, SENSORS, excluded_pairs, gl
from lerf_ros.simulation.flat import FlatOptions, FlatScene
from lerf_ros.simulation.flat_walk import ROBOT_RADIUS_M, SPEED_M_S, FreeFloor
from lerf_ros.simulation.floor_plan import draw_plan

SMALL = {'width': 160, 'height': 120, 'samples': 0}

try:
    gl.make_current()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(scope='module')
def flat():
    with FlatScene(1, FlatOptions(**SMALL)) as scene:
        yield scene


@pytest.mark.parametrize(('rooms', 'area_m2'), [(1, 12.0), (5, 75.0), (40, 600.0)])
def test_rooms_fill_the_plan_and_can_all_be_reached(rooms: int, area_m2: float) -> None:
    plan = draw_plan(rooms, area_m2, np.random.default_rng(rooms))
    assert len(plan.rooms) == rooms
    assert sum(room.area_m2 for room in plan.rooms) == pytest.approx(area_m2)
    assert sorted(plan.tour()) == list(range(rooms))
    assert len({room.name for room in plan.rooms}) == rooms
    for door in plan.doors:
        for room in (plan.rooms[number] for number in door.rooms):
            x, y = door.place_m
            assert room.low_m[0] - 1e-6 <= x <= room.high_m[0] + 1e-6
            assert room.low_m[1] - 1e-6 <= y <= room.high_m[1] + 1e-6


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match='plan: expected at least'):
        draw_plan(10, 20.0, np.random.default_rng(0))


def test_a_flat_is_full_of_objects_in_their_rooms(flat: FlatScene) -> None:
    assert len(flat.plan.rooms) == 5
    assert 60 <= len(flat.objects) <= 100
    assert len({each.obj.name for each in flat.objects}) == len(flat.objects)
    assert {each.room for each in flat.objects} == set(range(5))
    assert {'floor', 'shelf'} <= {each.support for each in flat.objects}
    for each in flat.objects:
        assert flat.room_of(each.obj.surface_centre_world) == each.room
        assert each.obj.box_min_world[2] > -0.01
        pair = each.obj.colour, each.obj.category
        assert pair not in excluded_pairs()


def test_objects_rest_and_do_not_share_a_place(flat: FlatScene) -> None:
    low = np.array([each.obj.box_min_world for each in flat.objects])
    high = np.array([each.obj.box_max_world for each in flat.objects])
    centres = np.array([each.obj.surface_centre_world for each in flat.objects])
    inside = (centres[:, None] > low[None]) & (centres[:, None] < high[None])
    assert (inside.all(axis=2) == np.eye(len(flat.objects), dtype=bool)).all()


def test_the_same_seed_gives_the_same_flat(flat: FlatScene) -> None:
    with FlatScene(1, FlatOptions(**SMALL)) as again:
        assert again.as_json() == flat.as_json()
        pose = flat.path(60.0, 1.0)[40]
        assert np.array_equal(again.render(pose).image, flat.render(pose).image)


def test_the_robot_visits_every_room_and_comes_home(flat: FlatScene) -> None:
    poses = flat.path(480.0, 10.0)
    rooms = [flat.room_of(pose[:3, 3]) for pose in poses]
    assert set(rooms) == set(range(5))
    changes = [rooms[0], *(b for a, b in itertools.pairwise(rooms) if a != b)]
    last = changes.index(flat.plan.tour()[-1])
    assert rooms[0] == 0
    assert 0 in changes[last:], 'the robot has to come home after the last room'
    steps_m = np.linalg.norm(np.diff(poses[:, :2, 3], axis=0), axis=1)
    assert steps_m.max() < 4 * SPEED_M_S / 10
    floor = FreeFloor(flat.plan, flat.furniture)
    standing = [floor.node((pose[0, 3], pose[1, 3])) >= 0 for pose in poses]
    # Smoothed corners and the sway may come a little nearer than the robot's radius.
    assert np.mean(standing) > 0.9, ROBOT_RADIUS_M


def test_a_picture_shows_the_object_where_the_truth_says(flat: FlatScene) -> None:
    seen = 0
    for each in flat.objects[:12]:
        obj = each.obj
        eye = obj.surface_centre_world + np.array([0.0, 0.05, 0.6])
        view = flat.render(look_at(eye, obj.surface_centre_world), room=each.room)
        mask = view.objects == obj.index
        if mask.sum() < 20:
            continue  # below a shelf's board
        seen += 1
        uv = pixel_centres(flat.camera)[mask]
        points = backproject(flat.camera, uv, view.depth[mask])
        world = transform_points(look_at(eye, obj.surface_centre_world), points)
        assert (world > obj.box_min_world - 0.01).all()
        assert (world < obj.box_max_world + 0.01).all()
    assert seen >= 4


def test_a_frame_is_the_same_whenever_it_is_taken(flat: FlatScene) -> None:
    pose = flat.path(60.0, 1.0)[30]
    first, _ = flat.shoot(pose, 30, 0, SENSORS['usual'])
    flat.shoot(pose, 31, 0, SENSORS['usual'])
    again, _ = flat.shoot(pose, 30, 0, SENSORS['usual'])
    assert np.array_equal(first.image, again.image)
    assert np.nanmax(first.depth) <= 4.1


def test_what_is_seen_through_a_door_is_the_same_from_both_rooms(flat: FlatScene) -> None:
    door = flat.plan.doors[0]
    x, y = door.place_m
    eye = np.array([x, y, 1.2])
    target = np.array([*flat.plan.rooms[door.rooms[1]].centre_m, 0.6])
    pose = look_at(eye, target)
    views = [flat.render(pose, room=room) for room in door.rooms]
    assert np.mean(views[0].objects != views[1].objects) < 0.01
    near = views[0].depth < 3.0
    assert np.allclose(views[0].depth[near], views[1].depth[near], atol=0.01)


def test_held_out_flats_show_pairs_that_no_other_does() -> None:
    with FlatScene(HELD_OUT_SEED, FlatOptions(area_m2=15.0, **SMALL)) as scene:
        pairs = {(each.obj.colour, each.obj.category) for each in scene.objects}
    assert pairs & excluded_pairs()
