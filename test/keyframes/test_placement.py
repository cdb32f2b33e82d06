"""Which memory keyframes lie in, and how much of it, on a GPU that is not there."""

from __future__ import annotations

import numpy as np
import pytest
import spheres
import torch
from fake_gpu import NAME, fake_gpu

from lerf_ros.config import TrainingOptions
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.keyframes import cold_storage
from lerf_ros.keyframes.store import KeyframeStore

MB = 2**20
SIZES = ((160, 120), (80, 60))


def size_of(tensors):
    return sum(values.numel() * values.element_size() for values in tensors)


def on_the_device(store):
    return [values for pool in store._device.pools for values in pool._data.values()]


def in_host_memory(store):
    return [values for arrays in store._cold._host.values() for values in arrays.values()]


@pytest.fixture
def written(monkeypatch):
    """Files that would have been written: what they would hold is not there to be written."""
    files = {}
    monkeypatch.setattr(cold_storage, '_write', files.__setitem__)
    monkeypatch.setattr(cold_storage, '_read', lambda path: files[path].clone())
    return files


@pytest.mark.parametrize(('device_mb', 'host_mb'), [(1, 1), (2, 0), (1, 100), (100, 1)])
def test_each_memory_holds_its_budget_and_the_rest_goes_further(
    monkeypatch, written, device_mb, host_mb
):
    options = TrainingOptions(store_device_mb=device_mb, store_host_mb=host_mb)
    frames = {size: list(spheres.keyframes(4, *size)) for size in SIZES}
    with fake_gpu(monkeypatch):
        store = KeyframeStore(options, spheres.EMBEDDING_SIZE, device=NAME)
        for number in range(24):
            keyframe, pyramid, _ = frames[SIZES[number % 2]][number % 4]
            store.add(Keyframe(KeyframeId('camera', number), keyframe.frame), pyramid)
            if number % 8 == 7:
                store.sample_rays(64, torch.Generator(NAME))
            assert size_of(on_the_device(store)) <= device_mb * MB
            assert size_of(in_host_memory(store)) <= host_mb * MB
        assert {values.device.type for values in on_the_device(store)} == {NAME}
        assert {values.device.type for values in in_host_memory(store)} <= {'cpu'}
        assert {values.device.type for values in written.values()} <= {'cpu'}
        assert store.device_bytes == size_of(on_the_device(store))
        whole = sum(size_of(store._arrays(id_).values()) for id_ in store.ids)
        # A keyframe that came back to the device keeps its place below.
        held = size_of(on_the_device(store)) + size_of(in_host_memory(store))
        assert held + size_of(written.values()) >= whole
        assert (store.on_device == 24) == (device_mb == 100)
        assert bool(written) == (whole > (device_mb + host_mb) * MB)
        if not written and store.on_device < 24:
            assert size_of(in_host_memory(store)) > 0
    store.close()


def test_poses_and_replay_lie_where_rays_are_drawn(monkeypatch):
    with fake_gpu(monkeypatch):
        store = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE, device=NAME)
        for keyframe, pyramid, _ in spheres.keyframes(3):
            store.add(keyframe, pyramid)
        batch = store.sample_rays(64, torch.Generator(NAME))
        tables = [
            value for value in vars(store._tables).values() if isinstance(value, torch.Tensor)
        ]
        tables += vars(store._tables.tiles).values()
        tables += [store._replay.errors, batch.rgb, batch.embedding, batch.rays.origins_world]
        assert {value.device.type for value in tables} == {NAME}
        pose = store.pose(KeyframeId('camera', 0))
        assert isinstance(pose, np.ndarray)
