"""Samples along rays."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.field.sampling import (
    RayBundle,
    guided_edges,
    proposal_edges,
    resample_edges,
    samples_at,
    spread_edges,
    weights_of,
)


def rays(count=4, depth=float('nan')):
    directions = torch.tensor([[0.3, 0.0, 1.0]]).expand(count, 3)
    return RayBundle(torch.zeros(count, 3), directions, torch.full((count,), depth))


@pytest.mark.parametrize('depth', [0.05, 0.5, 8.0])
@pytest.mark.parametrize('seed', [None, 3])
def test_guided_edges_rise_and_gather_around_the_depth(depth, seed):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    edges = guided_edges(torch.full((100,), depth), 0.1, 12, 6, 0.01, generator)
    assert edges.shape == (100, 19)
    assert (edges.diff(dim=-1) >= 0).all()
    assert (edges > 0).all()
    assert float(edges[:, -1].min()) > depth
    sigma = max(0.01 * depth, 0.004)
    near = ((edges - depth).abs() <= 3 * sigma + 1e-6).sum(dim=-1)
    assert int(near.min()) >= 6


def test_spread_edges_reach_from_near_to_far():
    edges = spread_edges(32, rays(), 0.1, torch.tensor(2.0), torch.tensor(60.0), None)
    assert edges.shape == (4, 33)
    assert (edges.diff(dim=-1) > 0).all()
    assert float(edges[0, 0]) == pytest.approx(0.1)
    assert float(edges[0, -1]) == pytest.approx(60.0)
    assert float(edges[0, 16]) == pytest.approx(2.0, rel=0.1)


def test_resampling_follows_the_weights():
    edges = torch.linspace(0, 10, 11)[None].expand(2, -1)
    weights = torch.zeros(2, 10)
    weights[0, 3], weights[1, 8] = 1.0, 1.0
    fresh = resample_edges(edges, weights, 20, None, padding=0.0)
    assert ((fresh[0] >= 3 - 1e-3) & (fresh[0] <= 4 + 1e-3)).all()
    assert ((fresh[1] >= 8 - 1e-3) & (fresh[1] <= 9 + 1e-3)).all()


def test_resampling_no_weight_covers_the_ray():
    edges = torch.linspace(1, 5, 9)[None]
    fresh = resample_edges(edges, torch.zeros(1, 8), 16, None)
    torch.testing.assert_close(fresh, torch.linspace(1, 5, 17)[None], atol=1e-3, rtol=0)


def test_weights_of_an_opaque_wall():
    density = torch.tensor([[0.0, 0.0, 1e6, 5.0]])
    lengths = torch.full((1, 4), 0.1)
    torch.testing.assert_close(weights_of(density, lengths), torch.tensor([[0.0, 0.0, 1.0, 0.0]]))


def test_weights_follow_the_law_of_beer_and_lambert():
    density, lengths = torch.full((1, 50), 2.0), torch.full((1, 50), 0.02)
    total = float(weights_of(density, lengths).sum())
    assert total == pytest.approx(1 - torch.exp(torch.tensor(-2.0)).item(), rel=1e-5)


def test_lengths_are_along_the_ray_and_edges_along_the_axis():
    samples = samples_at(rays(1), torch.tensor([[1.0, 2.0]]))
    assert float(samples.lengths_m) == pytest.approx((1 + 0.09) ** 0.5)
    torch.testing.assert_close(samples.positions_world, torch.tensor([[[0.45, 0.0, 1.5]]]))


def test_the_proposal_finds_a_wall():
    def wall(positions):
        return 200.0 * ((positions[..., 2] > 3.0) & (positions[..., 2] < 3.3))

    spread = spread_edges(64, rays(), 0.1, torch.tensor(6.0), torch.tensor(20.0), None)
    edges, weights = proposal_edges(rays(), wall, spread, 16, None)
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    assert float(((middle - 3.1).abs() < 0.3).float().mean()) > 0.8
    assert float(weights.sum(dim=-1).min()) > 0.99


@pytest.mark.usefixtures('unchecked')
def test_bundles_of_wrong_shape_are_refused():
    with pytest.raises(ValueError, match='rays: expected'):
        RayBundle(torch.zeros(3, 3), torch.zeros(2, 3), torch.zeros(3))
