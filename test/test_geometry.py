"""Tests of lerf_ros.geometry."""

import math

import numpy as np
import pytest

from lerf_ros.geometry import (
    PinholeCamera,
    backproject,
    inside_box,
    inverse_transform,
    look_at,
    pixel_centres,
    pose_matrix,
    project,
    quaternion_from_rotation,
    require_rigid,
    rotation_angle,
    rotation_from_quaternion,
    transform_points,
)

CAMERA = PinholeCamera(fx=200.0, fy=210.0, cx=79.0, cy=61.0, width=160, height=120)


def random_rotation(seed: int) -> np.ndarray:
    left, _, right = np.linalg.svd(np.random.default_rng(seed).normal(size=(3, 3)))
    rotation = left @ right
    return rotation * np.sign(np.linalg.det(rotation))


def test_projection_undoes_backprojection():
    uv = pixel_centres(CAMERA)
    depth_m = np.random.default_rng(0).uniform(0.2, 3.0, size=uv.shape[:2])
    again_uv, again_depth_m = project(CAMERA, backproject(CAMERA, uv, depth_m))
    np.testing.assert_allclose(again_uv, uv, atol=1e-9)
    np.testing.assert_allclose(again_depth_m, depth_m)


def test_points_behind_the_camera_have_no_pixel():
    uv, depth_m = project(CAMERA, np.array([[0.1, 0.1, -1.0], [0.0, 0.0, 0.0]]))
    assert np.isnan(uv).all()
    assert (depth_m <= 0).all()


def test_resized_camera_sees_the_same_directions():
    point = np.array([[0.1, -0.2, 1.0]])
    uv, _ = project(CAMERA, point)
    half_uv, _ = project(CAMERA.resized(80, 60), point)
    np.testing.assert_allclose(half_uv * 2, uv)


def test_vertical_field_of_view():
    camera = PinholeCamera.from_vertical_fov(320, 240, 60.0)
    uv, _ = project(camera, np.array([[0.0, math.tan(math.radians(30)), 1.0]]))
    np.testing.assert_allclose(uv, [[160.0, 240.0]])


@pytest.mark.parametrize('seed', range(20))
def test_quaternions_give_their_rotation_back(seed):
    rotation = random_rotation(seed)
    quaternion = quaternion_from_rotation(rotation)
    assert quaternion[3] >= 0
    np.testing.assert_allclose(rotation_from_quaternion(quaternion), rotation, atol=1e-12)


def test_half_turns_have_quaternions():
    for axis in np.eye(3):
        rotation = 2 * np.outer(axis, axis) - np.eye(3)
        np.testing.assert_allclose(
            rotation_from_quaternion(quaternion_from_rotation(rotation)), rotation, atol=1e-12
        )


def test_a_quarter_turn_about_z_moves_x_to_y():
    half = math.sqrt(0.5)
    pose = pose_matrix(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, half, half]))
    np.testing.assert_allclose(
        transform_points(pose, np.array([[1.0, 0.0, 0.0]])), [[1.0, 3.0, 3.0]], atol=1e-12
    )


def test_inverse_transform():
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = random_rotation(3), [1.0, -2.0, 0.5]
    np.testing.assert_allclose(inverse_transform(pose) @ pose, np.eye(4), atol=1e-12)


def test_rotation_angle():
    half = math.radians(20) / 2
    rotation = rotation_from_quaternion(np.array([math.sin(half), 0, 0, math.cos(half)]))
    assert rotation_angle(rotation) == pytest.approx(math.radians(20))


def test_look_at_puts_the_target_ahead_and_up_upwards():
    pose = look_at(np.array([0.5, -0.4, 0.6]), np.array([0.1, 0.2, 0.0]))
    require_rigid(pose)
    target_camera = transform_points(inverse_transform(pose), np.array([[0.1, 0.2, 0.0]]))
    assert target_camera[0, 2] > 0
    np.testing.assert_allclose(target_camera[0, :2], 0, atol=1e-12)
    above_camera = transform_points(inverse_transform(pose), np.array([[0.1, 0.2, 0.1]]))
    assert above_camera[0, 1] < 0


def test_look_at_refuses_to_look_along_up():
    with pytest.raises(ValueError, match='up direction'):
        look_at(np.array([0.0, 0.0, 1.0]), np.zeros(3))


@pytest.mark.parametrize(
    ('matrix', 'sentence'),
    [
        (np.eye(3), r'\(4, 4\)'),
        (np.full((4, 4), np.nan), 'NaN'),
        (np.diag([1.0, 1.0, -1.0, 1.0]), 'rotation'),
        (np.diag([2.0, 2.0, 2.0, 1.0]), 'rotation'),
    ],
)
def test_what_is_no_pose_is_refused(matrix, sentence):
    with pytest.raises(ValueError, match=sentence):
        require_rigid(matrix)


def test_nearly_orthonormal_poses_are_mended():
    pose = np.eye(4)
    pose[:3, :3] = random_rotation(1) + 1e-4
    rotation = require_rigid(pose)[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize('changes', [{'fx': 0.0}, {'fy': float('nan')}, {'width': 0}])
def test_uncalibrated_cameras_are_refused(changes):
    numbers = dict(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=4, height=3)
    with pytest.raises(ValueError, match='camera'):
        PinholeCamera(**{**numbers, **changes})


def test_a_quaternion_must_have_unit_length():
    with pytest.raises(ValueError, match='unit length'):
        rotation_from_quaternion(np.zeros(4))


def test_inside_box_includes_its_borders():
    points = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.5, 1.01]])
    np.testing.assert_array_equal(inside_box(points, np.zeros(3), np.ones(3)), [True, True, False])
