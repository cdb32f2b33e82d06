from __future__ import annotations

import numpy as np
import pytest
from scenery import CAMERA, CENTRES, COLOURS, RADII, mapped, named, orbit, picture, see
from scipy.spatial import cKDTree

from lerf_ros.config import QueryOptions
from lerf_ros.geometry import camera_directions, look_at, pixel_centres, transform_points
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.depth_view import voxel_keys
from lerf_ros.surface.voxels import SEEN_BY


@pytest.fixture(scope='module')
def points():
    return mapped(noise_m=0.002).points()


def distance_to_scene(positions):
    """Distance to the table or to the nearest ball."""
    balls = np.abs(np.linalg.norm(positions[:, None] - CENTRES, axis=-1) - RADII).min(axis=1)
    return np.minimum(balls, np.abs(positions[:, 2]))


def test_points_lie_on_the_surface_at_one_a_voxel(points):
    assert len(points) > 5000
    error = distance_to_scene(points.positions)
    # Noise of 2 mm a pixel, averaged over a few pixels and views.
    assert np.median(error) < 0.0015
    assert np.quantile(error, 0.99) < 0.006
    assert len(np.unique(voxel_keys(points.positions, points.voxel_m))) > 0.95 * len(points)


def test_normals_and_colours_are_those_of_the_surface(points):
    # Away from the balls, and from the border, behind which nothing is.
    table = (np.abs(points.positions) < (0.45, 0.45, 0.002)).all(axis=1)
    clear = table & (np.linalg.norm(points.positions[:, None] - CENTRES, axis=-1) > 0.12).all(1)
    assert np.quantile(points.normals[clear] @ [0, 0, 1], 0.01) > 0.97
    assert np.abs(points.colours[clear].astype(int) - 150).max() <= 1
    offset = points.positions - CENTRES[0]
    top = (np.abs(np.linalg.norm(offset, axis=1) - RADII[0]) < 0.004) & (offset[:, 2] > 0.02)
    outward = offset[top] / np.linalg.norm(offset[top], axis=1, keepdims=True)
    assert np.median((points.normals[top] * outward).sum(axis=1)) > 0.95
    assert np.abs(np.median(points.colours[top], axis=0) - COLOURS[0]).max() < 10


def test_views_count_different_keyframes():
    surface = SurfaceMap(QueryOptions(min_views=1))
    pose = orbit(8)[0]
    depth, balls = see(pose)
    for _ in range(3):
        surface.integrate(named(7), depth, picture(balls), CAMERA, pose)
    assert surface.points().views.max() == 1
    surface.integrate(named(8), depth, picture(balls), CAMERA, pose)
    assert surface.points().views.max() == 2
    assert surface.keyframe_count == 2


def test_more_views_than_are_remembered_are_still_counted():
    surface = SurfaceMap(QueryOptions())
    pose = orbit(8)[0]
    depth, balls = see(pose)
    for number in range(SEEN_BY + 9):
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
    assert surface.points().views.max() == SEEN_BY + 9


def test_viewpoints_are_the_cameras_that_saw_the_points():
    surface = SurfaceMap(QueryOptions(min_views=1))
    poses = orbit(4)
    for number, pose in enumerate(poses):
        depth, balls = see(pose)
        # The second camera sees only the left half of its picture.
        if number == 1:
            depth[:, 80:] = np.nan
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
    points = surface.points()
    seen_by_one = (points.seen_by == 1).any(axis=1)
    assert seen_by_one.any()
    assert not seen_by_one.all()
    without = points.viewpoints(~seen_by_one)
    assert not np.isclose(without, poses[1][:3, 3], atol=1e-6).all(axis=1).any()
    every = points.viewpoints(np.arange(len(points)))
    assert every == pytest.approx(np.stack([pose[:3, 3] for pose in poses]), abs=1e-6)


def test_something_taken_away_disappears():
    options = QueryOptions(min_views=1)
    surface = SurfaceMap(options)
    poses = orbit(8)
    for number, pose in enumerate(poses[:3]):
        depth, balls = see(pose)
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
    # The big ball in the middle is removed: later views see the table behind it.
    for number, pose in enumerate(poses[:3] * 4):
        depth, balls = see(pose)
        height_m = pose[2, 3]
        empty = balls == 0
        down = (camera_directions(CAMERA, pixel_centres(CAMERA)) @ pose[:3, :3].T)[..., 2]
        depth = np.where(empty, -height_m / down, depth).astype(np.float32)
        surface.integrate(named(100 + number), depth, picture(balls), CAMERA, pose)
    points = surface.points()
    ball = np.linalg.norm(points.positions - CENTRES[0], axis=1) < RADII[0] + 0.003
    assert (points.positions[ball][:, 2] > 0.045).sum() == 0
    other = np.linalg.norm(points.positions - CENTRES[2], axis=1) < RADII[2] + 0.003
    assert (points.positions[other][:, 2] > 0.045).sum() > 20


