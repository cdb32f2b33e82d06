"""Memory is known before training begins."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
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
    language = sum(parameter.numel() for parameter in field.language.parameters())
    assert estimate.weights == pytest.approx((count * 16 + language * 4) / 2**20, rel=1e-6)
    alone = memory.estimate_memory(
        config.replace({'training.mean_steps': 0}), spheres.EMBEDDING_SIZE, 5
    )
    assert alone.weights == pytest.approx(count * 16 / 2**20, rel=1e-6)


def test_variants_grow():
    totals = [
        memory.estimate_memory(load_yaml(CONFIG / f'{name}.yaml'), size, device='cuda').total
        for name, size in (('tabletop', 64), ('lite', 512), ('base', 512), ('big', 768))
    ]
    assert totals == sorted(totals)
    assert totals[0] < 2000 + 512


def test_the_tabletop_file_is_the_defaults():
    assert load_yaml(CONFIG / 'tabletop.yaml') == LerfConfig()


def test_too_large_a_variant_is_named_with_one_that_fits(monkeypatch, caplog):
    monkeypatch.setattr(memory, 'available_mb', lambda device: 1500.0)
    with caplog.at_level(logging.WARNING):
        memory.check_memory(load_yaml(CONFIG / 'big.yaml'), 768, torch.device('cpu'))
    assert 'the variant tabletop fits' in caplog.text


def test_what_fits_gives_no_warning(monkeypatch, caplog):
    monkeypatch.setattr(memory, 'available_mb', lambda device: 64_000.0)
    with caplog.at_level(logging.WARNING):
        memory.check_memory(LerfConfig(), 64, torch.device('cpu'))
    assert not caplog.text


_MEASURE = """
import json, sys
import lerf_ros
import spheres
from lerf_ros.config import LerfConfig
from lerf_ros.training.trainer import Trainer

trainer = Trainer(
    LerfConfig.from_flat(json.loads(sys.argv[1])), embedding_size=spheres.EMBEDDING_SIZE
)
for keyframe, pyramid, _ in spheres.keyframes(2):
    trainer.add_keyframe(keyframe, pyramid)
for _ in range(2):
    trainer.step()
# The peak of this program alone: ru_maxrss begins with that of the process that started it.
status = open('/proc/self/status').read()
peak_mb = int(status.split('VmHWM:')[1].split()[0]) / 1024
print(json.dumps([trainer.memory.total - trainer.memory.keyframes, peak_mb]))
"""


@pytest.mark.parametrize(
    'changes',
    [
        {'field.table_log2': 20, 'field.levels': 16, 'field.language_table_log2': 18},
        {
            'training.rays_per_step': 4096,
            'field.coarse_samples': 48,
            'field.colour_decode': 'sample',
            'field.backend': 'native',
        },
    ],
    ids=['large tables', 'many samples'],
)
def test_the_estimate_is_within_a_factor_of_two_of_what_is_taken(changes):
    """Measured in a process of its own; the keyframes' budget is left out, it is hardly used."""
    root = Path(__file__).parents[2]
    environment = os.environ | {
        'PYTHONPATH': os.pathsep.join([str(root), str(root / 'test' / 'helpers')])
    }
    command = [sys.executable, '-c', _MEASURE, json.dumps(changes)]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    estimate_mb, peak_mb = json.loads(output.splitlines()[-1])
    assert peak_mb / 2 < estimate_mb < 2 * peak_mb


def test_free_memory_is_a_positive_number():
    assert memory.available_mb(torch.device('cpu')) > 10
