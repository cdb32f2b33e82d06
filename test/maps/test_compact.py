"""Tests of lerf_ros.maps.compact: sleeping submaps are small, and wake as they were."""

from __future__ import annotations

import numpy as np
import torch

from lerf_ros.maps.compact import compacted, restored, spread


def test_keyframes_are_kept_evenly_and_the_last_one_always():
    described = [{'order': number} for number in range(10)]
    assert spread(described, 10) == described
    assert [each['order'] for each in spread(described, 4)] == [0, 3, 6, 9]
    assert spread(described, 0) == []


def test_what_is_small_is_the_same_when_it_is_woken():
    generator = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8)
    depth = generator.uniform(0.5, 3.0, (24 * 32, 1)).astype(np.float16)
    depth[5] = np.nan
    tensors = {
        'trainer/field.grid.table': torch.randn(1000, 2),
        'trainer/optimizer.grid.table.first': torch.randn(1000, 2),
        'trainer/scene_box': torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64),
        'surface/positions': torch.randn(50, 3),
        'surface/views': torch.arange(50, dtype=torch.int32),
        'surface/keys': torch.arange(50) + 2**40,
        'keyframes/camera:1.colour': torch.from_numpy(smooth).reshape(-1, 3),
        'keyframes/camera:1.depth': torch.from_numpy(depth),
    }
    small, types = compacted(tensors, {'keyframes/camera:1': (24, 32)})
    full = restored(small, types)
    assert set(full) == set(tensors) - {'trainer/optimizer.grid.table.first'}
    for name, value in full.items():
        assert value.dtype == tensors[name].dtype, name
        assert value.shape == tensors[name].shape, name
    for name in ('trainer/scene_box', 'surface/positions', 'surface/views', 'surface/keys'):
        assert torch.equal(full[name], tensors[name]), name
    table = 'trainer/field.grid.table'
    assert torch.allclose(full[table], tensors[table], rtol=1e-3)
    assert small[table].nbytes == tensors[table].nbytes / 2
    colour = full['keyframes/camera:1.colour'].float()
    assert (colour - tensors['keyframes/camera:1.colour'].float()).abs().mean() < 8
    back = full['keyframes/camera:1.depth'].float().numpy()
    assert np.isnan(back[5]).all()
    known = np.isfinite(depth)
    assert np.abs(back[known] - depth.astype(np.float32)[known]).max() < 0.002
