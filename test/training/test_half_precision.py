"""Training with scaled gradients in half precision, under the CPU's own autocast.

The trainer, the optimiser and the scaler run the code that they run on CUDA; only where an option
asks for float16 is a CPU let through, and tables lie where a GPU would have them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import spheres
import torch

from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training import optimizer as optimizer_module
from lerf_ros.training.trainer import Trainer


@pytest.fixture
def half_on_cpu(monkeypatch):
    """Lets a CPU have what CUDA has."""
    monkeypatch.setattr(optimizer_module, '_autocast_dtype', lambda *_: torch.float16)


def make_trainer(config, count=6):
    changes = {'field.backend': 'torch', 'training.learning_rate': 0.01}
    # Half precision is slow on a CPU.
    changes |= {'training.rays_per_step': 128, 'training.language_rays_per_step': 64}
    changes |= {'training.surface_points': 64, 'field.levels': 4}
    trainer = Trainer(config.replace(changes), embedding_size=spheres.EMBEDDING_SIZE)
    surface = SurfaceMap(config.query)
    for keyframe, pyramid, _ in spheres.keyframes(count):
        trainer.add_keyframe(keyframe, pyramid)
        frame = keyframe.frame
        surface.integrate(
            keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
        )
    return trainer, surface


def scalers(trainer):
    return [trainer._optimizer._scaler, trainer._supervision.optimizer._scaler]


def weights(trainer):
    return {name: value.clone() for name, value in trainer.state_dict().items()}


def curve(trainer, surface, steps):
    return [report.loss for report in (trainer.step(surface) for _ in range(steps))]


@pytest.mark.parametrize('on_surface', [False, True])
def test_scaled_half_precision_learns_as_full_precision_does(
    config, half_on_cpu, monkeypatch, on_surface
):
    trainer, surface = make_trainer(config)
    types = set()
    trainer.field.radiance.geometry_net.register_forward_hook(
        lambda module, inputs, output: types.add(output.dtype)
    )
    half = curve(trainer, surface if on_surface else None, 25)
    assert types == {torch.float16}
    assert all(scaler.is_enabled() for scaler in scalers(trainer))
    assert all(p.dtype == torch.float32 for p in trainer.field.parameters())
    monkeypatch.undo()
    full = curve(*make_trainer(config) if on_surface else (make_trainer(config)[0], None), 25)
    assert np.nanmedian(half[-10:]) == pytest.approx(np.median(full[-10:]), rel=0.05)
    assert np.nanmedian(half[-10:]) < 0.9 * np.nanmedian(half[:3])


def test_an_overflow_is_skipped_and_the_scale_falls_until_gradients_fit(config, half_on_cpu):
    trainer, surface = make_trainer(config)
    trainer.step(surface)
    for scaler in scalers(trainer):
        scaler._scale.fill_(2.0**40)  # no gradient in half precision is left whole by this
    before = weights(trainer)
    report = trainer.step(surface)
    assert report.skipped
    after = weights(trainer)
    assert all(torch.equal(after[name], before[name]) for name in before if name != 'step_count')
    assert trainer._optimizer._scaler.get_scale() == 2.0**39
    skipped = trainer.skipped_count
    for _ in range(40):
        report = trainer.step(surface)
    assert not report.skipped
    assert math.isfinite(report.loss)
    assert skipped <= trainer.skipped_count < 40
    assert all(scaler.get_scale() < 2.0**40 for scaler in scalers(trainer))
    moved = weights(trainer)
    assert not torch.equal(moved['field.radiance.grid.table'], before['field.radiance.grid.table'])


def test_memory_that_runs_out_in_a_scaled_step_leaves_the_scale_and_no_gradient(
    config, half_on_cpu, monkeypatch
):
    trainer, surface = make_trainer(config)
    trainer.step(surface)
    scales = [scaler.get_scale() for scaler in scalers(trainer)]
    real, calls = trainer._supervision.optimizer.propagate, []

    def scarce(loss):
        calls.append(None)
        if len(calls) == 1:
            (loss * 1e9).backward()  # gradients are there when memory runs out
            raise torch.OutOfMemoryError('no memory')
        return real(loss)

    monkeypatch.setattr(trainer._supervision.optimizer, 'propagate', scarce)
    report = trainer.step(surface)
    assert not report.skipped
    assert trainer._sizes.share == 0.5
    assert all(p.grad is None for p in trainer.field.parameters())
    assert [scaler.get_scale() for scaler in scalers(trainer)] == scales
