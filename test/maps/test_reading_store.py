"""Readings of sleeping submaps that lie unpacked on disk."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from colour_encoder import ColourEncoder

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.config import LerfConfig
from lerf_ros.maps import reading_store
from lerf_ros.maps.extraction import Extraction
from lerf_ros.maps.reading import load_reading
from lerf_ros.maps.reading_store import ReadingStore
from lerf_ros.maps.submap import Submap
from lerf_ros.simulation import TabletopScene

CONFIG = LerfConfig.from_flat({'field.table_log2': 12, 'field.language_table_log2': 10})


@pytest.fixture(scope='module')
def extraction():
    return Extraction(CONFIG, ColourEncoder())


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Three submaps of one table, each a step further."""
    live_map, folder = Submap(CONFIG, ColourEncoder()), tmp_path_factory.mktemp('asleep')
    with TabletopScene(seed=9051) as scene:
        for frame in scene.frames('orbit', 2.0, 1.0):
            live_map.ingest(frame)
    found = []
    for name in range(3):
        live_map.step()
        live_map.save(folder / f'{name}.lerf', 2)
        found.append(folder / f'{name}.lerf')
    live_map.close()
    return found


@pytest.fixture
def unpackings(monkeypatch):
    """Names of the files that were unpacked."""
    names = []

    def counted(path, *arguments):
        names.append(path.stem)
        return load_reading(path, *arguments)

    monkeypatch.setattr(reading_store, 'load_reading', counted)
    return names


def store_of(extraction, **options):
    return ReadingStore(CONFIG.replace(options), extraction)


def asked(store, file):
    """The reading of a submap, which then has to leave memory."""
    reading = store.load(file, CONFIG)
    store.keep(file, reading)
    return reading


def unpacked(files):
    """Names of the submaps that lie unpacked."""
    return sorted(path.stem for path in files[0].parent.glob('*.unpacked'))


def same(first, second):
    ours, theirs = first.field.state_dict(), second.field.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert first.field.scene_box == second.field.scene_box
    for field in fields(first.points):
        here, there = (getattr(each.points, field.name) for each in (first, second))
        np.testing.assert_array_equal(here, there)
        assert np.asarray(here).dtype == np.asarray(there).dtype
    return (first.step, first.stamp_ns) == (second.step, second.stamp_ns)


def test_what_was_unpacked_is_read_back_as_it_was(extraction, files, unpackings):
    store = store_of(extraction)
    first, again = (asked(store, files[0]) for _ in range(2))
    assert same(first, again)
    assert len(first.points) > 100
    assert unpackings == ['0']
    positions = torch.rand(9, 3)
    torch.testing.assert_close(
        first.field.language_features(positions), again.field.language_features(positions)
    )
    store.clear()


def test_a_submap_that_has_changed_is_unpacked_anew(extraction, files, unpackings, tmp_path):
    store, file = store_of(extraction), tmp_path / 'submap.lerf'
    file.write_bytes(files[0].read_bytes())
    before = asked(store, file)
    file.write_bytes(files[1].read_bytes())
    store.forget(file)
    after = asked(store, file)
    assert (before.step, after.step) == (1, 2)
    assert same(after, asked(store, file))
    assert unpackings == ['submap', 'submap']
    # A reading in use outlives its file.
    tables = [each.field.language.hash_grids[0].table for each in (before, after)]
    assert not torch.equal(*tables)


def test_only_so_many_lie_there(extraction, files, unpackings):
    store = store_of(extraction, **{'atlas.unpacked_submaps': 2})
    for name in (0, 1, 0, 2, 0):
        asked(store, files[name])
    assert unpacked(files) == ['0', '2']
    asked(store, files[1])
    assert unpackings == ['0', '1', '2', '1']
    store.clear()
    assert unpacked(files) == []


def test_none_lie_there_where_none_are_wanted(extraction, files, unpackings):
    store = store_of(extraction, **{'atlas.unpacked_submaps': 0})
    assert same(*(asked(store, files[0]) for _ in range(2)))
    assert unpackings == ['0', '0']
    assert unpacked(files) == []


def test_a_full_disk_and_a_damaged_file_cost_time_alone(
    extraction, files, unpackings, monkeypatch, caplog
):
    store = store_of(extraction)
    first = asked(store, files[0])
    damaged = files[0].with_suffix('.unpacked')
    damaged.unlink()
    damaged.write_bytes(b'nothing')
    assert same(first, asked(store, files[0]))
    assert '0.lerf is unpacked anew' in caplog.text
    assert same(first, asked(store, files[0]))
    assert unpackings == ['0', '0']

    def full(tensors, path):
        path.write_bytes(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr(reading_store, 'save_file', full)
    assert same(*(asked(store, files[1]) for _ in range(2)))
    assert '1.lerf is not kept unpacked for questions: No space left' in caplog.text
    assert unpackings == ['0', '0', '1', '1']
    assert unpacked(files) == ['0']
    store.clear()
