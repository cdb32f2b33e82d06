"""The basis of embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lerf_ros.field.basis import BasisLinear


def embeddings(directions, count=300, size=64, seed=0, noise=0.02):
    generator = torch.Generator().manual_seed(seed)
    span = torch.randn(directions, size, generator=generator)
    mixed = torch.randn(count, directions, generator=generator) @ F.normalize(span, dim=-1)
    stray = torch.randn(count, size, generator=generator) * noise / size**0.5
    return F.normalize(F.normalize(mixed, dim=-1) + stray, dim=-1)


def test_it_is_orthonormal_and_keeps_cosines_within_the_bound():
    layer, data = BasisLinear(8, 64, 16), embeddings(6)
    assert layer.extend(data, 0.1)
    used = int(layer.used)
    assert 6 <= used <= 16
    basis = layer.basis[:, :used]
    torch.testing.assert_close(basis.T @ basis, torch.eye(used), atol=1e-5, rtol=0)
    residuals = layer.residuals(data)
    assert float(residuals.max()) <= 0.1 + 1e-5
    coefficients = data @ layer.basis
    change = (data @ data.T - coefficients @ coefficients.T).abs()
    assert (change <= residuals[:, None] * residuals[None] + 1e-5).all()


def test_what_fits_already_changes_nothing():
    layer, data = BasisLinear(8, 64, 16), embeddings(6)
    layer.extend(data, 0.1)
    before = layer.basis.clone()
    assert not layer.extend(data[:50], 0.1)
    assert torch.equal(layer.basis, before)


def test_new_directions_leave_every_answer_as_it_was():
    layer = BasisLinear(8, 64, 32)
    layer.extend(embeddings(5), 0.1)
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    before = layer(x).detach()
    fresh = embeddings(5, seed=9)
    assert layer.extend(fresh, 0.1)
    torch.testing.assert_close(layer(x).detach(), before, atol=1e-5, rtol=1e-4)
    assert float(layer.residuals(fresh).max()) <= 0.1 + 1e-5


def test_a_full_basis_is_refitted_to_old_and_new():
    layer = BasisLinear(8, 64, 10)
    layer.extend(embeddings(8), 0.1)
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    before = layer(x).detach()
    fresh = embeddings(6, seed=9)
    unfit = layer.residuals(fresh).mean()
    assert layer.extend(fresh, 0.1)
    assert int(layer.used) == 10
    assert layer.residuals(fresh).mean() < 0.75 * unfit
    assert F.cosine_similarity(layer(x).detach(), before, dim=-1).mean() > 0.5


def test_it_reads_like_a_linear_layer():
    layer = BasisLinear(8, 64, 16)
    layer.extend(embeddings(6), 0.1)
    x = torch.randn(5, 8)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


def test_one_rare_embedding_is_enough_for_a_direction():
    layer, data = BasisLinear(8, 64, 16), embeddings(3)
    rare = embeddings(1, count=1, seed=5, noise=0.0)
    layer.extend(torch.cat([data, rare]), 0.1)
    assert float(layer.residuals(rare)) <= 0.1 + 1e-5
