"""CameraInfo in and out, and rectification against the projection it undoes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from plain_messages import Message, camera_info

from lerf_ros.frames.calibration import Calibration, UncalibratedError, ideal_camera
from lerf_ros.frames.lens import Lens, fit_depth
from lerf_ros.geometry import PinholeCamera, project

CAMERA = PinholeCamera(fx=200.0, fy=210.0, cx=80.5, cy=60.5, width=160, height=120)


def lens_of(info: Message) -> Lens:
    return Calibration.of(info).lens()


def distorted_info(model: str, coefficients: list[float]) -> Message:
    info = camera_info(CAMERA)
    info.distortion_model, info.d = model, coefficients
    return info


def test_there_and_back() -> None:
    info = camera_info(CAMERA)
    assert info.k[2] == 80.0  # ROS counts from the centre of the first pixel
    assert ideal_camera(info) == CAMERA


def test_ideal_pictures_pass_unchanged() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    assert lens_of(camera_info(CAMERA)).image(picture) is picture


@pytest.mark.parametrize(
    ('model', 'coefficients'),
    [
        ('plumb_bob', [-0.3, 0.1, 0.001, -0.002, 0.0]),
        ('rational_polynomial', [-0.3, 0.1, 0.001, -0.002, 0.0, 0.05, 0.0, 0.0]),
        ('equidistant', [-0.05, 0.01, 0.0, 0.0]),
    ],
)
def test_rectified_pictures_follow_the_pinhole(model: str, coefficients: list[float]) -> None:
    # A bright spot where the distorted lens shows a point must move to where the pinhole shows it.
    point = np.array([[0.12, -0.08, 0.6]])
    k = np.array(camera_info(CAMERA).k).reshape(3, 3)
    zero = np.zeros(3)
    if model == 'equidistant':
        seen, _ = cv2.fisheye.projectPoints(point[None], zero, zero, k, np.array(coefficients))
    else:
        seen, _ = cv2.projectPoints(point, zero, zero, k, np.array(coefficients))
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    distance = np.hypot(columns - seen[0, 0, 0], rows - seen[0, 0, 1])
    picture = np.repeat((255 * np.exp(-(distance**2) / 8))[..., None], 3, 2).astype(np.uint8)
    lens = lens_of(distorted_info(model, coefficients))
    rectified = lens.image(picture)[..., 0].astype(float)
    found = np.array([(rectified * columns).sum(), (rectified * rows).sum()]) / rectified.sum()
    expected, _ = project(lens.rectified, point)
    np.testing.assert_allclose(found + 0.5, expected[0], atol=0.3)
    assert np.abs(seen[0, 0] + 0.5 - expected[0]).max() > 0.5  # the lens really bends


def test_rectified_depth_is_never_mixed() -> None:
    depth_m = np.where(np.arange(160)[None] < 80, 1.0, 2.0).repeat(120, 0).astype(np.float32)
    lens = lens_of(distorted_info('plumb_bob', [-0.3, 0.1, 0.0, 0.0, 0.0]))
    found = lens.depth(depth_m.reshape(120, 160))
    assert set(np.unique(found[np.isfinite(found)])) <= {1.0, 2.0}


def test_p_gives_the_ideal_camera() -> None:
    info = distorted_info('plumb_bob', [-0.1, 0.0, 0.0, 0.0, 0.0])
    info.p = [150.0, 0.0, 70.0, 0.0, 0.0, 150.0, 55.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    camera = ideal_camera(info)
    assert (camera.fx, camera.cx, camera.cy) == (150.0, 70.5, 55.5)


def test_window_and_binning() -> None:
    info = camera_info(CAMERA)
    info.roi = Message(x_offset=20, y_offset=10, width=100, height=80)
    info.binning_x = info.binning_y = 2
    camera = ideal_camera(info)
    assert (camera.width, camera.height) == (50, 40)
    assert (camera.fx, camera.fy) == (100.0, 105.0)
    # (80.5 - 20) / 2 and (60.5 - 10) / 2: two pixels are one, and so are their outer edges.
    assert (camera.cx, camera.cy) == (30.25, 25.25)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'k': [0.0] * 9}, 'uncalibrated'),
        ({'k': [float('nan')] + [1.0] * 8}, 'finite k'),
        ({'d': [0.1], 'distortion_model': 'plumb_bob'}, '4, 5, 8, 12 or 14'),
        ({'d': [0.1] * 5, 'distortion_model': 'equidistant'}, '4 equidistant'),
        ({'d': [0.1] * 5, 'distortion_model': 'mystery'}, 'mystery'),
        ({'width': 0}, 'positive size'),
    ],
)
def test_bad_calibration_is_refused(changes: dict, words: str) -> None:
    info = camera_info(CAMERA)
    for name, value in changes.items():
        setattr(info, name, value)
    with pytest.raises(ValueError, match=words):
        lens_of(info)


def test_other_sizes_are_refused() -> None:
    calibration = Calibration.of(camera_info(CAMERA))
    with pytest.raises(ValueError, match=r'image: expected 160x120 .* got 80x60'):
        calibration.lens((80, 60))
    lens = calibration.lens()
    with pytest.raises(ValueError, match=r'image: expected 160x120 .* got 80x60'):
        lens.image(np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(ValueError, match='register depth'):
        lens.depth(np.zeros((50, 80), np.float32))


def test_an_uncalibrated_camera_is_an_error_of_its_own() -> None:
    with pytest.raises(UncalibratedError):
        Calibration.of(camera_info(CAMERA, k=[0.0] * 9))


def test_binning_that_is_said_twice_is_done_once() -> None:
    # The driver scaled its numbers for 160x120 and says that it binned as well.
    calibration = Calibration.of(camera_info(CAMERA, binning_x=4, binning_y=4))
    assert calibration.size == (40, 30)
    assert calibration.says_binning_twice((160, 120))
    assert calibration.lens((160, 120)).rectified == CAMERA


def test_rectified_pictures_beside_raw_numbers() -> None:
    info = distorted_info('plumb_bob', [-0.3, 0.1, 0.0, 0.0, 0.0])
    info.p[0] = 150.0
    lens = Calibration.of(info).lens(rectified=True)
    assert not lens.bends
    assert lens.rectified.fx == 150.0


def test_depth_of_a_fraction_or_a_multiple_is_fitted_and_never_mixed() -> None:
    small = np.arange(48, dtype=np.float32).reshape(6, 8)
    camera = PinholeCamera(10.0, 10.0, 8.0, 6.0, 16, 12)
    big = fit_depth(small, camera)
    np.testing.assert_array_equal(big, small.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(fit_depth(big, PinholeCamera(5.0, 5.0, 4.0, 3.0, 8, 6)), small)
    with pytest.raises(ValueError, match='multiple'):
        fit_depth(small, PinholeCamera(10.0, 10.0, 6.0, 4.5, 12, 9))


@pytest.mark.parametrize('fisheye', [False, True])
def test_points_move_as_the_picture_does(fisheye: bool) -> None:
    lens = Lens(CAMERA, (-0.2, 0.05, 0.0, 0.0), fisheye=fisheye)
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    spot = np.array([[110.0, 40.0]])
    picture = 255 * np.exp(-(np.hypot(columns + 0.5 - 110, rows + 0.5 - 40) ** 2) / 8)
    rectified = lens.image(np.repeat(picture[..., None], 3, 2).astype(np.uint8))[..., 0]
    weights = rectified.astype(float)
    found = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum() + 0.5
    np.testing.assert_allclose(lens.rectify_points(spot)[0], found, atol=0.3)
    seen = lens.mask(np.ones((120, 160), bool))
    assert seen.mean() > 0.98


def test_a_mask_hides_the_same_part_after_undistortion() -> None:
    lens = Lens(CAMERA, (-0.2, 0.05, 0.0, 0.0))
    visible = np.ones((120, 160), bool)
    visible[:, :80] = False
    seen = lens.mask(visible)
    assert not seen[:, :70].any()
    assert seen[20:100, 90:150].all()


def test_capital_letters_are_those_of_ros_1() -> None:
    info = camera_info(CAMERA)
    for name in 'kdrp':
        setattr(info, name.upper(), getattr(info, name))
        delattr(info, name)
    assert ideal_camera(info) == CAMERA