def test_unknown_depth_refutes_nothing():
    surface = SurfaceMap(QueryOptions(min_views=1))
    pose = orbit(8)[0]
    depth, balls = see(pose)
    surface.integrate(named(0), depth, picture(balls), CAMERA, pose)
    before = len(surface)
    for number in range(10):
        surface.integrate(
            named(1 + number), np.full_like(depth, np.nan), picture(balls), CAMERA, pose
        )
    assert len(surface) == before


def wall_depth(pose):
    """Depth of an endless wall at y = 1, of which a camera that looks along +y sees all."""
    directions = camera_directions(CAMERA, pixel_centres(CAMERA)) @ pose[:3, :3].T
    return ((1.0 - pose[1, 3]) / directions[..., 1]).astype(np.float32)


def drive(surface, x_m, number):
    """Lets a camera half a metre before the wall see it at x."""
    pose = look_at(np.array([x_m, 0.5, 0.0]), np.array([x_m, 1.0, 0.0]))
    depth = wall_depth(pose)
    image = np.full((*depth.shape, 3), 150, np.uint8)
    surface.integrate(named(number), depth, image, CAMERA, pose)


def test_a_full_surface_takes_in_where_the_camera_is(caplog):
    surface = SurfaceMap(QueryOptions(max_points=4000, min_views=2))
    for number in range(80):  # 8 m of wall, of which the bound holds about one
        drive(surface, 0.1 * number, number)
        assert len(surface) <= 4000
    positions = surface.points().positions
    here = np.abs(positions[:, 0] - 7.9) < 0.25
    # All of what the last pictures saw of the wall, at one point a voxel.
    assert here.sum() > 0.9 * 0.25 / 0.01 * (2 * 0.22 / 0.01)
    assert positions[:, 0].min() > 6.0
    assert [record.levelname for record in caplog.records] == ['WARNING']
    assert 'query.max_points' in caplog.text


def test_of_what_is_equally_far_the_oldest_makes_place():
    surface = SurfaceMap(QueryOptions(max_points=5000, min_views=1))
    drive(surface, 0.0, 0)
    for number in range(1, 6):
        drive(surface, 2.0, number)
    drive(surface, 1.0, 6)  # as far from the one as from the other
    x_m = surface.points().positions[:, 0]
    assert (np.abs(x_m - 1.0) < 0.2).sum() > 1000
    assert (x_m > 1.7).sum() > 2 * (x_m < 0.3).sum()


def on_the_big_ball(surface):
    positions = surface.points().positions
    near = np.linalg.norm(positions - CENTRES[0], axis=1) < RADII[0] + 0.003
    return near & (positions[:, 2] > 0.03)


def test_a_few_wrong_looks_in_a_long_time_refute_nothing():
    surface = SurfaceMap(QueryOptions(min_views=1, voxel_m=0.02))
    pose, camera = orbit(8)[0], CAMERA.resized(80, 60)
    depth, balls = see(pose, camera)
    for look in range(300):
        wrong = look % 10 == 9
        # A sensor that once in a while reports the wall behind.
        seen = depth + 0.5 if wrong else depth
        surface.integrate(named(look % 3), seen, picture(balls), camera, pose)
        if look == 8:
            before = np.count_nonzero(on_the_big_ball(surface))
    assert before > 15
    assert np.count_nonzero(on_the_big_ball(surface)) == before
    # And what is gone goes, however long it was there.
    for _ in range(20):
        surface.integrate(named(9), depth + 0.5, picture(balls), camera, pose)
    assert not on_the_big_ball(surface).any()


def test_a_point_left_of_the_picture_is_not_in_it():
    """Pixels are rounded down: -0.5 is outside, not in column 0."""
    surface = SurfaceMap(QueryOptions(min_views=1))
    drive(surface, 0.0, 0)
    far = look_at(np.array([0.0, 0.5, 0.0]), np.array([0.0, 1.0, 0.0]))
    positions = surface.points().positions
    u = CAMERA.fx * positions[:, 0] / 0.5 + CAMERA.cx
    # Every look sees through what is in the picture, after a turn by half a picture.
    step_m = 0.5 / CAMERA.fx
    moved = far.copy()
    moved[0, 3] = positions[:, 0].min() + CAMERA.cx * step_m + 0.5 * step_m
    left = positions[np.floor(u - moved[0, 3] / step_m) == -1]
    assert len(left) > 5
    for _ in range(8):
        surface.integrate(
            named(5),
            np.full((CAMERA.height, CAMERA.width), 1.4, np.float32),
            np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8),
            CAMERA,
            moved,
        )
    kept = surface.points().positions
    assert np.isin(left[:, 0], kept[:, 0]).all()


