"""Tests of lerf_ros.frames."""

import time
from dataclasses import replace

import cv2
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


SECOND = 1_000_000_000
WIDE = PinholeCamera(fx=60.0, fy=60.0, cx=48.0, cy=36.0, width=96, height=72)


def textured(sharp: bool = True) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 255, (72, 96, 3), dtype=np.uint8)
    return image if sharp else cv2.GaussianBlur(image, (0, 0), 2.0)


def view(
    x_m: float, tick: int, *, depth_m: float | None = 1.0, sharp: bool = True, yaw_deg: float = 0.0
) -> PosedFrame:
    """A wall seen from a place along x, every tenth of a second; a camera turns about y."""
    camera_to_world = np.eye(4)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    camera_to_world[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    camera_to_world[0, 3] = x_m
    depth = None if depth_m is None else np.full((72, 96), depth_m, np.float32)
    return PosedFrame(
        textured(sharp), depth, WIDE, camera_to_world, (tick + 1) * SECOND // 10, 'camera'
    )


def chosen(selector: KeyframeSelector, frames: list[PosedFrame]) -> list[int]:
    """Returns the ticks of the frames that are kept."""
    kept = [each for frame in frames for each in selector.choose(frame)]
    return [each.stamp_ns * 10 // SECOND - 1 for each in kept + selector.give_up_waiting()]


def test_a_camera_that_returns_adds_nothing_and_then_only_what_is_new():
    selector = KeyframeSelector(KeyframeOptions())
    there = [view(0.05 * i, i) for i in range(40)]
    assert len(chosen(selector, there)) == 40, 'the way there is thinned by motion alone'
    back = [view(0.05 * (39 - i) + 0.02, 40 + i) for i in range(40)]
    assert not [tick for tick in chosen(selector, back) if tick > 60]
    on = [view(-0.05 * i, 80 + i) for i in range(30)]
    new = chosen(selector, on)
    assert min(new) > 80, 'where it began was seen'
    assert len(new) > 20, 'beyond that all is new'


def test_a_thing_that_has_come_or_gone_is_new():
    selector = KeyframeSelector(KeyframeOptions())
    assert chosen(selector, [view(0.05 * i, i) for i in range(30)])
    again = view(0.4, 100)
    assert chosen(selector, [again]) == []
    box = again.depth.copy()
    box[20:50, 30:60] = 0.7
    assert chosen(selector, [replace(view(0.3, 101), depth=box)]) == [101]
    far = view(0.2, 102, depth_m=2.0)
    assert chosen(selector, [far]) == [102], 'the wall has gone'


def test_a_closer_look_and_another_side_are_new():
    selector = KeyframeSelector(KeyframeOptions())
    assert chosen(selector, [view(0.05 * i, i) for i in range(30)])
    near = view(0.4, 100, depth_m=0.7)
    near.camera_to_world[2, 3] = 0.3
    assert chosen(selector, [near]) == [100]
    turned = view(0.4, 101, yaw_deg=50.0)
    assert chosen(selector, [turned]) == [101]


def test_a_camera_without_depth_that_returns_is_told_by_its_pose():
    selector = KeyframeSelector(KeyframeOptions())
    assert chosen(selector, [view(0.1 * i, i, depth_m=None) for i in range(20)])
    assert chosen(selector, [view(0.51, 100, depth_m=None)]) == []
    assert chosen(selector, [view(0.56, 101, depth_m=None)]) == [101]


def test_every_motion_counts_where_overlap_is_off_and_after_a_reset():
    selector = KeyframeSelector(KeyframeOptions(max_view_overlap=1.0))
    there = [view(0.05 * i, i) for i in range(20)]
    again = [view(0.05 * i, 20 + i) for i in range(20)]
    assert len(chosen(selector, there + again)) == 40
    selector = KeyframeSelector(KeyframeOptions())
    assert len(chosen(selector, there)) == 20
    selector.forget()
    assert len(chosen(selector, again)) == 20


def test_the_memory_of_views_is_bounded():
    selector = KeyframeSelector(KeyframeOptions(view_memory=10))
    assert len(chosen(selector, [view(0.05 * i, i) for i in range(60)])) == 60
    assert len(selector._views) == 10
    assert chosen(selector, [view(0.0, 100)]) == [100], 'the oldest views are forgotten'


def test_a_blurred_frame_gives_way_to_a_sharper_one_that_follows():
    selector = KeyframeSelector(KeyframeOptions())
    usual = [view(0.05 * i, 2 * i) for i in range(5)]
    assert chosen(selector, usual) == [0, 2, 4, 6, 8]
    followed = [view(0.25, 10, sharp=False), view(0.26, 11)]
    assert chosen(selector, followed) == [11]
    assert selector.blurred == 1
    # Nothing sharper within the time: the sharpest of them, and the next one for itself.
    late = [view(0.31, 12, sharp=False), view(0.32, 13, sharp=False), view(0.4, 16)]
    assert chosen(selector, late) == [12, 16]


def test_a_scene_in_which_nothing_is_sharp_goes_on():
    selector = KeyframeSelector(KeyframeOptions())
    assert chosen(selector, [view(0.05 * i, i) for i in range(5)])
    blurred = [view(0.25 + 0.05 * i, 5 + i, sharp=False) for i in range(40)]
    kept = chosen(selector, blurred)
    assert len(kept) > 20
    assert max(np.diff(kept)) <= 4


def test_a_choice_takes_less_than_two_milliseconds():
    camera = PinholeCamera(fx=500.0, fy=500.0, cx=320.0, cy=240.0, width=640, height=480)
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    depth = np.full((480, 640), 1.5, np.float32)
    selector = KeyframeSelector(KeyframeOptions())
    spent_s = []
    for tick in range(300):
        camera_to_world = np.eye(4)
        camera_to_world[0, 3] = 0.05 * min(tick, 300 - tick)
        frame = PosedFrame(image, depth, camera, camera_to_world, (tick + 1) * SECOND // 10)
        started = time.thread_time()
        selector.choose(frame)
        spent_s.append(time.thread_time() - started)
    assert np.median(spent_s) < 0.002
