"""What questions read while steps go on: the mean of the language over the last of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import spheres
import torch

from lerf_ros.frames import KeyframeId
from lerf_ros.training.language_mean import EVERY, SHARE_OF_STEPS, LanguageMean
from lerf_ros.training.trainer import Trainer

# Steps after which the mean is over more than the last one.
BEGINS = int(EVERY / SHARE_OF_STEPS)


def weights(language) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in language.parameters()])


def said(field, surface) -> torch.Tensor:
    positions = torch.from_numpy(surface.points().positions)
    scale_m = torch.full((len(positions),), 0.2)
    with torch.no_grad():
        return torch.nn.functional.normalize(
            field.embed(field.language_features(positions), scale_m), dim=-1
        )


def test_a_young_map_is_read_as_it_is_and_an_older_one_as_its_mean(config):
    trainer, surface = spheres.learnt(config, 0)
    for _ in range(BEGINS):
        trainer.step(surface)
        assert torch.equal(weights(trainer.readable.language), weights(trainer.field.language))
    for _ in range(EVERY):
        trainer.step(surface)
    assert not torch.equal(weights(trainer.readable.language), weights(trainer.field.language))


def test_it_is_the_mean_with_weights_that_fall_by_age(config):
    trainer, _ = spheres.learnt(config, 0)
    trained = trainer.field.language
    mean = LanguageMean(trained, trainer._makes_readable(trainer.field.scene_box)(), 10)
    expected = weights(trained).double()
    for step in range(200, 200 + 5 * EVERY):
        with torch.no_grad():
            for weight in trained.parameters():
                weight.add_(torch.rand_like(weight))
        mean.follow(step)
        if step % EVERY == 0:
            expected += (weights(trained) - expected) * EVERY / 10
    torch.testing.assert_close(weights(mean.field.language).double(), expected, rtol=0, atol=1e-4)


def test_what_is_read_moves_less_than_what_is_trained_and_lies_as_near(config):
    trainer, surface = spheres.learnt(config, 120)
    steps, moved_trained, moved_read = 3 * EVERY, 0.0, 0.0
    for _ in range(steps):
        before = said(trainer.field, surface), said(trainer.readable, surface)
        for _ in range(EVERY):
            trainer.step(surface)
        moved_trained += float((said(trainer.field, surface) - before[0]).norm(dim=1).mean())
        moved_read += float((said(trainer.readable, surface) - before[1]).norm(dim=1).mean())
    assert moved_read < 0.7 * moved_trained
    both = said(trainer.field, surface) * said(trainer.readable, surface)
    assert float(both.sum(dim=1).mean()) > 0.98


def test_without_a_mean_the_field_itself_is_read(config):
    trainer, _ = spheres.learnt(config.replace({'training.mean_steps': 0}), BEGINS + EVERY)
    assert trainer.readable is trainer.field


@pytest.mark.parametrize('steps_here', [50, 0], ids=['mean here', 'none here'])
def test_a_loaded_map_is_read_as_the_saved_one_and_learns_on(config, steps_here):
    trainer, surface = spheres.learnt(config, BEGINS + 5 * EVERY + 1)
    again = Trainer(
        config.replace({'training.mean_steps': steps_here}), embedding_size=spheres.EMBEDDING_SIZE
    )
    again.load_state_dict(trainer.state_dict())
    again.store.load_state(*trainer.store.state())
    assert torch.equal(said(again.readable, surface), said(trainer.readable, surface))
    was = weights(again.readable.language)
    for _ in range(EVERY):
        again.step(surface)
    assert not torch.equal(weights(again.readable.language), was)


def test_a_basis_that_grows_is_read_at_once(config):
    trainer, surface = spheres.learnt(config.replace({'field.language_basis': 4}), BEGINS + EVERY)
    assert not torch.equal(weights(trainer.readable.language), weights(trainer.field.language))
    ((keyframe, pyramid, _),) = spheres.keyframes(1)
    unlike = torch.nn.functional.normalize(torch.randn(spheres.EMBEDDING_SIZE), dim=0)
    levels = tuple(
        replace(level, embeddings=unlike.expand_as(level.embeddings).clone())
        for level in pyramid.levels
    )
    trainer.add_keyframe(
        replace(keyframe, id=KeyframeId('another', 0)), replace(pyramid, levels=levels)
    )
    assert torch.equal(said(trainer.readable, surface), said(trainer.field, surface))
