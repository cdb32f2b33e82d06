"""Tests of the shipped encoder's shared passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import WindowEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.features.pyramid import PyramidBuilder
from lerf_ros.features.tabletop import TabletopEncoder
from lerf_ros.features.windows import Octaves
from lerf_ros.query.phrase import SAME_THING, TextEmbedder
from lerf_ros.simulation import CATEGORIES


@pytest.fixture(scope='module')
def encoder() -> TabletopEncoder:
    return load_encoder(FeatureOptions())


def picture(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])


def test_it_is_a_window_encoder(encoder):
    assert isinstance(encoder, WindowEncoder)


def test_tiles_span_about_three_to_eight_cells():
    options = FeatureOptions()
    octaves = Octaves(options.octave_tile_px, options.octave_side_px, stride_px=8)
    for tile in (30, 48, 66, 84, 102, 120, 240):
        assert 30 <= tile * 2.0 ** octaves.of_tile(tile, 320, 240) <= 61
    assert octaves.of_tile(12, 320, 240) == 1  # bounded: enlarging further would cost too much
    assert octaves.of_tile(24, 640, 480) == 0


@pytest.mark.parametrize(('side_px', 'tile_px'), [(640, 61), (250, 110), (500, 90)])
def test_shared_passes_equal_one_window_at_a_time(side_px, tile_px):
    encoder = load_encoder(FeatureOptions(octave_side_px=side_px, octave_tile_px=tile_px))
    image = torch.from_numpy(picture(200, 152)).permute(2, 0, 1).float() / 255
    rng = np.random.default_rng(0)
    sides = rng.uniform(10, 120, (16, 1))
    corners = rng.uniform(0, 1, (16, 2)) * ((200, 152) - sides)
    boxes = torch.from_numpy(np.concatenate([corners, corners + sides], axis=1)).float()
    shared = encoder.encode_windows(image, boxes)
    alone = torch.stack([encoder.encode_window_alone(image, box) for box in boxes])
    assert float((shared - alone).abs().max()) < 1e-3


def test_a_pyramid_equals_its_twin(encoder):
    options = FeatureOptions(pyramid_levels=2, tile_share_min=0.5, tile_share_max=0.8)
    builder = PyramidBuilder(encoder, options, 'cpu')
    image = picture(136, 100)
    fast, slow = builder.build(image), builder.build_twin(image)
    for a, b in zip(fast.levels, slow.levels, strict=True):
        assert float((a.embeddings - b.embeddings).abs().max()) < 1e-3


def test_a_lone_window_of_a_large_image_reads_only_its_surroundings(encoder):
    image = torch.from_numpy(picture(480, 400)).permute(2, 0, 1).float() / 255
    box = torch.tensor([30.0, 40.0, 70.0, 80.0])
    before = encoder.encode_window_alone(image, box)
    image[:, 250:, 250:] = 0.0
    assert torch.equal(encoder.encode_window_alone(image, box), before)
    shared = encoder.encode_windows(image, box[None])[0]
    assert torch.allclose(shared, before, atol=1e-3)


def test_passes_are_shared_for_one_image_only(encoder):
    first, second = torch.rand(2, 3, 64, 64)
    box = torch.tensor([[10.0, 10.0, 50.0, 50.0]])
    a = encoder.encode_windows(first, box)
    b = encoder.encode_windows(second, box)
    assert not torch.allclose(a, b, atol=1e-3)
    assert torch.allclose(encoder.encode_windows(first, box), a, atol=1e-6)


def test_an_odd_image_size_works(encoder):
    pyramid = PyramidBuilder(encoder, FeatureOptions(), 'cpu').build(picture(101, 77))
    for level in pyramid.levels:
        assert torch.isfinite(level.embeddings).all()


def test_patch_features_are_unit_vectors_in_the_shape_of_the_image(encoder):
    features = encoder.patch_features(torch.rand(3, 48, 80))
    assert features.shape[:2] == (6, 10)
    assert torch.allclose(features.norm(dim=-1), torch.ones(6, 10), atol=1e-3)


def test_tables_and_rooms_have_weights_and_calibrations_of_their_own(encoder):
    table, room, moon = (
        load_encoder(FeatureOptions(place=place)) for place in ('', 'room', 'moon')
    )
    assert table.fingerprint == moon.fingerprint == encoder.fingerprint != room.fingerprint
    # A calibration of other weights would have been dropped.
    assert table.existence is not None
    assert room.existence is not None
    assert table.existence == moon.existence != room.existence


def test_it_says_which_things_it_was_taught(encoder):
    assert encoder.things == tuple(CATEGORIES)
    embed = TextEmbedder(encoder)
    others = embed.distractors('blue cup')
    assert float((others @ embed(['blue mug'])[0]).max()) < SAME_THING  # a cup is a mug to it
    # Rivals that share a word: a toy boat may be a toy rocket.
    assert float((embed.distractors('toy boat') @ embed(['toy rocket'])[0]).max()) > 0.999


@pytest.mark.parametrize('text', ['striped mug', 'my mug', 'cup with a lid', 'small blue cup'])
def test_a_thing_is_not_held_against_itself_whatever_else_is_said_of_it(encoder, text):
    embed = TextEmbedder(encoder)
    own = embed(['blue mug' if 'blue' in text else 'mug'])[0]
    others = embed.distractors(text)
    assert float((others @ own).max()) < SAME_THING
    assert len(others) >= len(CATEGORIES) - 1
