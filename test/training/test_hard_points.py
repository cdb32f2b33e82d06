"""Points are drawn by their error, and errors outlive the growth of the surface."""

from __future__ import annotations

import numpy as np
import torch

from lerf_ros.training.hard_points import HardPoints


def hard_points(count=1000):
    hard = HardPoints()
    hard.follow(np.arange(count) * 7)
    return hard


def generator():
    return torch.Generator().manual_seed(0)


def test_bad_points_come_more_often_and_good_ones_still_come():
    hard = hard_points()
    for _ in range(20):
        errors = torch.where(torch.arange(1000) < 100, 0.5, 0.01)
        hard.report(torch.arange(1000), errors)
    source = generator()
    drawn = torch.cat([hard.draw(200, source) for _ in range(50)])
    bad = float((drawn < 100).float().mean())
    assert 0.3 < bad < 0.7
    assert len(drawn.unique()) > 900


def test_what_was_never_looked_at_comes_first():
    hard = hard_points()
    for _ in range(20):
        hard.report(torch.arange(900), torch.full((900,), 0.001))
    drawn = hard.draw(200, generator())
    assert float((drawn >= 900).float().mean()) > 0.3


def test_errors_follow_their_voxels():
    hard = hard_points(5)
    for _ in range(30):
        hard.report(torch.arange(5), torch.arange(5) / 10)
    hard.follow(np.array([28, 3, 0, 14]))
    torch.testing.assert_close(hard.errors, torch.tensor([0.4, 1.0, 0.0, 0.2]), atol=1e-3, rtol=0)


def test_few_points_are_drawn_again():
    hard = hard_points(2)
    assert sorted(hard.draw(64, generator()).unique().tolist()) == [0, 1]
