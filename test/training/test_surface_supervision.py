"""Language learnt at surface points: right, alone, and without moving anything else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import spheres
import torch
import torch.nn.functional as F

from lerf_ros.features.dense import FeatureMap
from lerf_ros.field.native import is_available
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training import language_gradient, losses
from lerf_ros.training.device_memory import DeviceMemoryError
from lerf_ros.training.language_gradient import (
    add_language_gradient,
    is_written_out,
    native_language_loss,
    product_dtype,
)
from lerf_ros.training.trainer import Trainer


def make(config, count=12):
    """Returns a trainer and the surface of the same keyframes."""
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    surface = SurfaceMap(config.query)
    for keyframe, pyramid, _ in spheres.keyframes(count):
        trainer.add_keyframe(keyframe, pyramid)
        frame = keyframe.frame
        surface.integrate(
            keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
        )
    return trainer, surface


def class_accuracy(trainer, surface, scale_m=0.045):
    """Returns the share of surface points of a ball or the floor that are told apart."""
    positions = surface.points().positions.astype(np.float64)
    outside = np.linalg.norm(positions[:, None] - spheres.CENTRES, axis=2) - spheres.RADII
    labels = np.where(outside.min(axis=1) < 0.008, outside.argmin(axis=1), spheres.FLOOR)
    # A crop at a border shows both sides.
    clear = (np.abs(outside).min(axis=1) < 0.008) & (positions[:, 2] > 0.03)
    clear |= outside.min(axis=1) > 0.05
    points = torch.from_numpy(positions).float()
    with torch.no_grad():
        embedding = trainer.field.embed(
            trainer.field.language_features(points), torch.full((len(points),), scale_m)
        )
    said = (F.normalize(embedding, dim=-1) @ spheres.class_embeddings().T).argmax(dim=-1)
    return float((said.numpy() == labels)[clear].mean())


def test_language_is_learnt_without_any_ray(config):
    config = config.replace({'training.language_rays_per_step': 0})
    trainer, surface = make(config)
    for _ in range(60):
        report = trainer.step(surface)
    assert report.losses['language'] < 0.2
    assert class_accuracy(trainer, surface) > 0.95


def test_surface_points_teach_faster_than_rays(config):
    results = []
    for updates in (0, 2):
        trainer, surface = make(config.replace({'training.surface_updates': updates}))
        for _ in range(25):
            trainer.step(surface)
        results.append(class_accuracy(trainer, surface))
    assert results[1] > results[0]


def test_language_never_moves_geometry(config):
    trainer, surface = make(config)
    trainer.step(surface)
    before = {name: value.clone() for name, value in trainer.field.state_dict().items()}
    trainer._supervision.teach(surface, 1)
    moved = {
        name.split('.')[0]
        for name, value in trainer.field.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {'language'}


def test_rays_leave_language_to_the_surface_and_take_it_back(config, monkeypatch):
    trainer, surface = make(config)
    asked = []
    sample_rays = trainer.store.sample_rays

    def listen(*arguments, language_rays, **others):
        asked.append(language_rays)
        return sample_rays(*arguments, language_rays=language_rays, **others)

    monkeypatch.setattr(trainer.store, 'sample_rays', listen)
    rays = config.training.language_rays_per_step
    for shown in (None, surface, SurfaceMap(config.query)):
        assert 'language' in trainer.step(shown).losses
    assert asked == [rays, 0, rays]


def test_a_surface_that_few_keyframes_have_seen_teaches_nothing(config):
    trainer, _ = make(config)
    surface = SurfaceMap(config.query)
    for number, (keyframe, _, _) in enumerate(spheres.keyframes(12)):
        frame = keyframe.frame
        assert trainer._supervision.can_teach(surface) == (number >= 6)
        surface.integrate(
            keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
        )


def test_no_keyframe_on_the_device_teaches_nothing(config):
    trainer, surface = make(config, 2)
    points = surface.points()
    object.__setattr__(points, 'seen_by', np.full_like(points.seen_by, -1))
    before = trainer.field.language.head.last.weight.detach().clone()
    (loss, _), _ = trainer._supervision.teach(surface, 0)
    assert loss == 0
    assert torch.equal(trainer.field.language.head.last.weight, before)


def test_dense_features_are_learnt_too(config):
    config = config.replace({'training.surface_updates': 1})  # with more it is over at once
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE, dense_size=4)
    surface = SurfaceMap(config.query)
    for keyframe, pyramid, labels in spheres.keyframes(8):
        cells = torch.from_numpy(labels[3::6, 4::8])
        dense = FeatureMap(F.one_hot(cells, 4).float(), pyramid.width, pyramid.height)
        trainer.add_keyframe(keyframe, pyramid, dense)
        frame = keyframe.frame
        surface.integrate(
            keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
        )
    losses = [trainer.step(surface).losses['dense'] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])


def test_lack_of_memory_is_told(config, monkeypatch):
    trainer, surface = make(config, 2)

    def fail(*_, **__):
        raise torch.OutOfMemoryError('no memory')

    monkeypatch.setattr(trainer.store, 'point_targets', fail)
    with pytest.raises(DeviceMemoryError):
        trainer.step(surface)
    monkeypatch.undo()
    assert not trainer.step(surface).skipped


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_the_written_out_gradient_is_that_of_autograd(config, dtype) -> None:
    trainer, _ = make(config, 2)
    language = trainer.field.language
    if not is_written_out(language):
        pytest.skip('no native hash grid here')
    generator = torch.Generator().manual_seed(4)
    positions = 0.2 * torch.randn(50, 3, generator=generator)
    scale_m = torch.rand(50, generator=generator) + 0.05
    target = F.normalize(torch.randn(50, spheres.EMBEDDING_SIZE, generator=generator), dim=-1)
    valid = torch.rand(50, generator=generator) < 0.8
    target[0], valid[0] = 0, False
    for grid in language.grids:  # as after a while: the first weights are nearly 0
        grid.table.data.normal_(generator=generator)
        grid._sink = None
    sinks = []
    embedding = language.head(language.features(positions), scale_m)
    (3 * losses.language_loss(embedding, target, valid)).backward()
    for grid in language.grids:
        sinks.append([])
        grid.send_gradients_to(sinks[-1])
    expected = {
        name: p.grad.clone() for name, p in language.named_parameters() if p.grad is not None
    }
    language.zero_grad()
    loss, cosine = add_language_gradient(language, positions, scale_m, target, valid, 3.0, dtype)
    # bfloat16 has 8 bits.
    exact = dtype == torch.float32
    tolerance = {'atol': 1e-5, 'rtol': 1e-4} if exact else {'atol': 1e-2, 'rtol': 2e-2}
    wanted = losses.language_loss(embedding, target, valid).detach()
    torch.testing.assert_close(loss, wanted, **tolerance)
    reference = F.cosine_similarity(embedding.detach(), target, dim=-1)
    torch.testing.assert_close(cosine, reference, **tolerance)
    for name, parameter in language.head.named_parameters():
        assert F.cosine_similarity(
            parameter.grad.ravel(), expected[f'head.{name}'].ravel(), dim=0
        ) > (0.99999 if exact else 0.999)
        torch.testing.assert_close(parameter.grad, expected[f'head.{name}'], **tolerance)
    for grid, sink in zip(language.grids, sinks, strict=True):
        ((place, grad),) = sink
        grid._sink = None
        grid.zero_grad()
        (grid(place) * grad).sum().backward()
        name = next(n for n, p in language.named_parameters() if p is grid.table)
        torch.testing.assert_close(grid.table.grad, expected[name], **tolerance)


def test_large_heads_are_multiplied_in_bfloat16_where_the_processor_has_it(config, monkeypatch):
    language, training = make(config, 2)[0].field.language, config.training
    monkeypatch.setattr(language_gradient, 'multiplies_bfloat16', lambda: True)
    assert product_dtype(language, training) == torch.float32, 'a small head gains nothing'
    monkeypatch.setattr(language_gradient, 'LARGE_LAYER', 1)
    assert product_dtype(language, training) == torch.bfloat16
    whole = dataclasses.replace(training, precision='float32')
    assert product_dtype(language, whole) == torch.float32
    basis = config.replace({'field.language_basis': 4})
    assert product_dtype(make(basis, 2)[0].field.language, training) == torch.float32
    monkeypatch.setattr(language_gradient, 'multiplies_bfloat16', lambda: False)
    assert product_dtype(language, training) == torch.float32


@pytest.mark.parametrize('size', [5, 16, 40])
def test_the_loss_in_cpp_is_that_of_autograd(size):
    if not is_available('language_loss'):
        pytest.skip('no native library, and no compiler')
    generator = torch.Generator().manual_seed(1)
    embedding = torch.randn(30, size, generator=generator)
    embedding[3], embedding[4] = 0, 1e-10
    target = F.normalize(torch.randn(30, size, generator=generator), dim=-1)
    target[5] = 0
    valid = torch.rand(30, generator=generator) < 0.7
    valid[:2] = torch.tensor([True, False])
    assert 0 < int(((embedding - target).abs() > losses.HUBER_DELTA).sum()) < embedding.numel()
    wanted = embedding.clone().requires_grad_()
    expected = losses.language_loss(wanted, target, valid)
    (2 * expected).backward()
    loss, grad, cosine = native_language_loss(embedding, target, valid, 2.0)
    torch.testing.assert_close(loss, expected.detach())
    usual = embedding.norm(dim=-1) > 1e-3  # of what is shorter the cosine has no slope worth it
    torch.testing.assert_close(grad[usual], wanted.grad[usual], atol=1e-6, rtol=1e-4)
    reference = F.cosine_similarity(embedding, target, dim=-1)
    torch.testing.assert_close(cosine[usual], reference[usual], atol=1e-6, rtol=1e-5)
    nobody = native_language_loss(embedding, target, torch.zeros(30, dtype=torch.bool), 2.0)
    assert float(nobody[0]) == 0
    assert bool((nobody[1] == 0).all())


def test_the_loss_in_cpp_of_what_is_not_finite_is_not():
    if not is_available('language_loss'):
        pytest.skip('no native library, and no compiler')
    for value in (float('nan'), float('inf')):
        embedding = torch.ones(3, 8)
        embedding[1, 2] = value
        loss, _, _ = native_language_loss(
            embedding, torch.ones(3, 8), torch.ones(3, dtype=torch.bool), 1.0
        )
        assert not torch.isfinite(loss)
