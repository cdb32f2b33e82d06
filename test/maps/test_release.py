"""Memory of submaps that are gone goes back to the system."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import pytest

from lerf_ros.config import LerfConfig
from lerf_ros.maps.submap import Submap
from lerf_ros.query.request import QueryRequest
from lerf_ros.simulation import TabletopScene

CODE = """
import gc
import numpy as np
from lerf_ros.maps import release

def rss_mb():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096 / 2**20

# Pieces below the size from which the C library asks the system for each, with some that stay.
pieces = [np.ones(8000) for _ in range(4000)]
kept = pieces[::97]
full = rss_mb()
del pieces
gc.collect()
release.release_memory()
print(full - rss_mb(), release._trim() is not None)
"""

LARGE = """
import gc
import sys
import numpy as np
from lerf_ros.maps import release

def rss_mb():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096 / 2**20

if sys.argv[1] == 'apart':
    release.keep_large_blocks_apart()
for _ in range(2):  # a large block that was freed makes the C library cut the next from its heap
    np.ones(3_000_000)
kept, blocks = [], []
for _ in range(20):
    blocks.append(np.ones(1_500_000))
    kept.append(np.ones(8000))
full = rss_mb()
del blocks
gc.collect()
print(full - rss_mb(), release._trim() is not None)
"""


def test_what_is_free_goes_back():
    output = subprocess.run(
        [sys.executable, '-c', CODE], check=True, capture_output=True, text=True
    ).stdout
    freed_mb, trims = output.split()
    # Elsewhere than on glibc it does nothing.
    assert trims == 'False' or float(freed_mb) > 150


def freed_of_large_blocks(*arguments, **environment):
    own = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
    output = subprocess.run(
        [sys.executable, '-c', LARGE, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=own | environment,
    ).stdout
    freed_mb, of_glibc = output.split()
    if of_glibc == 'False':
        pytest.skip('another C library than glibc')
    return float(freed_mb)


def test_large_blocks_go_back_at_once_even_between_others():
    assert freed_of_large_blocks('as it is') < 120
    assert freed_of_large_blocks('apart') > 200


def test_what_the_environment_says_of_large_blocks_stays():
    assert freed_of_large_blocks('apart', MALLOC_MMAP_THRESHOLD_=str(30 * 2**20)) < 120


def test_a_map_that_is_dropped_goes_at_once():
    config = LerfConfig.from_flat({'field.table_log2': 12, 'field.language_table_log2': 10})
    live_map = Submap(config)
    with TabletopScene(seed=9051) as scene:
        for frame in scene.frames('orbit', 2.0, 1.0):
            live_map.ingest(frame)
    for _ in range(3):
        live_map.step()
    live_map.query(QueryRequest(('red mug; handle',)))
    parts = live_map.trainer.store, live_map.trainer.field, live_map.surface_map
    gone = [weakref.ref(part) for part in parts]
    gc.disable()  # a circle of references would have to wait for the collector
    try:
        live_map.close()
        del live_map, parts
        assert [part() for part in gone] == [None] * 3
    finally:
        gc.enable()
