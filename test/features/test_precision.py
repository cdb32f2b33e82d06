"""Tests of the precision of the shipped image tower."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.config import FeatureOptions, LerfConfig
from lerf_ros.features.load import load_encoder
from lerf_ros.features.precision import multiplies_bfloat16, tower_dtype
from lerf_ros.features.pyramid import PyramidBuilder
from lerf_ros.simulation import TabletopScene

CPU = torch.device('cpu')


def test_auto_is_bfloat16_only_where_the_processor_has_it() -> None:
    fast = torch.bfloat16 if multiplies_bfloat16() else torch.float32
    assert tower_dtype('auto', CPU) == fast
    assert tower_dtype('auto', torch.device('cuda')) == torch.float32
    assert tower_dtype('float32', CPU) == torch.float32
    with pytest.raises(ValueError, match='half'):
        LerfConfig().replace({'features.precision': 'half'})


def test_bfloat16_says_what_float32_says() -> None:
    with TabletopScene(seed=9000) as scene:
        image = next(scene.frames('orbit', seconds=1, rate_hz=1)).image
    pyramids = []
    for precision in ('float32', 'bfloat16'):
        options = FeatureOptions(precision=precision)
        encoder = load_encoder(options, CPU)
        pyramids.append(PyramidBuilder(encoder, options, CPU).build(image))
    for exact, rounded in zip(*(pyramid.levels for pyramid in pyramids), strict=True):
        cosines = torch.cosine_similarity(exact.embeddings, rounded.embeddings, dim=-1)
        assert cosines.min() > 0.99
        assert not torch.equal(exact.embeddings, rounded.embeddings)
