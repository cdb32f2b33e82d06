"""Tests of lerf_ros.surface.thinning: far away a surface is coarse, a nearer look refines it."""

from __future__ import annotations

import numpy as np

from lerf_ros.config import QueryOptions
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.depth_view import cube_keys, depth_normals, view_pixels, voxel_keys
from lerf_ros.surface.voxels import Voxels, empty_columns

CAMERA = PinholeCamera(200.0, 200.0, 80.0, 60.0, 160, 120)
IMAGE = np.full((120, 160, 3), 90, np.uint8)
# Depth noise is a share of depth.
NOISE = 0.01


def wall(thin_beyond_m: float, distances_m: list[float]) -> SurfaceMap:
    """A wall in the plane z = 0 that is seen from these distances, one keyframe each."""
    rng = np.random.default_rng(0)
    surface = SurfaceMap(
        QueryOptions(voxel_m=0.02, max_range_m=3.0, min_views=1, thin_beyond_m=thin_beyond_m)
    )
    for index, distance_m in enumerate(distances_m):
        pose = np.eye(4)
        pose[2, 3] = 0.01 - distance_m
        depth_m = distance_m * (1 + NOISE * rng.standard_normal((120, 160)))
        surface.integrate(
            KeyframeId('camera', index), depth_m.astype(np.float32), IMAGE, CAMERA, pose
        )
    return surface


def test_far_away_there_is_one_point_a_cube():
    fine, coarse = wall(0.0, [2.0]), wall(1.5, [2.0])
    assert len(coarse) < len(fine) / 3
    keys = coarse.points().keys
    assert len(np.unique(cube_keys(keys, 2))) == len(keys)
    # Nothing of the wall is lost.
    low, high = (each.points().positions[:, :2] for each in (fine, coarse))
    assert np.allclose(low.min(axis=0), high.min(axis=0), atol=0.04)
    assert np.allclose(low.max(axis=0), high.max(axis=0), atol=0.04)


def test_a_point_far_away_is_seen_again_though_it_falls_into_another_voxel():
    views = wall(1.5, [2.0] * 6).points().views
    scattered = wall(0.0, [2.0] * 6).points().views
    assert np.median(views) >= np.median(scattered) + 2


def test_a_nearer_look_refines_and_a_farther_one_changes_nothing_but_views():
    near, both = wall(1.5, [1.0]).points(), wall(1.5, [1.0, 2.0]).points()
    order = np.argsort(both.keys)
    rows = order[np.searchsorted(both.keys[order], near.keys)]
    assert (both.keys[rows] == near.keys).all()
    assert np.allclose(both.positions[rows], near.positions)
    assert (both.views[rows] >= near.views).all()
    assert (both.views[rows] > near.views).mean() > 0.1
    assert len(wall(1.5, [2.0, 1.0])) > 1.5 * len(wall(1.5, [2.0]))


def test_every_point_lies_in_the_voxel_of_its_key():
    points = wall(1.5, [1.0, 2.0, 1.2, 2.4, 2.0]).points()
    assert len(np.unique(points.keys)) == len(points)
    assert (voxel_keys(points.positions, 0.02) == points.keys).all()


def test_within_the_bound_nothing_is_coarse():
    plain, option = wall(0.0, [1.0, 2.0]), wall(2.5, [1.0, 2.0])
    assert np.array_equal(plain.points().keys, option.points().keys)


def test_normals_of_the_pixels_that_are_taken_are_those_of_the_whole_picture():
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[:120, :160]
    depth_m = (1 + 0.002 * rows + 0.001 * cols + 0.3 * (cols > 90)).astype(np.float32)
    depth_m += 0.002 * rng.standard_normal(depth_m.shape).astype(np.float32)
    depth_m[rng.random(depth_m.shape) < 0.2] = 0
    normals = depth_normals(depth_m, CAMERA).reshape(-1, 3)
    for voxel_m, turn in ((0.001, 0), (0.02, 5), (0.05, 17)):
        pixels = view_pixels(depth_m, CAMERA, np.eye(4), voxel_m, turn)
        assert len(pixels.pixels) > 100
        np.testing.assert_allclose(pixels.normals, normals[pixels.pixels], atol=1e-6)
        known = np.linalg.norm(pixels.normals, axis=1)
        assert 0.5 < (known > 0.99).mean() < 1


def test_what_is_kept_of_a_table_is_found_as_before():
    rng = np.random.default_rng(2)
    keys = rng.permutation(1000)[:300].astype(np.int64)
    voxels = Voxels()
    voxels.append({**empty_columns(300), 'keys': np.sort(keys)})
    later = np.setdiff1d(np.arange(1000), keys)[::3]
    voxels.append({**empty_columns(len(later)), 'keys': later})
    rows = np.flatnonzero(rng.random(len(voxels)) < 0.6)
    wanted = voxels['keys'][rows]
    voxels.keep(rows)
    assert np.array_equal(voxels['keys'], wanted)
    known, found = voxels.find(np.arange(1000))
    assert np.array_equal(np.flatnonzero(known), np.sort(wanted))
    assert np.array_equal(voxels['keys'][found], np.sort(wanted))