def test_points_move_with_the_keyframes_that_saw_them():
    surface = SurfaceMap(QueryOptions(min_views=1))
    for number in range(3):
        drive(surface, 0.0, number)
    for number in range(3, 6):
        drive(surface, 5.0, number)
    before = surface.points()
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = [0.5, 0.0, 1.0]
    surface.move({named(number): turn for number in range(3)} | {named(77): np.eye(4)})
    after = surface.points()
    assert len(after) > 0.95 * len(before)
    still = before.positions[:, 0] > 2.5
    known = np.isin(before.keys[still], after.keys)
    assert known.all()
    expected = transform_points(turn, before.positions[~still].astype(np.float64))
    distance, _ = cKDTree(after.positions).query(expected)
    assert distance.max() < 0.01
    there = after.positions[:, 2] > 0.5
    np.testing.assert_allclose(np.abs(after.normals[there] @ [1, 0, 0]), 1, atol=0.02)
    np.testing.assert_allclose(after.cameras_m[0], [0.0, 0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(after.cameras_m[3], [5.0, 0.5, 0.0], atol=1e-6)
    # It grows on from there.
    drive(surface, 5.0, 6)
    assert (surface.points().views[surface.points().positions[:, 0] > 4] == 4).mean() > 0.8


def test_what_was_seen_twice_because_the_poses_drifted_becomes_one():
    surface = SurfaceMap(QueryOptions(min_views=1))
    for number in range(6):
        pose = look_at(np.array([0.0, 0.5, 0.0]), np.array([0.0, 1.0, 0.0]))
        drifted = pose.copy()
        drifted[1, 3] -= 0.1 * (number >= 3)
        depth = np.full((CAMERA.height, CAMERA.width), 0.5, np.float32)
        image = np.zeros((*depth.shape, 3), np.uint8)
        surface.integrate(named(number), depth, image, CAMERA, drifted)
    twice = len(surface)
    back = np.eye(4)
    back[1, 3] = 0.1
    surface.move({named(number): back for number in range(3, 6)})
    assert len(surface) < 0.6 * twice
    np.testing.assert_allclose(surface.points().positions[:, 1], 1.0, atol=0.002)


def test_region_and_range_bound_the_points():
    options = QueryOptions(region_min_x_m=-0.1, region_max_x_m=0.1, region_min_z_m=0.02)
    points = mapped(options).points()
    assert len(points) > 50
    assert np.abs(points.positions[:, 0]).max() <= 0.11
    assert points.positions[:, 2].min() > 0.019
    assert len(mapped(QueryOptions(max_range_m=0.3)).points()) == 0


def test_wrong_sizes_are_refused():
    surface = SurfaceMap(QueryOptions())
    with pytest.raises(ValueError, match='expected 160x120'):
        surface.integrate(
            named(0), np.ones((5, 5), np.float32), np.zeros((5, 5, 3), np.uint8), CAMERA, np.eye(4)
        )


def test_flying_pixels_between_near_and_far_are_left_out():
    camera, pose = CAMERA, look_at(np.array([0.0, 0.001, 1.0]), np.zeros(3))
    depth = np.full((camera.height, camera.width), 1.0, np.float32)
    depth[:, 80:] = 0.7
    depth[:, 79] = 0.85
    surface = SurfaceMap(QueryOptions(min_views=1))
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    for number in range(4):
        surface.integrate(named(number), depth, image, camera, pose)
    heights = surface.points().positions[:, 2]
    assert ((np.abs(heights) < 0.01) | (np.abs(heights - 0.3) < 0.01)).all()


def test_state_survives_saving_and_growing():
    surface = mapped(views=6)
    copy = SurfaceMap(QueryOptions())
    copy.load_state_dict(surface.state_dict())
    pose = orbit(7)[3]
    depth, balls = see(pose)
    for one in (surface, copy):
        one.integrate(named(50), depth, picture(balls), CAMERA, pose)
    before, after = surface.points(), copy.points()
    order, other = np.argsort(before.keys), np.argsort(after.keys)
    assert (before.keys[order] == after.keys[other]).all()
    assert before.positions[order] == pytest.approx(after.positions[other])
    assert (before.views[order] == after.views[other]).all()
    assert copy.keyframe_count == 7


def test_a_foreign_state_is_refused_and_changes_nothing():
    surface = mapped(views=3)
    state = surface.state_dict()
    size = len(surface)
    with pytest.raises(ValueError, match='lacks positions'):
        surface.load_state_dict({k: v for k, v in state.items() if k != 'positions'})
    with pytest.raises(ValueError, match='voxel_m'):
        SurfaceMap(QueryOptions(voxel_m=0.02)).load_state_dict(state)
    with pytest.raises(ValueError, match='different lengths'):
        surface.load_state_dict({**state, 'views': state['views'][:5]})
    with pytest.raises(ValueError, match=r'surface\.positions'):
        surface.load_state_dict({**state, 'positions': state['positions'].double()})
    assert len(surface) == size
