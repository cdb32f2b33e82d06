"""Tests of lerf_ros.frames."""

from dataclasses import replace

import numpy as np
import pytest

from lerf_ros.config import KeyframeOptions
from lerf_ros.frames import KeyframeSelector, PosedFrame
from lerf_ros.geometry import PinholeCamera

CAMERA = PinholeCamera(fx=100.0, fy=100.0, cx=16.0, cy=12.0, width=32, height=24)


def pose(x_m: float = 0.0, yaw_deg: float = 0.0) -> np.ndarray:
    result = np.eye(4)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    result[:2, :2] = [[c, -s], [s, c]]
    result[0, 3] = x_m
    return result


def frame(**changes) -> PosedFrame:
    values = dict(
        image=np.zeros((24, 32, 3), np.uint8),
        depth=np.ones((24, 32), np.float32),
        camera=CAMERA,
        camera_to_world=pose(),
        stamp_ns=0,
    )
    return PosedFrame(**{**values, **changes})


@pytest.mark.usefixtures('unchecked')
@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'image': np.zeros((24, 31, 3), np.uint8)}, '32x24 RGB'),
        ({'image': np.zeros((24, 32, 3), np.float32)}, 'uint8'),
        ({'depth': np.ones((12, 16), np.float32)}, 'depth'),
        ({'camera_to_world': np.full((4, 4), np.nan)}, 'NaN'),
    ],
)
def test_frames_that_do_not_fit_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        frame(**changes)


def test_a_frame_may_lack_depth():
    assert frame(depth=None).depth is None


OPTIONS = KeyframeOptions(
    min_translation_m=0.1, min_rotation_deg=10.0, min_interval_s=0.5, max_interval_s=5.0
)


def kept(selector: KeyframeSelector, camera_to_world: np.ndarray, stamp_ns: int) -> bool:
    """Offers a frame and keeps it if it is wanted."""
    wanted = selector.wants(camera_to_world, stamp_ns)
    if wanted:
        selector.keep(camera_to_world, stamp_ns)
    return wanted


def test_selector_takes_the_first_frame_and_those_that_moved_or_turned():
    selector = KeyframeSelector(OPTIONS)
    second = 1_000_000_000
    assert kept(selector, pose(), 0)
    assert not kept(selector, pose(0.05, 5.0), second)
    assert kept(selector, pose(0.11), second)
    assert kept(selector, pose(0.11, 11.0), 2 * second)
    assert not kept(selector, pose(0.5, 40.0), int(2.2 * second)), 'too soon after the last one'


def test_selector_goes_on_wanting_a_frame_that_was_not_kept():
    selector = KeyframeSelector(OPTIONS)
    assert selector.wants(pose(), 0)
    assert kept(selector, pose(), 0)
    assert not selector.wants(pose(), 0)


def test_selector_takes_a_resting_camera_now_and_then():
    selector = KeyframeSelector(OPTIONS)
    assert kept(selector, pose(), 0)
    assert not kept(selector, pose(), 4_000_000_000)
    assert kept(selector, pose(), 5_000_000_000)


def test_selector_starts_anew_when_time_jumps_back():
    selector = KeyframeSelector(OPTIONS)
    assert kept(selector, pose(), 10_000_000_000)
    assert kept(selector, pose(), 1_000_000_000)


def test_new_thresholds_do_not_make_the_selector_forget():
    selector = KeyframeSelector(OPTIONS)
    assert kept(selector, pose(), 0)
    selector.options = replace(OPTIONS, min_translation_m=0.2)
    assert not kept(selector, pose(0.11), 1_000_000_000)
    assert kept(selector, pose(0.21), 1_000_000_000)
