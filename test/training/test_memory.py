"""Memory is known before training begins."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import spheres
import torch

from lerf_ros.config import LerfConfig, load_yaml
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.training import memory

CONFIG = Path(__file__).parents[2] / 'config'


def test_weights_are_counted_as_the_field_has_them(config):
    field = LerfField(config.field, SceneBox((0, 0, 0), 1.0), spheres.EMBEDDING_SIZE, 5)
    count = sum(parameter.numel() for parameter in field.parameters())
    estimate = memory.estimate_memory(config, spheres.EMBEDDING_SIZE, 5)
    assert estimate.weights == pytest.approx(count * 16 / 2**20, rel=1e-6)


def test_variants_grow():
    totals = [
        memory.estimate_memory(load_yaml(CONFIG / f'{name}.yaml'), size, device='cuda').total
        for name, size in (('tabletop', 64), ('lerf_lite', 512), ('lerf', 512), ('lerf_big', 768))
    ]
    assert totals == sorted(totals)
    assert totals[0] < 2000 + 512


def test_the_tabletop_file_is_the_defaults():
    assert load_yaml(CONFIG / 'tabletop.yaml') == LerfConfig()


def test_too_large_a_variant_is_named_with_one_that_fits(monkeypatch, caplog):
    monkeypatch.setattr(memory, 'available_mb', lambda device: 1500.0)
    with caplog.at_level(logging.WARNING):
        memory.check_memory(load_yaml(CONFIG / 'lerf_big.yaml'), 768, torch.device('cpu'))
    assert 'config/tabletop.yaml fits' in caplog.text


def test_what_fits_gives_no_warning(monkeypatch, caplog):
    monkeypatch.setattr(memory, 'available_mb', lambda device: 64_000.0)
    with caplog.at_level(logging.WARNING):
        memory.check_memory(LerfConfig(), 64, torch.device('cpu'))
    assert not caplog.text


def test_free_memory_is_a_positive_number():
    assert memory.available_mb(torch.device('cpu')) > 10
