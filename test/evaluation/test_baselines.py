"""Baselines on clouds whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerf_ros.evaluation.baselines import FusionField, brightest_colour, chance
from lerf_ros.features.pyramid import FeaturePyramid, PyramidLevel
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.surface.depth_view import voxel_keys
from lerf_ros.surface.points import SurfacePoints

COLOURS = {'red': np.array([0.85, 0.05, 0.05]), 'blue': np.array([0.05, 0.1, 0.8])}


def cloud(positions: np.ndarray, colours: np.ndarray) -> SurfacePoints:
    count = len(positions)
    return SurfacePoints(
        positions=positions.astype(np.float32),
        colours=colours.astype(np.uint8),
        normals=np.zeros((count, 3), np.float32),
        views=np.ones(count, np.int32),
        confidence=np.ones(count, np.float32),
        visible_height_m=np.ones((count, 2), np.float32),
        seen_by=np.zeros((count, 1), np.int32),
        cameras_m=np.zeros((1, 3), np.float32),
        keys=voxel_keys(positions, 0.01),
        voxel_m=0.01,
    )


def table_with_two_cubes() -> SurfacePoints:
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40)), axis=-1).reshape(-1, 2) * 0.01
    positions = np.c_[grid, np.zeros(len(grid))]
    colours = np.full((len(grid), 3), 200)
    red = (positions[:, 0] >= 0.295) & (positions[:, 1] >= 0.295)
    spot = (positions[:, 0] < 0.015) & (positions[:, 1] < 0.005)
    blue = (positions[:, 0] < 0.055) & (positions[:, 1] >= 0.345)
    colours[red], colours[spot], colours[blue] = (150, 12, 12), (217, 13, 13), (13, 26, 204)
    return cloud(positions, colours)


def test_colour_takes_the_largest_patch_of_that_colour() -> None:
    surface = table_with_two_cubes()
    place = brightest_colour('something Red', COLOURS, surface)
    assert place.position_m == pytest.approx([0.345, 0.345, 0], abs=1e-6)
    assert len(place.point_indices) == 100
    assert place.confidence > 0.5
    assert brightest_colour('blue ball', COLOURS, surface).position_m[0] == pytest.approx(0.025)


def test_colour_without_a_colour_word_or_without_that_colour_is_nowhere() -> None:
    surface = table_with_two_cubes()
    assert brightest_colour('mug', COLOURS, surface).position_m is None
    grey = cloud(surface.positions, np.full((len(surface), 3), 128))
    nowhere = brightest_colour('red mug', COLOURS, grey)
    assert nowhere.position_m is None
    assert nowhere.confidence == 0.0


def test_chance_repeats_itself_and_is_uniform() -> None:
    surface = table_with_two_cubes()
    first, again = chance('mug', 3, surface), chance('mug', 3, surface)
    assert np.array_equal(first.position_m, again.position_m)
    places = [chance(f'thing {i}', 3, surface) for i in range(300)]
    assert np.mean([place.position_m for place in places], axis=0) == pytest.approx(
        [0.195, 0.195, 0], abs=0.03
    )
    assert np.mean([place.confidence > 0.5 for place in places]) == pytest.approx(0.5, abs=0.1)
    distance = np.linalg.norm(surface.positions[first.point_indices] - first.position_m, axis=1)
    assert distance.max() <= 0.05 + 1e-6


def constant_pyramid(left: torch.Tensor, right: torch.Tensor) -> FeaturePyramid:
    """Tiles of the left half embed as one vector, those of the right half as another."""
    levels = []
    for tile_px in (8.0, 16.0):
        embeddings = torch.stack([left, left, right, right]).expand(2, 4, -1)
        levels.append(PyramidLevel(tile_px, (4.0, 8.0), (8.0, 16.0), embeddings))
    return FeaturePyramid(32, 32, tuple(levels))


def wall(image_value: int = 0) -> PosedFrame:
    return PosedFrame(
        image=np.full((32, 32, 3), image_value, np.uint8),
        depth=np.full((32, 32), 1.0, np.float32),
        camera=PinholeCamera(32.0, 32.0, 16.0, 16.0, 32, 32),
        camera_to_world=np.eye(4),
        stamp_ns=0,
    )


def test_fusion_averages_what_the_views_showed() -> None:
    a, b = torch.eye(4)[0], torch.eye(4)[1]
    # Tiles of 8 to 16 px at 1 m with f = 32 px are 0.25 to 0.5 m high.
    fusion = FusionField(4, torch.tensor([0.25, 0.5]), voxel_m=0.05)
    fusion.add(wall(), constant_pyramid(a, b))
    points = torch.tensor([[-0.4, 0.0, 1.0], [0.4, 0.0, 1.0]])
    features = fusion.language_features(points)
    assert fusion.embed(features, torch.tensor([0.25, 0.4])) == pytest.approx(
        torch.stack([a, b]), abs=1e-5
    )
    # A second view that contradicts the first on the left: the mean lies half way.
    fusion.add(wall(), constant_pyramid(b, b))
    halfway = fusion.embed(fusion.language_features(points[:1]), torch.tensor([0.25]))[0]
    assert halfway[:2].tolist() == pytest.approx([0.7071, 0.7071], abs=1e-3)
    assert len(fusion) > 100


def test_fusion_fills_scales_no_view_showed_with_the_nearest() -> None:
    a = torch.eye(4)[2]
    fusion = FusionField(4, torch.tensor([0.01, 0.3, 5.0]), voxel_m=0.05)
    fusion.add(wall(), constant_pyramid(a, a))
    features = fusion.language_features(torch.tensor([[0.0, 0.0, 1.0]]))
    for scale in (0.01, 0.3, 5.0):
        assert fusion.embed(features, torch.tensor([scale]))[0] == pytest.approx(a, abs=1e-5)


def test_fusion_within_fewer_bytes_says_about_the_same() -> None:
    a, b = torch.eye(4)[0], torch.eye(4)[1]
    fusion = FusionField(4, torch.tensor([0.2, 0.25, 0.4, 0.5]), voxel_m=0.02)
    fusion.add(wall(), constant_pyramid(a, b), stride=1)
    assert fusion.bytes == len(fusion) * 4 * 4 * 4
    points = torch.tensor([[-0.4, 0.0, 1.0], [0.4, 0.0, 1.0]])
    for limit_bytes in (fusion.bytes, fusion.bytes // 10, 200):
        small = fusion.within(limit_bytes)
        assert 0 < small.bytes <= limit_bytes
        said = small.embed(small.language_features(points), torch.tensor([0.25, 0.5]))
        if limit_bytes > 200:
            assert said == pytest.approx(torch.stack([a, b]), abs=1e-2)
    assert len(fusion.within(fusion.bytes)) == len(fusion)
    assert fusion.area_m2 == pytest.approx(len(fusion) * 0.02**2)
    near = FusionField(4, torch.tensor([0.2, 0.5]), voxel_m=0.02, max_range_m=0.9)
    near.add(wall(), constant_pyramid(a, b))
    assert len(near) == 0
