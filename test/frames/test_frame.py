"""Frames: names of keyframes, and what a mask hides."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lerf_ros.frames import KeyframeId, PosedFrame
from lerf_ros.frames.resizing import shrunk
from lerf_ros.geometry import PinholeCamera


def test_names_are_ordered_by_source_then_number_and_read_well() -> None:
    ids = [KeyframeId('left', 10), KeyframeId('front', 11), KeyframeId('left', 9)]
    assert [str(id_) for id_ in sorted(ids)] == ['front:11', 'left:9', 'left:10']


def test_names_are_values() -> None:
    assert len({KeyframeId('left', 1), KeyframeId('left', 1), KeyframeId('right', 1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        KeyframeId('left', 1).index = 2  # type: ignore[misc]


def masked(visible: np.ndarray) -> PosedFrame:
    height, width = visible.shape
    image = np.zeros((height, width, 3), np.uint8)
    image[visible] = (200, 100, 50)
    return PosedFrame(
        image,
        np.full((height, width), 1.5, np.float32),
        PinholeCamera(20.0, 20.0, width / 2, height / 2, width, height),
        np.eye(4),
        0,
        visible=visible,
    )


def test_what_is_hidden_has_no_depth_and_no_colour_for_an_encoder() -> None:
    visible = np.ones((6, 8), bool)
    visible[2:4, 3:7] = False
    frame = masked(visible)
    assert frame.depth is not None
    np.testing.assert_array_equal(np.isfinite(frame.depth), visible)
    assert (frame.shown() == (200, 100, 50)).all()
    assert not frame.image[~visible].any(), 'the picture itself is kept'
    # A pixel of a smaller picture is visible only if all of it is.
    small = shrunk(frame, 2)
    assert small.visible is not None
    np.testing.assert_array_equal(
        small.visible, [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]], strict=False
    )
    assert small.depth is not None
    np.testing.assert_array_equal(np.isfinite(small.depth), small.visible)


def test_masks_that_hide_nothing_or_everything() -> None:
    assert masked(np.ones((6, 8), bool)).visible is None
    with pytest.raises(ValueError, match='hides everything'):
        masked(np.zeros((6, 8), bool))
    # However fine a mask is, a smaller picture shows what is hidden least.
    fine = np.indices((6, 8)).sum(axis=0) % 2 > 0
    assert shrunk(masked(fine), 2).visible is None
