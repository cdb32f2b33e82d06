"""The native network of one hidden layer against its twin in torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lerf_ros.field import network
from lerf_ros.field.network import OneHiddenLayer

# The density network, the proposal's, and sizes that fill no vector.
SIZES = [(24, 64, 16), (10, 16, 1), (7, 13, 5), (32, 64, 16)]


def relative(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


def run(module, forward, x, grad):
    module.zero_grad()
    x = x.clone().requires_grad_()
    out = forward(x)
    out.backward(grad)
    return [out.detach(), x.grad, *(p.grad.clone() for p in module.parameters())]


def case(sizes, count):
    torch.manual_seed(0)
    module = OneHiddenLayer(*sizes)
    return module, torch.randn(count, sizes[0]), torch.randn(count, sizes[2])


@pytest.fixture(autouse=True)
def native():
    if not network.native_is_fast():
        pytest.skip('no native library, or a processor without AVX2')


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('count', [1, 63, 64, 1500])
def test_outputs_and_gradients_equal_the_twins(sizes, count):
    module, x, grad = case(sizes, count)
    fast = run(module, module, x, grad)
    twin = run(module, lambda x: nn.Sequential.forward(module, x), x, grad)
    for a, b in zip(fast, twin, strict=True):
        assert a.shape == b.shape
        assert relative(a, b) < 1e-5


def test_threads_do_not_change_the_result():
    module, x, grad = case((24, 64, 16), 5000)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(run(module, module, x, grad))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_rows_that_are_not_contiguous_are_read_right():
    module, x, grad = case((24, 64, 16), 100)
    wide = torch.zeros(100, 48)
    wide[:, ::2] = x
    assert torch.equal(module(wide[:, ::2]), module(x))
    grads = [run(module, module, x, g) for g in (grad, grad.T.contiguous().T)]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_no_rows_give_no_outputs():
    module, x, grad = case((24, 64, 16), 0)
    out, grad_x, *weights = run(module, module, x, grad)
    assert out.shape == (0, 16)
    assert grad_x.shape == (0, 24)
    assert all(float(weight.abs().sum()) == 0 for weight in weights)


def test_what_is_not_a_number_stays_so():
    """A step with NaN must be seen and skipped, not hidden."""
    module, x, grad = case((24, 64, 16), 100)
    grad[3, 2] = float('nan')
    results = run(module, module, x, grad)
    assert all(bool(torch.isnan(part).any()) for part in results[2:])
    x[3, 2] = float('nan')
    assert bool(torch.isnan(module(x)[3]).all())
    assert bool(torch.isfinite(module(x)[4]).all())


def test_other_precisions_and_missing_libraries_take_the_twin(monkeypatch):
    module, x, _ = case((24, 64, 16), 10)
    with torch.autocast('cpu', torch.bfloat16):
        assert module(x).dtype == torch.bfloat16
    expected = module(x)
    monkeypatch.setattr(network, 'native_is_fast', lambda: False)
    torch.testing.assert_close(module(x), expected)
    assert module.double()(x.double()).dtype == torch.float64


def test_its_weights_are_named_as_those_of_a_sequence():
    assert list(OneHiddenLayer(4, 8, 2).state_dict()) == [
        '0.weight',
        '0.bias',
        '2.weight',
        '2.bias',
    ]
