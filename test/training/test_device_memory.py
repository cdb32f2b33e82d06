"""A step that does not fit into memory is made smaller; nothing of it stays."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spheres
import torch

from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.device_memory import LEAST_RAYS, DeviceMemoryError
from lerf_ros.training.trainer import Trainer

ROOT = Path(__file__).parents[2]


def make_trainer(config, device=None):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE, device=device)
    surface = SurfaceMap(config.query)
    for keyframe, pyramid, _ in spheres.keyframes(2):
        trainer.add_keyframe(keyframe, pyramid)
        frame = keyframe.frame
        surface.integrate(
            keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
        )
    return trainer, surface


def out_of_memory_on_a_gpu():
    raise torch.OutOfMemoryError('no memory')


def out_of_memory_on_the_cpu():
    torch.empty(1 << 60, dtype=torch.uint8)


def gradients(trainer):
    return [p.grad for p in trainer.field.parameters() if p.grad is not None]


FAILURES = [out_of_memory_on_a_gpu, out_of_memory_on_the_cpu]
PLACES = [
    'field.render',
    '_optimizer.backward',
    'store.sample_rays',
    'store.point_targets',
    '_supervision.optimizer.all_finite',
]


@pytest.mark.parametrize('fail', FAILURES)
@pytest.mark.parametrize('place', PLACES)
def test_a_step_that_does_not_fit_is_halved_until_it_does(
    config, monkeypatch, caplog, place, fail
):
    trainer, surface = make_trainer(config)
    trainer.step(surface)
    *owners, name = place.split('.')
    owner = trainer
    for part in owners:
        owner = getattr(owner, part)
    real, sizes = getattr(owner, name), []

    def scarce(*arguments, **named):
        sizes.append(trainer._sizes.options.rays_per_step)
        if len(sizes) < 3:
            fail()
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, scarce)
    report = trainer.step(surface)
    assert sizes[:3] == [512, 256, 128]
    assert not report.skipped
    assert report.step == 2
    assert gradients(trainer) == []
    assert caplog.text.count('out of memory on cpu') == 2
    assert 'in a step of 256 rays: from now on it is one of 128' in caplog.text
    # The next steps are of the size that fitted, also where options change meanwhile.
    trainer.configure(config.replace({'training.depth_weight': 0.2}))
    trainer.step(surface)
    assert sizes[-1] == 128
    batch = trainer.store.sample_rays(trainer._sizes.options.rays_per_step)
    assert len(batch) == 128


@pytest.mark.parametrize('fail', FAILURES)
@pytest.mark.parametrize('place', PLACES[:3])
def test_running_out_of_memory_for_good_keeps_the_last_good_weights(
    config, monkeypatch, place, fail
):
    trainer, _ = make_trainer(config)
    trainer.step()
    before = {name: value.clone() for name, value in trainer.state_dict().items()}
    owner, name = place.split('.')
    with monkeypatch.context() as patch:
        patch.setattr(getattr(trainer, owner), name, lambda *_, **__: fail())
        with pytest.raises(DeviceMemoryError, match=f'{LEAST_RAYS} rays: lower field.table_log2'):
            trainer.step()
    assert all(torch.equal(value, before[name]) for name, value in trainer.state_dict().items())
    assert gradients(trainer) == []
    assert not trainer.step().skipped


def test_an_error_of_another_kind_is_not_taken_for_lack_of_memory(config, monkeypatch):
    trainer, _ = make_trainer(config)

    def fail(*_, **__):
        raise RuntimeError('something else')

    monkeypatch.setattr(trainer.field, 'render', fail)
    with pytest.raises(RuntimeError, match='something else'):
        trainer.step()


_IN_LITTLE_MEMORY = """
import json, logging, os, resource, sys
import lerf_ros
import spheres, torch
from lerf_ros.config import LerfConfig
from lerf_ros.training.trainer import Trainer

logging.basicConfig(stream=sys.stderr)
torch.set_num_threads(1)
changes, limit_mb = json.loads(sys.argv[1])
trainer = Trainer(LerfConfig.from_flat(changes), embedding_size=spheres.EMBEDDING_SIZE)
for keyframe, pyramid, _ in spheres.keyframes(4):
    trainer.add_keyframe(keyframe, pyramid)
status = open('/proc/self/status').read()
taken = int(status.split('VmData:')[1].split()[0]) * 1024
limit = taken + limit_mb * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
reports = [trainer.step() for _ in range(3)]
left = [name for name, p in trainer.field.named_parameters() if p.grad is not None]
finite = all(bool(torch.isfinite(p).all()) for p in trainer.field.parameters())
rays = trainer._sizes.options.rays_per_step
print(json.dumps([rays, [r.loss for r in reports], left, finite]), flush=True)
os._exit(0)  # threads that end want memory, too
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='limits are those of Linux')
@pytest.mark.parametrize('backend', ['native', 'torch'])
def test_where_the_system_gives_no_more_memory_training_goes_on_with_less(backend):
    """No double of an allocator: the kernel refuses, in a process of its own."""
    changes = {
        'field.backend': backend,
        'field.table_log2': 12,
        'field.language_table_log2': 12,
        'training.rays_per_step': 32768,
        'training.language_rays_per_step': 2048,
    }
    environment = os.environ | {
        'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'test' / 'helpers')]),
        'MALLOC_ARENA_MAX': '1',
    }
    command = [sys.executable, '-c', _IN_LITTLE_MEMORY, json.dumps([changes, 100])]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    rays, losses, left, finite = json.loads(result.stdout.splitlines()[-1])
    assert LEAST_RAYS <= rays < 32768
    assert 'out of memory on cpu in a step of 32768 rays' in result.stderr
    assert all(math.isfinite(loss) for loss in losses)
    assert left == []
    assert finite
