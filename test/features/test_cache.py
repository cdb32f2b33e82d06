"""Tests of the feature cache: bounded, forgiving, shared."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import torch

from lerf_ros.features.cache import FeatureCache, image_digest


def test_returns_what_was_stored_and_nothing_else(tmp_path):
    cache = FeatureCache(tmp_path, 10)
    features = torch.rand(3, 4, 5)
    cache.put('a', features)
    assert torch.equal(cache.get('a'), features)
    assert cache.get('b') is None


def test_a_cut_file_counts_as_absent_and_goes(tmp_path):
    cache = FeatureCache(tmp_path, 10)
    cache.put('a', torch.rand(100))
    path = next(tmp_path.glob('*.safetensors'))
    path.write_bytes(path.read_bytes()[:50])
    assert cache.get('a') is None
    assert not path.exists()


def test_the_folder_may_vanish_at_any_time(tmp_path):
    cache = FeatureCache(tmp_path / 'features', 10)
    cache.put('a', torch.rand(10))
    shutil.rmtree(tmp_path / 'features')
    assert cache.get('a') is None
    cache.put('a', torch.ones(2))
    assert torch.equal(cache.get('a'), torch.ones(2))


def test_a_folder_that_cannot_be_written_costs_nothing_but_a_warning(tmp_path, caplog):
    cache = FeatureCache(tmp_path / 'features', 10)
    shutil.rmtree(tmp_path / 'features')
    (tmp_path / 'features').write_text('no folder')
    cache.put('a', torch.ones(2))
    assert 'could not store' in caplog.text
    assert cache.get('a') is None


def test_the_bound_holds_and_the_least_used_goes_first(tmp_path):
    cache = FeatureCache(tmp_path, 1)
    for index in range(4):
        cache.put(str(index), torch.zeros(60_000))  # 240 kB each
    cache.get('0')
    cache.put('4', torch.zeros(60_000))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert total <= 1_000_000
    assert cache.get('1') is None
    assert cache.get('0') is not None


def test_leftovers_of_an_earlier_process_count(tmp_path):
    first = FeatureCache(tmp_path, 100)
    for index in range(6):
        first.put(str(index), torch.zeros(60_000))
    FeatureCache(tmp_path, 1)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1_000_000


def test_digest_depends_on_pixels_and_shape():
    image = np.zeros((4, 6, 3), np.uint8)
    other = image.copy()
    other[0, 0, 0] = 1
    digests = {image_digest(image), image_digest(other), image_digest(image.reshape(6, 4, 3))}
    assert len(digests) == 3


def _use(folder: Path, worker: int) -> None:
    cache = FeatureCache(folder, 1)
    for index in range(40):
        value = float(index % 7)
        cache.put(str(index % 7), torch.full((30_000,), value))
        found = cache.get(str((index + worker) % 7))
        if found is not None and (len(found) != 30_000 or found.unique().numel() != 1):
            raise SystemExit(1)


def test_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=_use, args=(tmp_path, worker)) for worker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
