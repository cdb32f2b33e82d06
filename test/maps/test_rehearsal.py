"""Keyframes that lie beside the file of a sleeping submap."""

from __future__ import annotations

import pytest
import torch
from colour_encoder import ColourEncoder
from safetensors import safe_open
from safetensors.torch import load_file, save_file

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.config import LerfConfig
from lerf_ros.maps import rehearsal
from lerf_ros.maps.rehearsal import drop_rehearsal, keep_rehearsal, load_rehearsed
from lerf_ros.maps.submap import Submap
from lerf_ros.simulation import TabletopScene

CONFIG = LerfConfig.from_flat({'field.table_log2': 12, 'field.language_table_log2': 10})


@pytest.fixture(scope='module')
def live_map():
    live_map = Submap(CONFIG, ColourEncoder())
    with TabletopScene(seed=9052) as scene:
        for frame in scene.frames('orbit', 6.0, 1.0):
            live_map.ingest(frame)
    live_map.step()
    yield live_map
    live_map.close()


@pytest.fixture
def file(live_map, tmp_path):
    live_map.save(tmp_path / 'submap.lerf', 2)
    return tmp_path / 'submap.lerf'


def woken(file):
    submap = Submap(CONFIG, ColourEncoder())
    load_rehearsed(submap, file)
    return submap


def test_keyframes_come_back_to_the_bit_and_leave_the_disk(live_map, file):
    keep_rehearsal(file, live_map.trainer.store, 64)
    submap = woken(file)
    before, after = live_map.trainer.store, submap.trainer.store
    assert after.ids == before.ids
    assert len(after) > 2
    for id_ in before.ids:  # those that the file has as well: its pictures were compressed
        assert torch.equal(after.embeddings(id_), before.embeddings(id_))
        assert (after.keyframe(id_).frame.image == before.keyframe(id_).frame.image).all()
    assert submap.last_camera == live_map.last_camera
    assert [path.name for path in file.parent.iterdir()] == ['submap.lerf']
    submap.step()  # it goes on with all of them
    submap.close()


def test_no_more_lie_there_than_were_asked_for(live_map, file):
    keep_rehearsal(file, live_map.trainer.store, 3)
    submap = woken(file)
    assert len(submap.trainer.store) == 3
    submap.close()
    keep_rehearsal(file, live_map.trainer.store, 3)
    keep_rehearsal(file, live_map.trainer.store, 0)  # nothing of an earlier sleep stays
    submap = woken(file)
    assert len(submap.trainer.store) == 2
    submap.close()


def test_a_full_disk_and_a_damaged_file_leave_the_few(live_map, file, monkeypatch, caplog):
    def full(tensors, path, metadata):
        path.write_bytes(b'half')
        raise OSError('No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(rehearsal, 'save_file', full)
        keep_rehearsal(file, live_map.trainer.store, 64)
    assert 'will wake with few keyframes: No space left' in caplog.text
    assert [path.name for path in file.parent.iterdir()] == ['submap.lerf']
    keep_rehearsal(file, live_map.trainer.store, 64)
    place = file.with_suffix('.rehearsal')
    place.write_bytes(place.read_bytes()[:5000])
    submap = woken(file)
    assert 'wakes with few keyframes' in caplog.text
    assert len(submap.trainer.store) == 2
    submap.step()
    submap.close()
    drop_rehearsal(file)  # no complaint where nothing lies


def test_keyframes_that_do_not_fit_leave_the_few(live_map, file, caplog):
    other = Submap(CONFIG, ColourEncoder())
    with TabletopScene(seed=9052) as scene:
        (frame,) = scene.frames('orbit', 1.0, 1.0)
        other.ingest(frame)
    keep_rehearsal(file, other.trainer.store, 64)
    place = file.with_suffix('.rehearsal')
    held = {name: values[:-1] for name, values in load_file(place).items()}
    with safe_open(place, framework='pt') as opened:
        described = opened.metadata()
    save_file(held, place, described)
    submap = woken(file)
    assert 'wakes with few keyframes' in caplog.text
    assert len(submap.trainer.store) == 2
    assert not place.exists()
    for each in (submap, other):
        each.close()
