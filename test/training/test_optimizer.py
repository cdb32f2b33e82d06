"""The optimiser of the field."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.config import FieldOptions, TrainingOptions
from lerf_ros.field.encoding.cpu import TableAdam
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.training.optimizer import FieldOptimizer


def test_touched_entries_move_as_with_adam_and_others_rest():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(1000, 2, generator=generator)
    ours, theirs = first.clone(), torch.nn.Parameter(first.clone())
    optimizer = TableAdam([ours], (0.9, 0.99), 1e-15)
    adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99), eps=1e-15)
    for _ in range(5):
        gradient = torch.randn(1000, 2, generator=generator)
        gradient[500:] = 0
        optimizer.sinks[0].add_(gradient)
        optimizer.step(0.01)
        theirs.grad = gradient
        adam.step()
        assert float(optimizer.sinks[0].abs().sum()) == 0
    torch.testing.assert_close(ours[:500], theirs.detach()[:500], atol=1e-6, rtol=1e-5)
    assert torch.equal(ours[500:], first[500:])


def make(**changes):
    options = FieldOptions(levels=3, table_log2=8, language_levels=2, language_table_log2=8)
    field = LerfField(options, SceneBox((0, 0, 0), 1.0), 8)
    return field, FieldOptimizer(field, TrainingOptions(**changes))


def test_learning_rates_halve_down_to_a_floor():
    _, optimizer = make(learning_rate_half_steps=100, learning_rate_floor=0.1)
    assert optimizer.decay(0) == 1
    assert optimizer.decay(100) == pytest.approx(0.5)
    assert optimizer.decay(10**6) == pytest.approx(0.1)


def test_discarded_gradients_move_nothing():
    field, optimizer = make()
    before = {name: value.clone() for name, value in field.state_dict().items()}
    field.density(torch.rand(50, 3)).sum().backward()
    optimizer.discard()
    field.density(torch.rand(1, 3)).mul(0).sum().backward()
    optimizer.step(0)
    after = field.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_gradients_that_are_not_finite_are_noticed():
    field, optimizer = make()
    assert not optimizer.backward(field.density(torch.rand(5, 3)).sum() * float('inf'))
    optimizer.discard()
    assert optimizer.backward(field.density(torch.rand(5, 3)).sum())


def test_half_precision_without_cuda_is_refused():
    with pytest.raises(ValueError, match='float16 needs CUDA'):
        make(precision='float16')
