"""Keyframes are moved to where their depth lies on the surface, and only where it does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scenery

from lerf_ros.config import LerfConfig, QueryOptions, load_variant
from lerf_ros.geometry import rotation_angle
from lerf_ros.maps.reading import joined_points
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.registration import DepthRegistration

pytest.importorskip('small_gicp', reason='needs the package small_gicp')

LIMIT_M = 0.03


def shaken(pose, generator, move_m=0.005, turn_deg=0.5):
    """Returns a pose as a mediocre tracker reports it."""
    result = pose.copy()
    turn, _ = cv2.Rodrigues(np.radians(generator.normal(0, turn_deg, 3)))
    result[:3, :3] = result[:3, :3] @ turn
    result[:3, 3] += generator.normal(0, move_m, 3)
    return result


def errors(pose, truth):
    """Returns how far a pose is off, metres and radians."""
    return np.array(
        [
            np.linalg.norm((pose - truth)[:3, 3]),
            float(rotation_angle(pose[:3, :3] @ truth[:3, :3].T)),
        ]
    )


def test_poses_get_better_on_a_true_surface():
    surface = scenery.mapped(QueryOptions()).points()
    registration = DepthRegistration(LIMIT_M, 1.5)
    generator = np.random.default_rng(0)
    before, after = [], []
    for pose in scenery.orbit(7, 0.55, 0.45):
        depth, _ = scenery.see(pose)
        reported = shaken(pose, generator)
        found = registration.correct(surface, depth, scenery.CAMERA, reported)
        before.append(errors(reported, pose))
        after.append(errors(found, pose))
    assert registration.corrected == 7
    assert (np.mean(after, axis=0) < 0.6 * np.mean(before, axis=0)).all()


def test_a_map_of_shaken_keyframes_stays_where_it_is():
    """Later keyframes are better than the tracker's, and the world does not wander off."""
    registration = DepthRegistration(LIMIT_M, 1.5)
    surface = SurfaceMap(QueryOptions())
    generator = np.random.default_rng(1)
    before, after = [], []
    for number, pose in enumerate(scenery.orbit(30)):
        depth, balls = scenery.see(pose)
        reported = shaken(pose, generator)
        found = registration.correct(surface.points(), depth, scenery.CAMERA, reported)
        surface.integrate(
            scenery.named(number), depth, scenery.picture(balls), scenery.CAMERA, found
        )
        before.append(errors(reported, pose))
        after.append(errors(found, pose))
    assert (np.mean(after[10:], axis=0) < 0.85 * np.mean(before[10:], axis=0)).all()


def test_what_does_not_fit_is_left_as_it_came():
    surface = scenery.mapped(QueryOptions()).points()
    registration = DepthRegistration(LIMIT_M, 1.5)
    (pose,) = scenery.orbit(1)
    depth, _ = scenery.see(pose)
    far = pose.copy()
    far[:3, 3] += [0.3, -0.2, 0.25]
    found = registration.correct(surface, depth, scenery.CAMERA, far)
    assert np.array_equal(found, far)
    assert (registration.corrected, registration.refused) == (0, 1)


def test_a_correction_beyond_the_limit_is_refused():
    surface = scenery.mapped(QueryOptions()).points()
    registration = DepthRegistration(0.001, 1.5)
    (pose,) = scenery.orbit(1)
    depth, _ = scenery.see(pose)
    reported = pose.copy()
    reported[2, 3] += 0.006
    assert np.array_equal(registration.correct(surface, depth, scenery.CAMERA, reported), reported)
    assert registration.refused == 1


def test_without_a_surface_or_depth_there_is_nothing_to_register():
    registration = DepthRegistration(LIMIT_M, 1.5)
    (pose,) = scenery.orbit(1)
    depth, _ = scenery.see(pose)
    empty = SurfaceMap(QueryOptions()).points()
    full = scenery.mapped(QueryOptions()).points()
    assert registration.correct(empty, depth, scenery.CAMERA, pose) is pose
    nothing = np.full_like(depth, np.nan)
    assert registration.correct(full, nothing, scenery.CAMERA, pose) is pose


def test_only_the_surface_around_a_keyframe_counts():
    pose = scenery.orbit(7, 0.55, 0.45)[2]
    surface = scenery.mapped(QueryOptions()).points()
    depth, _ = scenery.see(pose)
    reported = shaken(pose, np.random.default_rng(2))
    alone = DepthRegistration(LIMIT_M, 1.5).correct(surface, depth, scenery.CAMERA, reported)
    far = np.eye(4)
    far[0, 3] = 50.0
    both = joined_points([(surface, np.eye(4)), (surface, far)], surface.voxel_m)
    found = DepthRegistration(LIMIT_M, 1.5).correct(both, depth, scenery.CAMERA, reported)
    np.testing.assert_allclose(found, alone, atol=1e-9)
    nowhere = joined_points([(surface, far)], surface.voxel_m)
    kept = DepthRegistration(LIMIT_M, 1.5).correct(nowhere, depth, scenery.CAMERA, reported)
    assert np.array_equal(kept, reported)


def test_tables_have_it_and_places_of_several_submaps_do_not():
    assert LerfConfig().training.registration_limit_m == 0.02
    for place in ('room', 'floor'):
        assert load_variant('tabletop', place).training.registration_limit_m == 0
