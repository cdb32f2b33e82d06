"""What a step sends between host and device, seen on a GPU that is not there.

On a GPU each read of a number waits until all work before it is done, and numbers from the host
take as long as a large operator: one read a step is known and allowed.
"""

from __future__ import annotations

import itertools

import pytest
import spheres
import torch
from fake_gpu import NAME, fake_gpu
from torch._subclasses.fake_tensor import DynamicOutputShapeException

from lerf_ros.features.dense import FeatureMap
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.keyframes.store import STAGE_CALLS
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training import memory
from lerf_ros.training.trainer import Trainer

DENSE_SIZE = 5
ONE_READ = {'_local_scalar_dense': 1}


@pytest.fixture(autouse=True)
def plenty_of_memory(monkeypatch):
    monkeypatch.setattr(memory, 'available_mb', lambda device: 1e6)


def make(config, depth=True, dense=True, sizes=((80, 60),)):
    """Returns a trainer on the device that is there, with keyframes, and their surface."""
    config = config.replace({'field.half_extent_m': 1.0})
    trainer = Trainer(
        config,
        embedding_size=spheres.EMBEDDING_SIZE,
        dense_size=DENSE_SIZE if dense else 0,
        device=NAME,
    )
    surface = SurfaceMap(config.query)
    cameras = [
        spheres.keyframes(8 if number == 0 else 3, *size, depth=depth)
        for number, size in enumerate(sizes)
    ]
    for number, (keyframe, pyramid, _) in enumerate(itertools.chain(*cameras)):
        frame = keyframe.frame
        keyframe = Keyframe(KeyframeId(spheres.SOURCE, number), frame)
        image_size = frame.camera.width, frame.camera.height
        features = FeatureMap(torch.rand(6, 8, DENSE_SIZE), *image_size) if dense else None
        trainer.add_keyframe(keyframe, pyramid, features)
        if depth:
            surface.integrate(
                keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
            )
    return trainer, surface


# How many rays of a step are said to have depth: none, some, all.
@pytest.mark.parametrize('with_depth', [0, 300, 512])
@pytest.mark.parametrize('decode', ['ray', 'sample'])
@pytest.mark.parametrize('backend', ['torch', 'auto'])
def test_a_step_reads_one_number_and_copies_nothing(
    config, monkeypatch, backend, decode, with_depth
):
    changes = {'language_decode': decode, 'colour_decode': decode, 'backend': backend}
    config = config.replace({f'field.{name}': value for name, value in changes.items()})
    with fake_gpu(monkeypatch, answer=with_depth) as traffic:
        trainer, _ = make(config)
        trainer.step()
        traffic.counts.clear()
        report = trainer.step()
        assert traffic.counts == ONE_READ
        assert report.total.device.type == NAME
        placed = {
            x.device.type for x in (*trainer.field.parameters(), *trainer.state_dict().values())
        }
        assert placed == {NAME, 'cpu'}  # the box and the number of steps are the host's


def test_a_step_that_learns_on_the_surface_reads_one_number_and_copies_nothing(
    config, monkeypatch
):
    with fake_gpu(monkeypatch, answer=512) as traffic:
        trainer, surface = make(config)
        trainer.step(surface)
        traffic.counts.clear()
        report = trainer.step(surface)
        assert traffic.counts == ONE_READ
        assert {'language', 'dense'} <= set(report.terms)


# Two sizes at once: a camera at two resolutions, or two robots.
@pytest.mark.parametrize('sizes', [((80, 60), (40, 30)), ((80, 60), (40, 30), (60, 60))])
@pytest.mark.parametrize('on_surface', [False, True])
def test_pictures_of_several_sizes_cost_no_wait_more(config, monkeypatch, sizes, on_surface):
    with fake_gpu(monkeypatch, answer=512) as traffic:
        trainer, surface = make(config, sizes=sizes)
        assert len(trainer.store._device.pools) == len(sizes)
        surface = surface if on_surface else None
        trainer.step(surface)
        traffic.counts.clear()
        report = trainer.step(surface)
        assert traffic.counts == ONE_READ
        assert {'language', 'dense'} <= set(report.terms)


def test_a_keyframe_that_comes_back_to_the_device_is_copied_there_and_nothing_is_read(
    config, monkeypatch
):
    """Keyframes beyond the device's budget take turns."""
    options = {'training.store_device_mb': 1, 'training.store_host_mb': 100}
    with fake_gpu(monkeypatch, answer=512) as traffic:
        trainer, _ = make(config.replace(options), dense=False, sizes=((160, 120),))
        store = trainer.store
        assert store.on_device == len(store) - 1
        for id_ in store.device_ids:  # each has been below before
            store._cold.put(id_, store._arrays(id_))
        trainer.step()
        for _ in range(2 * STAGE_CALLS - 3):  # up to the last but one before one comes back
            store.sample_rays(1, trainer._generator)
        traffic.counts.clear()
        before = store.device_ids
        trainer.step()
        assert traffic.counts == ONE_READ
        trainer.step()
        assert set(store.device_ids) != set(before)
        # The arrays of one keyframe, and the tables of all slots.
        assert 0 < traffic.counts.pop(f'cpu to {NAME}') < 20
        assert traffic.counts == {'_local_scalar_dense': 2}


def test_a_report_is_read_when_asked_for(config, monkeypatch):
    with fake_gpu(monkeypatch, answer=512) as traffic:
        trainer, _ = make(config, dense=False)
        report = trainer.step()
        traffic.counts.clear()
        assert report.loss == 512.0
        assert traffic.counts == ONE_READ


def test_pictures_without_depth_are_drawn_and_weighed_on_the_device(config, monkeypatch):
    with fake_gpu(monkeypatch) as traffic:
        trainer, _ = make(config, depth=False)
        trainer.step()
        traffic.counts.clear()
        trainer.step()
        assert traffic.counts == ONE_READ


def test_the_device_that_is_not_there_sees_what_passes(monkeypatch):
    """What this file relies on: reads, copies, strangers and foreign generators are seen."""
    with fake_gpu(monkeypatch, answer=3) as traffic:
        there = torch.ones(4, device=NAME)
        assert float(there.sum()) == 3.0
        with pytest.raises(DynamicOutputShapeException, match='nonzero'):
            there[there > 0]
        there + torch.tensor([1.0, 2.0, 3.0, 4.0], device=NAME)
        here = torch.zeros(4)
        assert traffic.counts == {
            '_local_scalar_dense': 1,
            'mask as index': 1,
            f'cpu to {NAME}': 1,
            'made on the host': 1,
        }
        with pytest.raises(RuntimeError, match='same device'):
            there + here
        with pytest.raises(RuntimeError, match='expected a generator of'):
            torch.rand(4, generator=torch.Generator(), device=NAME)
