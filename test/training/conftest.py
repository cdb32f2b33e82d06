"""A small trainer on a scene with known answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lerf_ros.config import LerfConfig

sys.path.insert(0, str(Path(__file__).parent))

SMALL = {
    'field.levels': 8,
    'field.max_resolution': 256,
    'field.table_log2': 14,
    'field.language_levels': 4,
    'field.language_table_log2': 12,
    'training.rays_per_step': 512,
    'training.language_rays_per_step': 128,
}


@pytest.fixture
def config() -> LerfConfig:
    """Options of a field that learns within seconds."""
    return LerfConfig.from_flat(SMALL)
