"""Tests of lerf_ros.maps.compact: sleeping submaps are small, and wake as they were."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lerf_ros.maps.compact import compacted, restored


def test_what_is_small_is_the_same_when_it_is_woken():
    generator = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8)
    depth = generator.uniform(0.5, 3.0, (24 * 32, 1)).astype(np.float16)
    depth[5] = np.nan
    tensors = {
        'trainer/field.grid.table': torch.randn(9000, 2) * torch.linspace(0.001, 1, 9000)[:, None],
        'trainer/field.head.weight': torch.randn(40, 30),
        'trainer/optimizer.grid.table.first': torch.randn(1000, 2),
        'trainer/scene_box': torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64),
        'trainer/slots': torch.arange(5000, dtype=torch.int32),
        'surface/cameras_m': torch.randn(50, 3),
        'keyframes/camera:1.colour': torch.from_numpy(smooth).reshape(-1, 3),
        'keyframes/camera:1.depth': torch.from_numpy(depth),
    }
    small, notes = compacted(tensors, {'keyframes/camera:1': (24, 32)})
    notes = json.loads(json.dumps(notes))
    full = restored(small, notes)
    assert set(full) == set(tensors) - {'trainer/optimizer.grid.table.first'}
    for name, value in full.items():
        assert value.dtype == tensors[name].dtype, name
        assert value.shape == tensors[name].shape, name
    for name in ('trainer/scene_box', 'trainer/slots', 'surface/cameras_m'):
        assert torch.equal(full[name], tensors[name]), name
    assert small['trainer/slots'].nbytes < tensors['trainer/slots'].nbytes / 4
    assert torch.allclose(
        full['trainer/field.head.weight'], tensors['trainer/field.head.weight'], rtol=1e-3
    )
    table = 'trainer/field.grid.table'
    # Each block of entries has steps of its own.
    for block in (slice(0, 4096), slice(4096, 8192), slice(8192, 9000)):
        most = float(tensors[table][block].abs().max())
        assert float((full[table] - tensors[table])[block].abs().max()) <= 0.51 * most / 127
    assert small[table].nbytes <= tensors[table].nbytes / 4
    assert {'trainer/slots'} == set(restored({'trainer/slots': small['trainer/slots']}, notes))
    colour = full['keyframes/camera:1.colour'].float()
    assert (colour - tensors['keyframes/camera:1.colour'].float()).abs().mean() < 8
    back = full['keyframes/camera:1.depth'].float().numpy()
    assert np.isnan(back[5]).all()
    known = np.isfinite(depth)
    assert np.abs(back[known] - depth.astype(np.float32)[known]).max() < 0.002


def test_damage_is_told():
    tensors = {'trainer/slots': torch.arange(5000, dtype=torch.int32)}
    small, notes = compacted(tensors, {})
    small['trainer/slots'][20:40] = 0
    with pytest.raises(ValueError, match='trainer/slots: the map is damaged'):
        restored(small, notes)
