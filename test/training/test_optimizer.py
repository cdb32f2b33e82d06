"""The optimiser of the field."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lerf_ros.config import FieldOptions, TrainingOptions
from lerf_ros.field.encoding import cpu, twin
from lerf_ros.field.encoding.cpu import TableAdam
from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.model import LerfField
from lerf_ros.field.network import native_is_fast
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.training.native_adam import native_adam_step, suits_native_adam
from lerf_ros.training.optimizer import FieldOptimizer

LAYOUT = GridLayout(levels=4, features=2, min_resolution=4, max_resolution=64, table_log2=10)


@pytest.mark.parametrize('features', [1, 2, 4, 8])
def test_touched_entries_move_as_with_adam_and_others_rest(features):
    layout = replace(LAYOUT, features=features)
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(layout.entries, features, generator=generator)
    ours, theirs = (torch.nn.Parameter(first.clone()) for _ in range(2))
    optimizer = TableAdam([(ours, layout)], (0.9, 0.99), 1e-15)
    adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99), eps=1e-15)
    # All steps look at the same places, so that the entries that dense Adam moves are the same.
    positions = [torch.rand(count, 3, generator=generator) * 0.5 for count in (30, 20)]
    for _ in range(5):
        for where in positions:  # two batches in one step
            grad = torch.randn(len(where), layout.width, generator=generator)
            cpu.encode(where, ours, layout, optimizer.sinks[0]).backward(grad)
            twin.encode(where, theirs, layout).backward(grad)
        assert ours.grad is None
        optimizer.step(0.01)
        assert optimizer.sinks == [[]]
        adam.step()
        touched = (theirs.grad != 0).any(dim=-1)
        adam.zero_grad()
    assert 0 < int(touched.sum()) < layout.entries
    torch.testing.assert_close(ours[touched], theirs[touched], atol=1e-4, rtol=1e-4)
    assert torch.equal(ours[~touched], first[~touched])


def test_threads_do_not_change_what_is_learnt():
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            generator = torch.Generator().manual_seed(0)
            table = torch.nn.Parameter(torch.randn(LAYOUT.entries, 2, generator=generator))
            optimizer = TableAdam([(table, LAYOUT)])
            for _ in range(3):
                where = torch.rand(3000, 3, generator=generator)
                cpu.encode(where, table, LAYOUT, optimizer.sinks[0]).square().sum().backward()
                optimizer.step(0.01)
            results.append(table.detach())
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results[1:])


def make(backend='auto', **changes):
    options = FieldOptions(
        levels=3, table_log2=8, language_levels=2, language_table_log2=8, backend=backend
    )
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
    optimizer.step(0, torch.tensor(True))
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


def half_precision(backend='auto'):
    """A field and optimiser whose gradients are scaled, as under float16; CUDA is not needed."""
    field, optimizer = make(backend)
    optimizer._scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
    return field, optimizer


def test_out_of_memory_in_a_scaled_backward_pass_leaves_nothing_behind():
    class OutOfMemory(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            raise torch.OutOfMemoryError('no memory')

    field, optimizer = half_precision()
    before = {name: value.clone() for name, value in field.state_dict().items()}
    positions = torch.rand(50, 3)
    density = OutOfMemory.apply(field.density(positions)).sum()
    # What was made last goes backward first: this half is done when memory runs out.
    colour = field.radiance.colour(torch.rand(50, 15), torch.rand(50, 3)).sum()
    with pytest.raises(torch.OutOfMemoryError):
        optimizer.backward(density + colour)
    assert any(p.grad is not None for p in field.parameters())
    optimizer.discard()
    assert all(p.grad is None for p in field.parameters())
    # The same step again, with enough memory; the scale is what it was.
    assert optimizer._scaler.get_scale() == 1024.0
    finite = optimizer.backward(field.density(positions).sum() * 0)
    assert finite
    optimizer.step(0, finite)
    after = field.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_an_overflow_lowers_the_scale_of_the_next_loss():
    field, optimizer = half_precision()
    assert not optimizer.backward(field.density(torch.rand(5, 3)).sum() * float('inf'))
    optimizer.discard()
    assert optimizer._scaler.get_scale() == 512.0
    finite = optimizer.backward(field.density(torch.rand(5, 3)).sum())
    assert finite
    optimizer.step(0, finite)
    assert optimizer._scaler.get_scale() == 512.0


def test_networks_move_in_cpp_as_with_torch():
    if not native_is_fast():
        pytest.skip('no native networks here')
    results = []
    for step in (native_adam_step, torch.optim.Adam.step):
        generator = torch.Generator().manual_seed(0)
        weights = [torch.randn(size, generator=generator).requires_grad_() for size in (7, 300)]
        left = torch.ones(3, requires_grad=True)
        adam = torch.optim.Adam([*weights, left], lr=0.01, betas=(0.9, 0.99), eps=1e-15)
        assert suits_native_adam(adam)
        for _ in range(20):
            for weight in weights:
                weight.grad = torch.randn(weight.shape, generator=generator)
            step(adam)
        assert torch.equal(left, torch.ones(3))
        assert left not in adam.state
        moments = [adam.state[weight] for weight in weights]
        results.append([(w.detach(), m) for w, m in zip(weights, moments, strict=True)])
    for (ours, own), (theirs, their) in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
        assert own.keys() == their.keys()
        for name, value in own.items():
            torch.testing.assert_close(value, their[name], atol=1e-6, rtol=1e-5)


def test_only_float32_is_moved_in_cpp():
    half = torch.ones(3, dtype=torch.float16, requires_grad=True)
    assert not suits_native_adam(torch.optim.Adam([torch.ones(3), half]))


def everything(field, optimizer):
    state = {**field.state_dict(), **{f'm.{k}': v for k, v in optimizer.state_dict().items()}}
    return {name: value.clone() for name, value in state.items()}


# 'torch' keeps tables where a GPU would: nothing but the fused kernel's `found_inf` holds them.
@pytest.mark.parametrize('backend', ['native', 'torch'])
@pytest.mark.parametrize('scaled', [False, True])
@pytest.mark.parametrize('where', ['loss', 'gradients'])
def test_a_step_that_is_not_finite_moves_neither_weights_nor_moments(backend, scaled, where):
    field, optimizer = half_precision(backend) if scaled else make(backend)
    positions = torch.rand(50, 3)

    def loss():
        return field.density(positions).sum() + field.language_features(positions).sum()

    optimizer.step(0, optimizer.backward(loss()))
    before = everything(field, optimizer)
    if where == 'loss':
        bad = loss() + torch.tensor(float('nan'))  # its gradients are finite
    else:
        first = field.radiance.geometry_net[0].weight
        bad = loss() + first.sum() * 0 + (first - first.detach()).sqrt().sum()
    finite = optimizer.backward(bad)
    assert not finite
    optimizer.step(1, finite)
    after = everything(field, optimizer)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(parameter.grad is None for parameter in field.parameters())
    finite = optimizer.backward(loss())
    assert finite
    optimizer.step(2, finite)
    after = everything(field, optimizer)
    moved = {name for name in before if not torch.equal(after[name], before[name])}
    assert {'radiance.grid.table', 'radiance.geometry_net.0.weight'} <= moved


def test_a_table_that_overflows_alone_is_noticed_where_gradients_are_scaled():
    """In half precision a gradient may overflow behind the networks."""
    field, optimizer = half_precision('torch')
    before = everything(field, optimizer)
    table = field.radiance.grid.table
    finite = optimizer.backward(field.density(torch.rand(5, 3)).sum() + (table * 3e38).sum() * 10)
    assert not finite
    optimizer.step(0, finite)
    after = everything(field, optimizer)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert optimizer._scaler.get_scale() == 512.0
