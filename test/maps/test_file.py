"""Maps on disk."""

from __future__ import annotations

import dataclasses
import errno
import json
import os

import numpy as np
import pytest
import spheres
import torch
from safetensors.torch import save_file

from lerf_ros.config import FieldOptions
from lerf_ros.maps import file as map_file
from lerf_ros.maps.file import load_map, save_map
from lerf_ros.training.trainer import Trainer

EXTRA = {'surface': {'positions': torch.rand(5, 3), 'views': torch.arange(5)}}


def learnt(config) -> Trainer:
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(3):
        trainer.add_keyframe(keyframe, pyramid)
    for _ in range(5):
        trainer.step()
    return trainer


@pytest.fixture(scope='module')
def trainer(config):
    """What is saved again and again; to be looked at only."""
    return learnt(config)


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


def train_on(trainer, steps=5):
    """Trains with fresh randomness; returns the weights."""
    trainer._generator.manual_seed(3)
    for _ in range(steps):
        assert not trainer.step().skipped
    return trainer.field.state_dict()


@pytest.mark.parametrize('backend', ['auto', 'torch'])
def test_training_goes_on_as_if_the_map_had_never_been_saved(config, tmp_path, backend):
    options = config.replace({'field.backend': backend})
    trainer = Trainer(options, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(3):
        trainer.add_keyframe(keyframe, pyramid)
    for _ in range(5):
        trainer.step()
    save_map(tmp_path / 'a.map', trainer, {}, {})
    other = fresh(options)
    load_map(tmp_path / 'a.map', other)
    # What replay knows of the keyframes' errors is not kept.
    trainer.store._replay.errors[:] = float('nan')
    expected, found = train_on(trainer), train_on(other)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_a_map_of_one_backend_trains_on_with_another(trainer, config, tmp_path):
    save_map(tmp_path / 'a.map', trainer, {}, {})
    other = fresh(config.replace({'field.backend': 'torch'}))
    load_map(tmp_path / 'a.map', other)
    mine, theirs = (t._optimizer.state_dict() for t in (trainer, other))
    assert set(mine) == set(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert not other.step().skipped


OTHER_VALUES = {'backend': 'torch', 'language_decode': 'sample', 'colour_decode': 'sample'}


@pytest.mark.parametrize('name', sorted(map_file.FREE_OPTIONS))
def test_options_that_change_no_weight_may_differ(trainer, config, tmp_path, name):
    save_map(tmp_path / 'a.map', trainer, {}, {})
    value = OTHER_VALUES.get(name)
    if value is None:
        now = getattr(config.field, name)
        value = now + 1 if isinstance(now, int) else now + 0.1
    other = fresh(config.replace({f'field.{name}': value}))
    load_map(tmp_path / 'a.map', other)
    mine, theirs = trainer.field.state_dict(), other.field.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert other.field.scene_box == trainer.field.scene_box
    assert not other.step().skipped


@pytest.mark.parametrize(
    'name',
    sorted({field.name for field in dataclasses.fields(FieldOptions)} - map_file.FREE_OPTIONS),
)
def test_options_that_shape_the_field_may_not(trainer, config, tmp_path, name):
    save_map(tmp_path / 'a.map', trainer, {}, {})
    now = getattr(config.field, name)
    value = now // 2 if name.endswith('_per_level') else 2 * now or 32
    if name.endswith(('min_resolution', 'table_log2')):
        value = now + 1
    with pytest.raises(ValueError, match=rf'field\.{name} = {now}, here it is {value}'):
        load_map(tmp_path / 'a.map', fresh(config.replace({f'field.{name}': value})))


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
    with pytest.raises(ValueError, match=r'field\.language_width = 256, here it is 64'):
        load_map(path, fresh(other))
    with pytest.raises(ValueError, match='do not fit'):
        load_map(path, Trainer(config, embedding_size=99))


def test_weights_that_are_not_finite_are_refused(config, tmp_path):
    trainer = learnt(config)
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
