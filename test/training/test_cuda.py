"""A training step on a GPU that is there."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import spheres
import torch

from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.captured import CapturedPass
from lerf_ros.training.device_memory import LEAST_RAYS
from lerf_ros.training.trainer import Trainer

pytestmark = [
    pytest.mark.requires_cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA GPU'),
]


def make_trainer(config, sizes=((80, 60),)):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE, device='cuda')
    for number, size in enumerate(sizes):
        for keyframe, pyramid, _ in spheres.keyframes(6, *size):
            id_ = KeyframeId(f'camera{number}', keyframe.id.index)
            trainer.add_keyframe(Keyframe(id_, keyframe.frame), pyramid)
    return trainer


def test_half_precision_learns(config):
    trainer = make_trainer(config)
    assert trainer._optimizer._scaler.is_enabled()
    losses = [trainer.step().loss for _ in range(100)]
    assert np.nanmedian(losses[-10:]) < 0.8 * np.nanmedian(losses[:5])
    assert trainer.skipped_count < 20


def test_a_step_waits_once_for_the_device_whatever_the_sizes(config):
    trainer = make_trainer(config, ((80, 60), (40, 30), (160, 120)))
    for _ in range(3):
        trainer.step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            trainer.step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    waits = [str(each.message) for each in caught if 'synchronizing' in str(each.message)]
    assert len(waits) <= 1, waits


def test_a_step_beyond_the_memory_allowed_is_made_smaller(config):
    large = {'training.rays_per_step': 2**18, 'field.table_log2': 12}
    trainer = make_trainer(config.replace(large))
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(
            (torch.cuda.memory_reserved() + 300 * 2**20) / total
        )
        report = trainer.step()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert LEAST_RAYS <= trainer._sizes.options.rays_per_step < 2**18
    assert np.isfinite(report.loss) or report.skipped
    assert all(p.grad is None for p in trainer.field.parameters())


def make_supervised(config):
    trainer = make_trainer(config)
    surface = SurfaceMap(config.query)
    for keyframe, _, _ in spheres.keyframes(6, 80, 60):
        frame = keyframe.frame
        surface.integrate(
            KeyframeId('camera0', keyframe.id.index),
            frame.depth,
            frame.image,
            frame.camera,
            frame.camera_to_world,
        )
    return trainer, surface


def test_a_replayed_update_has_the_gradient_of_a_plain_one(config):
    trainer, surface = make_supervised(config.replace({'training.precision': 'float32'}))
    trainer.step(surface)
    teacher = trainer._supervision
    chosen = teacher._hard.draw(256, trainer._generator)
    positions = teacher._positions[chosen]
    views = teacher._seeing(chosen, trainer._generator)
    targets = trainer.store.point_targets(positions, views, trainer._generator)
    given = (positions, targets.scale_m, targets.embedding, targets.valid)
    parameters = list(trainer.field.language.parameters())
    captured = CapturedPass(parameters)

    def gradients(compute):
        teacher.discard()
        compute()
        return [None if p.grad is None else p.grad.clone() for p in parameters]

    plain = gradients(lambda: teacher._run(*given))
    for _ in range(6):
        replayed = gradients(lambda: captured(teacher._run, *given))
    assert captured._recordings
    assert any(each is not None for each in plain)
    # Sums of atomics differ in their last bits.
    for one, other in zip(plain, replayed, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert float((one - other).abs().max()) <= 1e-4 * float(one.abs().max())


def test_replayed_updates_learn(config):
    trainer, surface = make_supervised(config.replace({'training.precision': 'float32'}))
    told = [float(trainer.step(surface).losses['language']) for _ in range(20)]
    assert trainer._supervision._pass._recordings
    assert told[-1] < 0.2 * told[0]


def test_a_weight_that_is_set_counts_from_the_next_replay_on(config):
    trainer, surface = make_supervised(config)
    for _ in range(6):
        trainer.step(surface)
    assert trainer._supervision._pass._recordings
    trainer.configure(config.replace({'training.language_weight': 0.0}))
    report = trainer._supervision.teach(surface, 6, trainer._generator)
    assert float(report[0][0]) == 0
