from __future__ import annotations

import numpy as np
import pytest
from scenery import CAMERA, CENTRES, COLOURS, RADII, mapped, named, orbit, picture, see

from lerf_ros.config import QueryOptions
from lerf_ros.geometry import camera_directions, look_at, pixel_centres
from lerf_ros.surface.cloud import SEEN_BY, SurfaceMap
from lerf_ros.surface.depth_view import voxel_keys


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


def test_the_number_of_points_is_bounded_and_the_most_seen_stay():
    surface = SurfaceMap(QueryOptions(max_points=1000, min_views=1))
    for number, pose in enumerate(orbit(6)):
        depth, balls = see(pose)
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
        assert len(surface) <= 1000
    assert np.median(surface.points().views) >= 2


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
