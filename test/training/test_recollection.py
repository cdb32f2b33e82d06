"""What a map said, when it was loaded, of places that no keyframe shows any more."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import numpy as np
import pytest
import spheres
import torch
import torch.nn.functional as F

from lerf_ros.field.language import LanguageField
from lerf_ros.field.readable import ReadableField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.keyframes.point_targets import PointTargets
from lerf_ros.training.recollection import Recollection
from lerf_ros.training.trainer import Trainer

DENSE = 6
COUNT = 500


@pytest.fixture(scope='module')
def learnt(config):
    """A trainer that has learnt, and the surface of the same keyframes."""
    return spheres.learnt(config, 60)


def reloaded(config, learnt, keyframes: int | None) -> Trainer:
    """Returns a trainer that goes on with so many of the keyframes, or with all."""
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    trainer.load_state_dict(learnt[0].state_dict())
    described, arrays = learnt[0].store.state()
    trainer.store.load_state(described[:keyframes], arrays)
    return trainer


def language(config, seed: int) -> LanguageField:
    torch.manual_seed(seed)
    field = empty(config).language
    with torch.no_grad():
        for weight in field.parameters():
            weight.uniform_(-0.5, 0.5)
    return field


def empty(config) -> ReadableField:
    box = SceneBox((0.0, 0.0, 0.0), 1.0)
    return ReadableField.of(config.field, box, spheres.EMBEDDING_SIZE, DENSE)


def test_forgotten_are_those_that_no_keyframe_left_has_seen(config, learnt):
    surface = learnt[1]
    store = reloaded(config, learnt, 1).store
    recollection = Recollection(
        language(config, 1), partial(empty, config), config.features, store.device
    )
    assert recollection.follow(surface, store)
    (kept,) = (surface.keyframe_ids.index(id_) for id_ in store.ids)
    seen = (surface.points().seen_by == kept).any(axis=1)
    np.testing.assert_array_equal(recollection.forgotten.numpy(), ~seen)
    assert 0.1 < seen.mean() < 0.9


@pytest.mark.parametrize('dense', [False, True])
def test_forgotten_points_are_taught_what_the_field_said(config, learnt, dense):
    surface, points = learnt[1], learnt[1].points()
    store = reloaded(config, learnt, 1).store
    field = language(config, 1)
    recollection = Recollection(field, partial(empty, config), config.features, store.device)
    recollection.follow(surface, store)
    chosen = torch.arange(0, len(points), max(1, len(points) // COUNT))
    positions = torch.from_numpy(points.positions)[chosen]
    with torch.no_grad():
        for weight in field.parameters():
            weight.add_(1.0)  # it has learnt on since
    unit = F.normalize(torch.randn(len(chosen), spheres.EMBEDDING_SIZE), dim=-1)
    before = PointTargets(
        embedding=unit,
        scale_m=torch.full((len(chosen),), 0.05),
        valid=torch.zeros(len(chosen), dtype=torch.bool),
        dense=torch.zeros(len(chosen), DENSE) if dense else None,
        seen=torch.zeros(len(chosen), dtype=torch.bool),
    )
    after = recollection.completed(before, chosen, positions)
    gone = recollection.forgotten[chosen]
    said = language(config, 1)  # as it was loaded
    with torch.no_grad():
        features = said.features(positions[gone])
        wanted = F.normalize(said.head(features, after.scale_m[gone]), dim=-1)
    assert torch.allclose(after.embedding[gone], wanted, atol=1e-5)
    assert torch.equal(after.embedding[~gone], before.embedding[~gone])
    assert torch.equal(after.valid, gone)
    shares = config.features.tile_share_min, config.features.tile_share_max
    spans_m = torch.from_numpy(points.visible_height_m[chosen]) * torch.tensor(shares)
    inside = (after.scale_m >= spans_m[:, 0] * 0.999) & (after.scale_m <= spans_m[:, 1] * 1.001)
    assert inside[gone].all()
    assert (after.scale_m[~gone] == 0.05).all()
    if dense:
        assert torch.equal(after.seen, gone)
        assert torch.allclose(after.dense[gone], said.dense_head(features), atol=1e-5)
    else:
        assert after.dense is None


def test_a_map_that_learns_on_with_few_keyframes_remembers_the_rest(config, learnt):
    surface = learnt[1]
    drift = []
    for remembers in (True, False):
        trainer = reloaded(config, learnt, 1)
        if not remembers:
            trainer._supervision._recollection = None
        for _ in range(150):
            trainer.step(surface)
        seen_by = surface.points().seen_by
        kept = [surface.keyframe_ids.index(id_) for id_ in trainer.store.ids]
        gone = ~np.isin(seen_by, kept).any(axis=1)
        positions = torch.from_numpy(surface.points().positions[gone])
        scale_m = torch.full((len(positions),), 0.06)
        with torch.no_grad():
            now, then = (
                each.embed(each.language_features(positions), scale_m)
                for each in (trainer.field, learnt[0].field)
            )
        drift.append(float(1 - torch.cosine_similarity(now, then).mean()))
    assert drift[0] < 0.5 * drift[1]


def test_nothing_is_recalled_where_all_keyframes_are_left(config, learnt):
    trainer = reloaded(config, learnt, None)
    trainer.step(learnt[1])
    assert trainer._supervision._recollection is None


def test_nothing_holds_a_map_that_is_given_up(config, learnt):
    trainer = reloaded(config, learnt, 1)
    trainer.step(learnt[1])
    assert trainer._supervision._recollection is not None
    held = weakref.ref(trainer.field)
    gc.disable()  # submaps come and go faster than cycles are looked for
    try:
        del trainer
        assert held() is None
    finally:
        gc.enable()
