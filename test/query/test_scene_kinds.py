"""Tests of what a scene looks like."""

from __future__ import annotations

import numpy as np
import torch
from bare_surface import bare_surface
from kinds_encoder import Kinds
from scenery import WordEncoder

from lerf_ros.query.scene_kinds import SAMPLE_POINTS, SceneKinds, SceneLook


def test_common_kinds_are_those_that_embeddings_are_closest_to():
    seen = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.0, 0.3], [0.0, 0.1, 0.9]])
    assert SceneKinds.of(seen, torch.eye(3)).common.tolist() == [0, 2]
    assert SceneKinds.of(seen, torch.eye(3), limit=1).common.tolist() == [0]
    assert torch.equal(SceneKinds.of(seen, torch.eye(3)).seen, seen)


def test_a_scene_is_looked_at_once_for_each_surface():
    looks = []

    def read(points):
        looks.append(len(points))
        return torch.eye(8)[:1].expand(len(points), 2, 8)

    surface, trained = bare_surface(np.zeros((5000, 3))), torch.ones(5000, 2, dtype=torch.bool)
    encoder = Kinds()
    encoder.kinds = torch.eye(8)
    look = SceneLook(encoder)
    assert look.of(surface, trained, read).common.tolist() == [0]
    assert look.of(surface, trained, read).common.tolist() == [0]
    assert looks == [SAMPLE_POINTS]
    look.of(bare_surface(np.zeros((3, 3))), trained[:3], read)
    assert looks == [SAMPLE_POINTS, 3]
    assert SceneLook(WordEncoder()).of(surface, trained, read) is None
