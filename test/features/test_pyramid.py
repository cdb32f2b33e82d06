"""Tests of the language pyramid, on an encoder whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lerf_ros.config import FeatureOptions
from lerf_ros.features.pyramid import FeaturePyramid, PyramidBuilder, PyramidLevel
from lerf_ros.features.tile_budget import chosen_tiles
from lerf_ros.features.tile_grid import expected_tiles, tile_grids


class ColourEncoder:
    """Embeds a crop as its mean colour and a constant, whatever its size."""

    name = 'colour'
    fingerprint = 'colour-1'
    embedding_size = 4
    input_size = 8
    temperature = 10.0
    existence = None

    def __init__(self) -> None:
        self.crops: list[tuple[int, ...]] = []

    def encode_images(self, images):
        self.crops.append(tuple(images.shape))
        means = images.mean(dim=(2, 3))
        return F.normalize(torch.cat([means, torch.full((len(means), 1), 0.1)], dim=1), dim=1)

    def encode_texts(self, texts):
        raise NotImplementedError


def image_of(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_tiling_of_a_vga_image_is_lerfs_without_the_tiles_that_reach_beyond_it():
    # LERF has about 1150, of which those at the border are padded with black.
    assert expected_tiles(640, 480, FeatureOptions()) == 919


@pytest.mark.parametrize(
    ('width', 'height'), [(320, 240), (240, 320), (640, 480), (17, 16), (33, 200)]
)
def test_tiles_lie_inside_the_image_and_leave_no_wide_border(width, height):
    for grid in tile_grids(width, height, FeatureOptions()):
        boxes = grid.boxes()
        assert boxes[:, :2].min() >= 0
        assert boxes[:, 2].max() <= width
        assert boxes[:, 3].max() <= height
        assert torch.all(boxes[:, 2:] - boxes[:, :2] == grid.tile_px)
        assert boxes[:, 0].min() <= grid.stride_px / 2
        assert width - boxes[:, 2].max() <= grid.stride_px / 2


def test_strides_fall_from_one_tile_to_half_a_tile():
    grids = tile_grids(640, 480, FeatureOptions())
    assert grids[0].stride_px == grids[0].tile_px
    assert grids[-1].stride_px == pytest.approx(grids[-1].tile_px / 2, abs=1)


def test_fast_pyramid_equals_its_twin():
    builder = PyramidBuilder(ColourEncoder(), FeatureOptions(pyramid_levels=4), 'cpu')
    image = image_of(64, 48)
    for fast, slow in zip(
        builder.build(image).levels, builder.build_twin(image).levels, strict=True
    ):
        assert fast.origin_uv == slow.origin_uv
        assert torch.allclose(fast.embeddings, slow.embeddings, atol=1e-5)


def test_crops_are_never_padded():
    encoder = ColourEncoder()
    white = np.full((40, 60, 3), 255, np.uint8)
    pyramid = PyramidBuilder(encoder, FeatureOptions(), 'cpu').build(white)
    expected = F.normalize(torch.tensor([1.0, 1.0, 1.0, 0.1]), dim=0)
    for level in pyramid.levels:
        assert torch.allclose(level.embeddings, expected.expand_as(level.embeddings), atol=1e-5)


def level_of(tile_px: float, vectors: torch.Tensor) -> PyramidLevel:
    return PyramidLevel(tile_px, (5.0, 5.0), (10.0, 10.0), F.normalize(vectors, dim=-1))


def test_lookup_is_bilinear_among_centres_and_linear_between_levels():
    fine = torch.zeros(1, 2, 3)
    fine[0, 0, 0] = fine[0, 1, 1] = 1
    coarse = torch.zeros(1, 2, 3)
    coarse[..., 2] = 1
    pyramid = FeaturePyramid(20, 10, (level_of(10.0, fine), level_of(20.0, coarse)))
    uv = torch.tensor([[5.0, 5.0], [10.0, 5.0], [15.0, 5.0], [5.0, 5.0], [0.0, 0.0]])
    tile = torch.tensor([10.0, 10.0, 20.0, 15.0, 1.0])
    expected = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [1, 0, 0]]).float()
    assert torch.allclose(pyramid.lookup(uv, tile), F.normalize(expected, dim=1), atol=1e-6)


def test_lookup_returns_unit_vectors_also_between_levels_of_equal_size():
    options = FeatureOptions(tile_share_max=1.0)
    builder = PyramidBuilder(ColourEncoder(), options, 'cpu')
    pyramid = builder.build(image_of(20, 64))  # narrow: coarse tiles are all 20 px
    uv = torch.rand(50, 2) * torch.tensor([20.0, 64.0])
    found = pyramid.lookup(uv, torch.linspace(1, 80, 50))
    assert torch.allclose(found.norm(dim=1), torch.ones(50), atol=1e-5)


def test_lookup_at_a_tile_centre_returns_that_tile():
    builder = PyramidBuilder(ColourEncoder(), FeatureOptions(), 'cpu')
    image = image_of(96, 64)
    pyramid = builder.build(image)
    level = pyramid.levels[2]
    u = level.origin_uv[0] + 3 * level.stride_uv[0]
    v = level.origin_uv[1] + 1 * level.stride_uv[1]
    found = pyramid.lookup(torch.tensor([[u, v]]), torch.tensor([level.tile_px]))
    assert torch.allclose(found[0], level.embeddings[1, 3], atol=1e-5)


def test_cache_answers_without_the_encoder(tmp_path):
    options = FeatureOptions(cache_dir=str(tmp_path), pyramid_levels=3)
    first, second = ColourEncoder(), ColourEncoder()
    image = image_of(64, 48)
    made = PyramidBuilder(first, options, 'cpu').build(image)
    read = PyramidBuilder(second, options, 'cpu').build(image)
    assert first.crops
    assert not second.crops
    for a, b in zip(made.levels, read.levels, strict=True):
        assert torch.equal(a.embeddings, b.embeddings)


def test_cache_tells_images_encoders_and_tilings_apart(tmp_path):
    options = FeatureOptions(cache_dir=str(tmp_path), pyramid_levels=2)
    PyramidBuilder(ColourEncoder(), options, 'cpu').build(image_of(64, 48))
    other = ColourEncoder()
    other.fingerprint = 'colour-2'
    PyramidBuilder(other, options, 'cpu').build(image_of(64, 48))
    assert other.crops
    encoder = ColourEncoder()
    PyramidBuilder(encoder, options, 'cpu').build(image_of(64, 48, seed=1))
    assert encoder.crops
    encoder.crops.clear()
    changed = FeatureOptions(cache_dir=str(tmp_path), pyramid_levels=2, tile_share_max=0.4)
    PyramidBuilder(encoder, changed, 'cpu').build(image_of(64, 48))
    assert len(encoder.crops) == 1  # the finest level is the same, the coarse one is not
    encoder.crops.clear()
    larger = FeatureOptions(cache_dir=str(tmp_path), pyramid_levels=2, octave_side_px=800)
    PyramidBuilder(encoder, larger, 'cpu').build(image_of(64, 48))
    assert encoder.crops


@pytest.mark.usefixtures('unchecked')
@pytest.mark.parametrize(
    'image',
    [
        np.zeros((10, 10, 3), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
    ],
)
def test_bad_images_are_refused_with_a_sentence(image):
    with pytest.raises(ValueError, match='image: expected'):
        PyramidBuilder(ColourEncoder(), FeatureOptions(), 'cpu').build(image)


def half_flat(width: int = 128, height: int = 96) -> np.ndarray:
    """Returns a picture that is grey on the left and noise on the right."""
    image = np.full((height, width, 3), 120, np.uint8)
    rng = np.random.default_rng(0)
    image[:, width // 2 :] = rng.integers(0, 256, (height, width - width // 2, 3), np.uint8)
    return image


def test_a_budget_thins_the_finest_level_first_and_there_what_is_flat():
    options, image = FeatureOptions(), half_flat()
    grids = tile_grids(128, 96, options)
    counts = [grid.rows * grid.cols for grid in grids]
    total = sum(counts)
    chosen = chosen_tiles(image, grids, total - counts[0] // 4)
    assert sum(int(tiles.sum()) for tiles in chosen) == total - counts[0] // 4
    assert all(tiles.all() for tiles in chosen[1:])
    dropped = grids[0].boxes()[torch.from_numpy(~chosen[0])]
    assert float(dropped[:, 2].max()) <= 64  # all of them on the flat side
    # With less, the next level is thinned as well, and the coarsest never.
    chosen = chosen_tiles(image, grids, total - counts[0] - counts[1] // 2)
    assert not chosen[0].any()
    assert chosen[1].sum() == counts[1] - counts[1] // 2
    assert chosen_tiles(image, grids, 1)[-1].all()
    assert all(tiles.all() for tiles in chosen_tiles(image, grids, 0))


def test_a_thinned_pyramid_encodes_no_more_and_is_the_same_where_nothing_was_left_out():
    image = half_flat()
    total = expected_tiles(128, 96, FeatureOptions())
    encoder = ColourEncoder()
    whole = PyramidBuilder(encoder, FeatureOptions(), 'cpu').build(image)
    encoder.crops.clear()
    budget = total // 2
    options = FeatureOptions(tiles_per_keyframe=budget)
    thinned = PyramidBuilder(encoder, options, 'cpu').build(image)
    assert sum(shape[0] for shape in encoder.crops) == budget
    chosen = chosen_tiles(image, tile_grids(128, 96, options), budget)
    for a, b, own in zip(whole.levels, thinned.levels, chosen, strict=True):
        full, thin = a.embeddings.flatten(0, 1), b.embeddings.flatten(0, 1)
        assert torch.allclose(full[own], thin[own], atol=1e-5)
        assert torch.allclose(thin.norm(dim=-1), torch.ones(len(thin)), atol=1e-4)
    # A flat tile looks like the larger one around it.
    flat = torch.tensor([[20.0, 40.0]])
    tile = torch.tensor([thinned.levels[0].tile_px])
    assert float((thinned.lookup(flat, tile) * whole.lookup(flat, tile)).sum()) > 0.99


def test_a_budget_has_entries_of_its_own_in_the_cache(tmp_path):
    image = half_flat()
    whole_options = FeatureOptions(cache_dir=str(tmp_path))
    whole = PyramidBuilder(ColourEncoder(), whole_options, 'cpu').build(image)
    options = FeatureOptions(cache_dir=str(tmp_path), tiles_per_keyframe=100)
    first = PyramidBuilder(ColourEncoder(), options, 'cpu').build(image)
    again = PyramidBuilder(ColourEncoder(), options, 'cpu').build(image)
    assert torch.equal(first.levels[0].embeddings, again.levels[0].embeddings)
    assert not torch.equal(first.levels[0].embeddings, whole.levels[0].embeddings)
