"""Tests of dense features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerf_ros.config import FeatureOptions
from lerf_ros.features.dense import FeatureMap, load_dense_extractor
from lerf_ros.features.load import load_encoder


def test_lookup_is_bilinear_among_patch_centres():
    features = torch.tensor([[[0.0], [1.0]], [[2.0], [3.0]]])
    grid = FeatureMap(features, width=20, height=10)
    uv = torch.tensor([[5.0, 2.5], [15.0, 7.5], [10.0, 5.0], [-9.0, 0.0], [99.0, 99.0]])
    assert torch.allclose(grid.lookup(uv)[:, 0], torch.tensor([0.0, 3.0, 1.5, 0.0, 3.0]))


def test_none_is_none():
    assert load_dense_extractor(FeatureOptions(), load_encoder(FeatureOptions())) is None


def test_the_shipped_encoders_cells_serve():
    extractor = load_dense_extractor(
        FeatureOptions(dense='encoder'), load_encoder(FeatureOptions())
    )
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    grid = extractor.extract(image)
    assert grid.features.shape == (6, 8, extractor.size)
    assert (grid.width, grid.height) == (64, 48)
    found = grid.lookup(torch.tensor([[4.0, 4.0]]))
    assert torch.allclose(found[0], grid.features[0, 0], atol=1e-5)


def test_a_transformer_of_timm_serves():
    options = FeatureOptions(dense='vit_tiny_patch16_224', dense_pretrained='random')
    extractor = load_dense_extractor(options, load_encoder(FeatureOptions()))
    grid = extractor.extract(np.zeros((64, 96, 3), np.uint8))
    assert grid.features.shape == (4, 6, extractor.size)
    assert torch.allclose(grid.features.norm(dim=-1), torch.ones(4, 6), atol=1e-4)


def test_an_unknown_name_lists_near_names():
    options = FeatureOptions(dense='vit_small_patch8_dino')
    with pytest.raises(ValueError, match='near names: vit_small'):
        load_dense_extractor(options, load_encoder(FeatureOptions()))


def test_missing_weights_say_what_to_put_where(tmp_path):
    options = FeatureOptions(dense='vit_small_patch8_224.dino', weights_dir=str(tmp_path))
    with pytest.raises(ValueError, match='not on this machine') as caught:
        load_dense_extractor(options, load_encoder(FeatureOptions()))
    assert str(tmp_path / 'vit_small_patch8_224.dino.safetensors') in str(caught.value)


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / 'other.safetensors'
    from safetensors.torch import save_file

    save_file({'x': torch.zeros(1)}, path)
    options = FeatureOptions(dense='vit_tiny_patch16_224', dense_pretrained=str(path))
    with pytest.raises(ValueError, match=r'other\.safetensors'):
        load_dense_extractor(options, load_encoder(FeatureOptions()))
