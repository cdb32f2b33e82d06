"""Tests of pooling windows from a feature map that they share."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.features.windows import (
    Octaves,
    central,
    integral_image,
    pool_alone,
    pool_windows,
    window_means,
)


def test_means_of_whole_cells_are_plain_means():
    cells = torch.rand(3, 6, 8)
    means = window_means(integral_image(cells), torch.tensor([[1.0, 2.0, 5.0, 6.0]]))
    assert torch.allclose(means[0], cells[:, 2:6, 1:5].mean(dim=(1, 2)), atol=1e-5)


def test_cells_at_the_border_count_by_area():
    cells = torch.tensor([[[1.0, 3.0, 5.0]]])
    means = window_means(integral_image(cells), torch.tensor([[0.5, 0.0, 2.25, 1.0]]))
    assert means[0, 0].item() == pytest.approx((0.5 * 1 + 1 * 3 + 0.25 * 5) / 1.75)


def test_boxes_are_clipped_and_never_empty():
    cells = torch.ones(2, 4, 4)
    boxes = torch.tensor([[-3.0, -3.0, 9.0, 9.0], [4.0, 4.0, 5.0, 5.0], [2.0, 2.0, 2.0, 2.0]])
    assert torch.allclose(pool_windows(integral_image(cells), boxes), torch.ones(3, 2), atol=1e-3)


def test_the_centre_counts_most():
    cells = torch.zeros(1, 4, 4)
    cells[0, 1:3, 1:3] = 1
    pooled = pool_windows(integral_image(cells), torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
    assert pooled.item() == (4 / 16 + 1) / 2
    assert central(torch.tensor([[0.0, 0.0, 4.0, 4.0]])).tolist() == [[1.0, 1.0, 3.0, 3.0]]


def test_sums_over_all_cells_say_the_same():
    cells = torch.rand(3, 6, 8)
    box = torch.tensor([1.3, 0.6, 6.1, 5.2])
    shared = pool_windows(integral_image(cells), box[None])
    assert torch.allclose(pool_alone(cells, box), shared, atol=1e-5)


def test_an_octave_has_whole_cells_and_one_at_least():
    octaves = Octaves(max_tile_px=64, max_side_px=640, stride_px=8)
    assert octaves.size(torch.zeros(3, 101, 77), 0) == (104, 80)
    assert octaves.size(torch.zeros(3, 101, 77), 1) == (200, 152)
    assert octaves.size(torch.zeros(3, 10, 10), -4) == (8, 8)
