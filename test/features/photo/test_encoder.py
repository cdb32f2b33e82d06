"""Tests of the photograph encoder's tower and windows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import KindEncoder, WindowEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.features.open_clip.module import timm
from lerf_ros.features.photo.convolution import (
    FusedConvolution,
    fuse_convolutions,
    fused_available,
)
from lerf_ros.features.photo.encoder import COLOUR_SHARE, INPUT_PX, OCTAVES
from lerf_ros.features.photo.packages import IMAGE_WEIGHTS
from lerf_ros.features.photo.tower import ARCHITECTURE, LOOK_STAGES, STRIDE, PhotoTower
from lerf_ros.features.pyramid import PyramidBuilder
from lerf_ros.query.exemplars import exemplar_phrase
from lerf_ros.query.request import Exemplar


def picture(width: int, height: int, seed: int = 3) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 3, height // 8 + 1, width // 8 + 1))).float()
    return torch.nn.functional.interpolate(coarse, (height, width), mode='bilinear')[0]


def test_it_knows_windows_and_kinds(encoder):
    assert isinstance(encoder, WindowEncoder)
    assert isinstance(encoder, KindEncoder)


def test_folding_changes_nothing_but_speed(encoder):
    plain = PhotoTower.load(IMAGE_WEIGHTS.find())
    image = picture(INPUT_PX, INPUT_PX)[None]
    with torch.no_grad():
        before = plain.logits(image)
        plain.fold()
        assert torch.allclose(plain.logits(image), before, atol=1e-3)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())


@pytest.mark.parametrize(('rows', 'cols'), [(33, 40), (32, 47), (31, 31)])
@pytest.mark.parametrize(('kernel', 'stride'), [(1, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize('activated', [True, False])
def test_a_fused_convolution_is_the_plain_one(rows, cols, kernel, stride, activated):
    layers = pytest.importorskip('timm.layers')
    if not fused_available():
        pytest.skip('this build of PyTorch has no oneDNN')
    torch.manual_seed(0)
    kind = layers.Conv2dSame if stride > 1 else torch.nn.Conv2d
    plain = torch.nn.Sequential(
        kind(8, 16, kernel, stride, bias=True), *([torch.nn.ReLU6()] if activated else [])
    ).requires_grad_(False)
    fused = copy.deepcopy(plain)
    fuse_convolutions(fused)
    assert isinstance(fused[0], FusedConvolution)
    x = 4 * torch.randn(1, 8, rows, cols)
    x = x.contiguous(memory_format=torch.channels_last)
    assert fused(x).shape == plain(x).shape
    assert torch.allclose(fused(x), plain(x), atol=1e-4)


def test_a_cell_looks_at_its_own_pixels():
    # With all weights alike, the response to a spot is spread evenly around the spot.
    network = timm().create_model(ARCHITECTURE)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            torch.nn.init.constant_(parameter, 1 / parameter[0].numel())
    tower = PhotoTower(network)
    grey = torch.full((1, 3, 640, 640), 127 / 255)
    image = grey.clone()
    image[:, :, 8 * STRIDE : 9 * STRIDE, 11 * STRIDE : 12 * STRIDE] += 0.4
    with torch.no_grad():
        response = (tower(image) - tower(grey))[0].sum(dim=0)
    response = response / response.sum()
    centres = torch.arange(20) + 0.5
    assert float(response.sum(dim=1) @ centres) == pytest.approx(8.5, abs=0.05)
    assert float(response.sum(dim=0) @ centres) == pytest.approx(11.5, abs=0.05)


def test_shared_passes_equal_one_window_at_a_time(encoder):
    image = picture(200, 152)
    rng = np.random.default_rng(0)
    sides = rng.uniform(10, 120, (6, 1))
    corners = rng.uniform(0, 1, (6, 2)) * ((200, 152) - sides)
    boxes = torch.from_numpy(np.concatenate([corners, corners + sides], axis=1)).float()
    shared = encoder.encode_windows(image, boxes)
    alone = torch.stack([encoder.encode_window_alone(image, box) for box in boxes])
    assert float((shared - alone).abs().max()) < 1e-3
    assert torch.allclose(shared.norm(dim=-1), torch.ones(6), atol=1e-4)


def test_octaves_are_bounded():
    assert OCTAVES.of_tile(24, 640, 480) == 1
    assert OCTAVES.of_tile(240, 640, 480) == 0
    assert OCTAVES.of_tile(12, 320, 240) == 2


@pytest.mark.parametrize('size', [(16, 16), (101, 77)])
def test_a_picture_smaller_than_a_window_works(encoder, size):
    image = (picture(*size).permute(1, 2, 0) * 255).to(torch.uint8).numpy()
    pyramid = PyramidBuilder(encoder, FeatureOptions(), 'cpu').build(image)
    assert all(torch.isfinite(level.embeddings).all() for level in pyramid.levels)
    assert torch.isfinite(encoder.encode_images(picture(*size)[None])).all()


@pytest.mark.parametrize('value', [0.0, 0.5, 1.0])
def test_grey_and_over_exposed_pictures_show_nothing(encoder, value):
    flat = torch.full((1, 3, 64, 64), value)
    embedding = encoder.encode_images(flat)[0]
    assert torch.isfinite(embedding).all()
    # Closer to nothing in particular than to any kind of a household.
    kinds = encoder.encode_texts(['mug', 'chair', 'book', 'bottle', 'television', 'shoe'])
    assert float((kinds @ embedding).max()) < float(encoder.negatives[0] @ embedding)


def test_kinds_and_looks_share_an_embedding_evenly(encoder):
    embeddings = encoder.encode_images(torch.stack([picture(64, 64), picture(64, 64, seed=4)]))
    looks = encoder.looks(embeddings)
    assert torch.allclose(embeddings.norm(dim=-1), torch.ones(2), atol=1e-5)
    assert torch.allclose(looks.norm(dim=-1), torch.ones(2), atol=1e-5)
    # Equal lengths beside the colour, and nothing of words.
    length = ((1 - COLOUR_SHARE) / 2) ** 0.5
    assert torch.allclose((looks * embeddings).sum(dim=-1), torch.full((2,), length), atol=1e-5)
    texts = torch.cat([encoder.encode_texts(['mug', 'chair']), encoder.kinds, encoder.negatives])
    assert float((texts @ looks.T).abs().max()) == 0.0
    assert torch.allclose(encoder.looks(looks), looks, atol=1e-6)


def test_looks_are_told_from_the_mean_of_the_training_pictures():
    # A network in training normalises by the batch at hand, whose mean then is the known one.
    network = timm().create_model(ARCHITECTURE)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias)
    tower = PhotoTower(network)
    network.train()
    with torch.no_grad():
        x = network.bn1(network.conv_stem(torch.randn(4, 3, 64, 64)))
        means = []
        for number, stage in enumerate(network.blocks):
            x = stage(x)
            if number in LOOK_STAGES:
                means.append(x.mean(dim=(0, 2, 3)))
    assert torch.allclose(tower.look_means, torch.cat(means), atol=1e-3)


def test_weights_are_no_option_of_it():
    with pytest.raises(ValueError, match='pretrained: expected nothing'):
        load_encoder(FeatureOptions(encoder='photo', pretrained='some.safetensors'))


def test_a_damaged_or_foreign_weights_file_is_named(tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_bytes(b'nothing')
    with pytest.raises(ValueError, match='damaged'):
        PhotoTower.load(path)
    torch.save({'a': torch.zeros(3)}, path)
    with pytest.raises(ValueError, match='no weights of tf_efficientnet_lite0'):
        PhotoTower.load(path)


def test_other_kinds_leave_out_what_is_alike(encoder):
    others = encoder.kinds[encoder.other_kinds('mug')]
    own = encoder.encode_texts(['coffee mug', 'tea cup', 'backpack'])
    held = (others @ own.T).max(dim=0).values
    assert float(held[0]) < 0.99
    assert float(held[1]) < 0.99
    assert float(held[2]) > 0.99


def test_a_picture_is_asked_as_a_window_of_itself(encoder):
    image = (picture(160, 120).permute(1, 2, 0) * 255).to(torch.uint8).numpy()
    means = torch.nn.functional.normalize(torch.rand(3, encoder.embedding_size), dim=-1)
    phrase = exemplar_phrase(encoder, Exemplar(image, (40, 30, 90, 70)), means)
    window = torch.tensor([[40.0, 25.0, 90.0, 75.0]])
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    asked = encoder.looks(encoder.encode_windows(pixels, window))
    assert torch.allclose(phrase.positives, asked, atol=1e-4)
    assert phrase.framed
    assert len(phrase.negatives) == 0
    assert phrase.temperature == encoder.picture_temperature
    assert 0 < phrase.background_share < 1


def test_windows_in_bfloat16_say_what_those_in_float32_say(encoder):
    image = (picture(320, 240).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    pyramids = []
    for precision in ('float32', 'bfloat16'):
        options = FeatureOptions(encoder='photo', precision=precision)
        pyramids.append(PyramidBuilder(load_encoder(options), options, 'cpu').build(image))
    for exact, rounded in zip(*(pyramid.levels for pyramid in pyramids), strict=True):
        cosines = torch.cosine_similarity(exact.embeddings, rounded.embeddings, dim=-1)
        assert cosines.mean() > 0.99
        assert cosines.min() > 0.97
        assert not torch.equal(exact.embeddings, rounded.embeddings)
