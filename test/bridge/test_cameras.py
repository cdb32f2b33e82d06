"""CameraInfo in and out, and rectification against the projection it undoes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from lerf_ros.bridge.cameras import Rectifier, camera_info_message
from lerf_ros.geometry import PinholeCamera, project

CAMERA = PinholeCamera(fx=200.0, fy=210.0, cx=80.5, cy=60.5, width=160, height=120)


def distorted_info(model: str, coefficients: list[float]) -> CameraInfo:
    info = camera_info_message(CAMERA)
    info.distortion_model, info.d = model, coefficients
    return info


def test_there_and_back() -> None:
    info = camera_info_message(CAMERA)
    assert info.k[2] == 80.0  # ROS counts from the centre of the first pixel
    assert Rectifier(info).camera == CAMERA


def test_ideal_pictures_pass_unchanged() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    assert Rectifier(camera_info_message(CAMERA)).image(picture) is picture


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
    k = np.array(camera_info_message(CAMERA).k).reshape(3, 3)
    zero = np.zeros(3)
    if model == 'equidistant':
        seen, _ = cv2.fisheye.projectPoints(point[None], zero, zero, k, np.array(coefficients))
    else:
        seen, _ = cv2.projectPoints(point, zero, zero, k, np.array(coefficients))
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    distance = np.hypot(columns - seen[0, 0, 0], rows - seen[0, 0, 1])
    picture = np.repeat((255 * np.exp(-(distance**2) / 8))[..., None], 3, 2).astype(np.uint8)
    rectifier = Rectifier(distorted_info(model, coefficients))
    rectified = rectifier.image(picture)[..., 0].astype(float)
    found = np.array([(rectified * columns).sum(), (rectified * rows).sum()]) / rectified.sum()
    expected, _ = project(rectifier.camera, point)
    np.testing.assert_allclose(found + 0.5, expected[0], atol=0.3)
    assert np.abs(seen[0, 0] + 0.5 - expected[0]).max() > 0.5  # the lens really bends


def test_rectified_depth_is_never_mixed() -> None:
    depth_m = np.where(np.arange(160)[None] < 80, 1.0, 2.0).repeat(120, 0).astype(np.float32)
    rectifier = Rectifier(distorted_info('plumb_bob', [-0.3, 0.1, 0.0, 0.0, 0.0]))
    found = rectifier.depth(depth_m.reshape(120, 160))
    assert set(np.unique(found[np.isfinite(found)])) <= {1.0, 2.0}


def test_p_gives_the_ideal_camera() -> None:
    info = distorted_info('plumb_bob', [-0.1, 0.0, 0.0, 0.0, 0.0])
    info.p = [150.0, 0.0, 70.0, 0.0, 0.0, 150.0, 55.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    camera = Rectifier(info).camera
    assert (camera.fx, camera.cx, camera.cy) == (150.0, 70.5, 55.5)


def test_window_and_binning() -> None:
    info = camera_info_message(CAMERA)
    info.roi = RegionOfInterest(x_offset=20, y_offset=10, width=100, height=80)
    info.binning_x = info.binning_y = 2
    camera = Rectifier(info).camera
    assert (camera.width, camera.height) == (50, 40)
    assert (camera.fx, camera.fy) == (100.0, 105.0)
    assert (camera.cx, camera.cy) == (30.5, 25.5)


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
    info = camera_info_message(CAMERA)
    for name, value in changes.items():
        setattr(info, name, value)
    with pytest.raises(ValueError, match=words):
        Rectifier(info)


def test_other_sizes_are_refused() -> None:
    rectifier = Rectifier(camera_info_message(CAMERA))
    with pytest.raises(ValueError, match=r'image: expected 160x120 .* got 80x60'):
        rectifier.image(np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(ValueError, match='register depth'):
        rectifier.depth(np.zeros((60, 80), np.float32))
