"""Keyframe messages: what goes in comes out, to the millimetre; bad ones refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lerf_ros.bridge.keyframes import frame_of, keyframe_message, source_of
from lerf_ros.config import KeyframeOptions
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.resizing import limited
from lerf_ros.geometry import PinholeCamera, look_at


@pytest.fixture
def frame() -> PosedFrame:
    """A smooth picture, as JPEG keeps it, with a hole in its depth."""
    columns, rows = np.meshgrid(np.arange(64), np.arange(48))
    image = np.stack([columns * 3, rows * 4, 128 + 0 * rows], axis=2).astype(np.uint8)
    depth = (1.0 + columns * 0.01).astype(np.float32)
    depth[:5] = np.nan
    return PosedFrame(
        image=image,
        depth=depth,
        camera=PinholeCamera(fx=50.0, fy=51.0, cx=32.5, cy=24.5, width=64, height=48),
        camera_to_world=look_at(np.array([0.4, -0.5, 0.6]), np.zeros(3)),
        stamp_ns=12_000_000_034,
        frame_id='camera_optical',
    )


def test_there_and_back(frame: PosedFrame) -> None:
    found = frame_of(keyframe_message(frame, 7, 'map', 95), 'map')
    assert (found.camera, found.stamp_ns, found.frame_id) == (
        frame.camera,
        frame.stamp_ns,
        'camera_optical',
    )
    np.testing.assert_allclose(found.camera_to_world, frame.camera_to_world, atol=1e-12)
    assert np.abs(found.image.astype(int) - frame.image).mean() < 2
    assert found.depth is not None
    np.testing.assert_allclose(found.depth, frame.depth, atol=0.000501)


def test_depth_may_be_absent(frame: PosedFrame) -> None:
    blind = PosedFrame(frame.image, None, frame.camera, frame.camera_to_world, 0)
    assert frame_of(keyframe_message(blind, 0, 'map', 90), 'map').depth is None


def test_a_mask_travels_with_its_picture(frame: PosedFrame) -> None:
    visible = np.ones((48, 64), bool)
    visible[10:20, 30:] = False
    message = keyframe_message(replace(frame, visible=visible), 0, 'map', 90)
    found = frame_of(message, 'map')
    assert found.visible is not None
    np.testing.assert_array_equal(found.visible, visible)
    assert len(keyframe_message(frame, 0, 'map', 90).mask.data) == 0
    message.mask.data = message.mask.data[:20]
    with pytest.raises(ValueError, match='mask'):
        frame_of(message, 'map')


def test_a_stream_is_named_by_its_source_or_its_camera(frame: PosedFrame) -> None:
    named = keyframe_message(frame, 7, 'map', 95, source='/robot/left')
    assert source_of(named) == '/robot/left'
    assert source_of(keyframe_message(frame, 7, 'map', 95)) == 'camera_optical'


def test_another_world_frame_is_refused(frame: PosedFrame) -> None:
    message = keyframe_message(frame, 0, 'odom', 90)
    with pytest.raises(ValueError, match="expected a pose in the frame 'map', got 'odom'"):
        frame_of(message, 'map')


def test_damaged_parts_are_refused(frame: PosedFrame) -> None:
    message = keyframe_message(frame, 0, 'map', 90)
    message.pose.orientation.w = 5.0
    with pytest.raises(ValueError, match='quaternion'):
        frame_of(message, 'map')
    message = keyframe_message(frame, 0, 'map', 90)
    message.image.data = message.image.data[:100]
    with pytest.raises(ValueError, match='image'):
        frame_of(message, 'map')
    message = keyframe_message(frame, 0, 'map', 90)
    message.camera_info.width = 32
    with pytest.raises(ValueError, match='as in camera_info'):
        frame_of(message, 'map')


def test_shrinking_keeps_the_view(frame: PosedFrame) -> None:
    small = limited(frame, KeyframeOptions(max_width=32, max_depth_m=1.3))
    assert small.image.shape == (24, 32, 3)
    assert (small.camera.fx, small.camera.cx) == (25.0, 16.25)
    assert small.depth is not None
    assert np.nanmax(small.depth) <= 1.3
    assert np.isnan(small.depth[:, -1]).all()
    assert limited(frame, KeyframeOptions(max_width=640, max_depth_m=100.0)).image is frame.image
