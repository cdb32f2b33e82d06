"""Memory of submaps that are gone goes back to the system."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

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


def test_what_is_free_goes_back():
    output = subprocess.run(
        [sys.executable, '-c', CODE], check=True, capture_output=True, text=True
    ).stdout
    freed_mb, trims = output.split()
    # Elsewhere than on glibc it does nothing.
    assert trims == 'False' or float(freed_mb) > 150


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
