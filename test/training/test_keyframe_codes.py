"""What is learnt for single keyframes."""

from __future__ import annotations

import numpy as np
import pytest
import spheres
import torch

from lerf_ros.training.trainer import Trainer


def make_trainer(config, change, count=10):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(count):
        change(keyframe)
        trainer.add_keyframe(keyframe, pyramid)
    return trainer


def darken_every_second(keyframe):
    if keyframe.id.index % 2:
        keyframe.frame.image[:] = keyframe.frame.image // 2


def test_exposure_is_explained_by_the_keyframe_not_the_field(config):
    losses = []
    for size in (0, 4):
        trainer = make_trainer(
            config.replace({'field.appearance_size': size}), darken_every_second
        )
        reports = [trainer.step() for _ in range(80)]
        losses.append(np.mean([report.losses['colour'] for report in reports[-10:]]))
    assert losses[1] < 0.5 * losses[0]


def test_poses_that_are_off_are_moved_back_and_the_first_stays(config):
    def shift(keyframe):
        if keyframe.id.index == 4:
            keyframe.frame.camera_to_world[:3, 3] += [0.02, 0.0, 0.0]

    trainer = make_trainer(config.replace({'training.pose_learning_rate': 5e-4}), shift)
    for _ in range(120):
        trainer.step()
    motion = trainer._codes.motion.detach()[:10]
    applied = motion * (torch.arange(10) > 0)[:, None]
    assert float(applied[0].abs().max()) == 0
    others = [i for i in range(1, 10) if i != 4]
    assert float(applied[4, 3] - applied[others, 3].mean()) < -0.003


def test_codes_are_saved_and_loaded(config):
    options = config.replace({'field.appearance_size': 3, 'training.pose_learning_rate': 1e-3})
    trainer = make_trainer(options, darken_every_second, 3)
    for _ in range(3):
        trainer.step()
    state = trainer.state_dict()
    other = make_trainer(options, darken_every_second, 3)
    other.load_state_dict(state)
    assert torch.equal(other._codes.appearance, trainer._codes.appearance)
    plain = make_trainer(config.replace({'field.appearance_size': 3}), darken_every_second, 3)
    with pytest.raises(ValueError, match='single keyframes'):
        plain.load_state_dict({k: v for k, v in state.items() if not k.startswith('codes.')})
