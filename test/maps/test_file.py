"""Maps on disk."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
import spheres
import torch
from safetensors.torch import save_file

from lerf_ros.maps import file as map_file
from lerf_ros.maps.file import load_map, save_map
from lerf_ros.training.trainer import Trainer

EXTRA = {'surface': {'positions': torch.rand(5, 3), 'views': torch.arange(5)}}


@pytest.fixture
def trainer(config):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(3):
        trainer.add_keyframe(keyframe, pyramid)
    for _ in range(5):
        trainer.step()
    return trainer


def fresh(config):
    return Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)


def test_a_map_comes_back_and_trains_on(trainer, config, tmp_path):
    path = tmp_path / 'table.map'
    save_map(path, trainer, EXTRA, {'encoder': 'x', 'stamp_ns': 2**60})
    other = fresh(config)
    extra, metadata = load_map(path, other)
    assert metadata == {'encoder': 'x', 'stamp_ns': 2**60}
    assert torch.equal(extra['surface']['positions'], EXTRA['surface']['positions'])
    assert other.step_count == 5
    assert other.store.ids == trainer.store.ids
    frame = trainer.store.keyframe(trainer.store.ids[0]).frame
    first, second = (t.render(frame.camera, frame.camera_to_world) for t in (trainer, other))
    np.testing.assert_array_equal(first.image, second.image)
    assert not other.step().skipped


def test_saving_leaves_no_other_file(trainer, tmp_path):
    save_map(tmp_path / 'a.map', trainer, {}, {})
    save_map(tmp_path / 'a.map', trainer, {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ['a.map']


@pytest.mark.parametrize('stage', ['save_file', 'replace'])
def test_a_full_disk_leaves_the_old_file(trainer, tmp_path, monkeypatch, stage):
    path = tmp_path / 'a.map'
    path.write_bytes(b'old')

    def full(*_, **__):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(map_file if stage == 'save_file' else os, stage, full)
    with pytest.raises(OSError, match='No space left'):
        save_map(path, trainer, {}, {})
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['a.map']


def test_a_folder_that_is_not_there_is_named(trainer, tmp_path):
    with pytest.raises(OSError, match='nowhere'):
        save_map(tmp_path / 'nowhere' / 'a.map', trainer, {}, {})


def test_a_missing_file_is_named(config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.map'):
        load_map(tmp_path / 'gone.map', fresh(config))


@pytest.mark.parametrize('content', [b'', b'hello', b'\x00' * 4000, os.urandom(300)])
def test_files_that_are_no_maps_are_refused(config, tmp_path, content):
    path = tmp_path / 'a.map'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='damaged or no map'):
        load_map(path, fresh(config))


def test_foreign_safetensors_are_refused(config, tmp_path):
    path = tmp_path / 'a.map'
    save_file({'x': torch.zeros(3)}, path)
    with pytest.raises(ValueError, match='no map of lerf_ros'):
        load_map(path, fresh(config))


def test_a_map_cut_short_is_refused(trainer, config, tmp_path):
    path = tmp_path / 'a.map'
    save_map(path, trainer, {}, {})
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match='damaged'):
        load_map(path, fresh(config))


def test_another_version_is_refused(trainer, config, tmp_path, monkeypatch):
    path = tmp_path / 'a.map'
    with monkeypatch.context() as patch:
        patch.setattr(map_file, 'VERSION', 99)
        save_map(path, trainer, {}, {})
    with pytest.raises(ValueError, match='version 99'):
        load_map(path, fresh(config))


def test_a_field_of_other_sizes_is_named(trainer, config, tmp_path):
    path = tmp_path / 'a.map'
    save_map(path, trainer, {}, {})
    other = config.replace({'field.language_width': 64})
    with pytest.raises(ValueError, match=r'field\.language_width = 128, here it is 64'):
        load_map(path, fresh(other))
    with pytest.raises(ValueError, match='do not fit'):
        load_map(path, Trainer(config, embedding_size=99))


def test_weights_that_are_not_finite_are_refused(trainer, config, tmp_path):
    path = tmp_path / 'a.map'
    with torch.no_grad():
        trainer.field.radiance.grid.table[0] = float('nan')
    save_map(path, trainer, {}, {})
    with pytest.raises(ValueError, match='not finite'):
        load_map(path, fresh(config))


def test_the_header_is_plain_json(trainer, tmp_path):
    path = tmp_path / 'a.map'
    save_map(path, trainer, {}, {'encoder': 'x'})
    content = path.read_bytes()
    size = int.from_bytes(content[:8], 'little')
    header = json.loads(content[8 : 8 + size])
    assert header['__metadata__']['format'] == 'lerf_ros map'
    assert json.loads(header['__metadata__']['metadata']) == {'encoder': 'x'}
