"""LERF's protocol and that of LERF-OVS, on pictures drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lerf_ros.evaluation.lerf.protocol import mask_iou, ovs_mask, peak_in_boxes, smoothed


def test_peak_in_any_box() -> None:
    relevancy = np.zeros((40, 60))
    relevancy[10, 30] = 1.0
    assert peak_in_boxes(relevancy, [(0, 0, 5, 5), (30, 10, 31, 11)])
    assert not peak_in_boxes(relevancy, [(31, 10, 40, 20)])
    assert not peak_in_boxes(relevancy, [])
    relevancy[5, 5] = np.nan
    assert peak_in_boxes(relevancy, [(29, 9, 32, 12)])


def test_the_filter_prefers_areas_to_sparks() -> None:
    relevancy = np.zeros((120, 120))
    relevancy[100, 100] = 1.0
    relevancy[20:60, 20:60] = 0.6
    area, spark = (20, 20, 60, 60), (99, 99, 102, 102)
    assert peak_in_boxes(relevancy, [spark])
    assert peak_in_boxes(smoothed(relevancy), [area])


def test_mask_of_a_plateau() -> None:
    # A plateau of 1 on a ground of 0: mean filter and raw average to (1 + s) / 2 inside, where s
    # is the share of the window inside; stretched this is s, and the mask is s > 0.4.
    relevancy = np.zeros((200, 200))
    relevancy[50:150, 50:150] = 1.0
    mask = ovs_mask(relevancy)
    assert mask[100, 100]
    assert mask[100, 52]  # s is about 0.57 at the middle of an edge
    assert not mask[50, 50]  # and about 0.27 at a corner
    assert not mask[100, 45]
    truth = relevancy > 0
    assert 0.9 < mask_iou(mask, truth) < 1.0


def test_a_flat_picture_has_no_mask() -> None:
    assert not ovs_mask(np.full((50, 50), 0.7)).any()


def test_iou_by_hand() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert mask_iou(a, b) == pytest.approx(4 / 12)
    assert mask_iou(np.zeros_like(a), np.zeros_like(a)) == 0.0
