"""Tests of windows pooled from shared maps of cells."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.features.windows import Octaves, SharedWindows, pool_alone, pool_windows


def test_the_mean_is_that_of_the_cells_in_the_box_and_in_its_middle():
    cells = torch.rand(3, 6, 8)
    pooled = pool_windows(cells, torch.tensor([[1.0, 2.0, 5.0, 6.0]]))
    whole, middle = (part.mean(dim=(1, 2)) for part in (cells[:, 2:6, 1:5], cells[:, 3:5, 2:4]))
    assert torch.allclose(pooled[0], (whole + middle) / 2, atol=1e-5)


def test_cells_at_the_border_count_by_area():
    cells = torch.tensor([[[1.0, 3.0, 5.0, 0.0]]])
    pooled = pool_windows(cells, torch.tensor([[0.5, 0.0, 2.5, 1.0]]))
    assert pooled.item() == pytest.approx(((0.5 * 1 + 3 + 0.5 * 5) / 2 + 3) / 2)


def test_boxes_are_clipped_and_never_empty():
    cells = torch.ones(2, 4, 4)
    boxes = torch.tensor([[-3.0, -3.0, 9.0, 9.0], [4.0, 4.0, 5.0, 5.0], [2.0, 2.0, 2.0, 2.0]])
    assert torch.allclose(pool_windows(cells, boxes), torch.ones(3, 2), atol=1e-3)


def test_windows_of_a_grid_and_any_others_equal_the_readable_twin():
    torch.manual_seed(0)
    cells = torch.rand(4, 12, 9)
    start = torch.rand(30, 2) * torch.tensor([7.0, 10.0])
    boxes = torch.cat([start, start + 0.3 + torch.rand(30, 2) * 1.6], dim=1)
    grid = [[u, v, u + 2.5, v + 2.5] for v in (0.0, 1.2, 8.0) for u in (0.0, 3.1)]
    boxes = torch.cat([boxes, torch.tensor(grid)])
    expected = torch.stack([pool_alone(cells, box)[0] for box in boxes])
    assert torch.allclose(pool_windows(cells, boxes), expected, atol=1e-5)


def test_an_octave_has_whole_cells_and_one_at_least():
    octaves = Octaves(max_tile_px=64, max_side_px=640, stride_px=8)
    assert octaves.size(torch.zeros(3, 101, 77), 0) == (104, 80)
    assert octaves.size(torch.zeros(3, 101, 77), 1) == (200, 152)
    assert octaves.size(torch.zeros(3, 10, 10), -4) == (8, 8)


@pytest.mark.parametrize(
    ('width', 'seen_px'), [(320, [640, 640, 320, 160]), (424, [640, 640, 320, 160])]
)
def test_the_largest_octave_has_the_side_that_was_asked_for(width, seen_px):
    octaves = Octaves(max_tile_px=64, max_side_px=640, stride_px=8)
    tiles = (12, 32, 64, 128)
    seen = [width * 2.0 ** octaves.of_tile(tile, width, 240) for tile in tiles]
    assert seen == pytest.approx(seen_px)


def test_a_picture_larger_than_the_largest_octave_is_seen_as_it_is():
    octaves = Octaves(max_tile_px=64, max_side_px=640, stride_px=8)
    assert octaves.of_tile(36, 1280, 720) == 0
    assert octaves.of_tile(100, 1280, 720) == -1


def test_an_image_is_seen_once_an_octave():
    seen: list[float] = []

    def cells_of(image: torch.Tensor, octave: float) -> torch.Tensor:
        seen.append(octave)
        return torch.full((1, 4, 4), float(octave))

    octaves = Octaves(max_tile_px=16, max_side_px=64, stride_px=8)
    windows = SharedWindows(octaves, cells_of, lambda pooled: pooled, 1, torch.device('cpu'))
    image = torch.zeros(3, 32, 32)
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 16, 16], [8, 8, 16, 16]])
    for _ in range(2):
        assert windows.encode(image, boxes)[:, 0].tolist() == pytest.approx([1.0, 0.0, 1.0])
    assert seen == [0, 1]
    windows.encode(image.clone(), boxes)
    assert seen == [0, 1, 0, 1]
