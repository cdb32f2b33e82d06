"""What questions cost as an atlas grows: copies of a saved one, side by side, are asked.

    python benchmarks/atlas.py MAP --phrases phrases.json --copies 1 8 33

MAP is a folder that `/lerf/save` wrote with ``place:=room``; phrases are a JSON list. Every copy
holds the same things, so answers are as hard to tell apart as they can be, and patches are read
from many sleeping submaps. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lerf_ros.commands.arguments import make_config
from lerf_ros.evaluation.processes import peak_rss_mb
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.atlas_folder import DESCRIPTION
from lerf_ros.query.request import QueryRequest

# Copies lie so many cubes apart.
APART = 4


def copied(source: Path, target: Path, copies: int) -> None:
    """Writes an atlas of copies of another, whose files it shares."""
    description = json.loads((source / DESCRIPTION).read_text(encoding='utf-8'))
    nodes, side_m = description['nodes'], description['grid'][3]
    description['nodes'] = []
    columns = int(np.ceil(np.sqrt(copies)))
    for copy in range(copies):
        for node in nodes:
            row, column = divmod(copy, columns)
            name = len(description['nodes'])
            pose = np.array(node['submap_to_world'])
            pose[:2, 3] += np.array([column, row]) * APART * side_m
            x, y, z = node['cell']
            cell = [x + APART * column, y + APART * row, z]
            moved = {'name': name, 'cell': cell, 'submap_to_world': pose.tolist()}
            description['nodes'].append({**node, **moved})
            for kind in ('submap_{:04d}.lerf', 'index_{:04d}.safetensors'):
                os.link(source / kind.format(node['name']), target / kind.format(name))
    (target / DESCRIPTION).write_text(json.dumps(description), encoding='utf-8')


def measure(arguments: argparse.Namespace, copies: int) -> dict[str, float]:
    """Returns what asking so many copies costs."""
    config = make_config(arguments.variant, arguments.set, arguments.place)
    with tempfile.TemporaryDirectory(dir=arguments.map.parent) as folder:
        copied(arguments.map, Path(folder), copies)
        atlas = Atlas(config)
        start = time.perf_counter()
        atlas.load(Path(folder))
        load_s = time.perf_counter() - start
        wall_ms, cpu_ms = [], []
        for phrase in json.loads(arguments.phrases.read_text(encoding='utf-8')):
            start, used = time.perf_counter(), time.process_time()
            atlas.query(QueryRequest(positives=(phrase,), with_points=False))
            wall_ms.append(1e3 * (time.perf_counter() - start))
            cpu_ms.append(1e3 * (time.process_time() - used))
        submaps = len(atlas.nodes)
        atlas.close()
    return {
        'copies': copies,
        'submaps': submaps,
        'load_s': load_s,
        'p50_ms': float(np.percentile(wall_ms, 50)),
        'p95_ms': float(np.percentile(wall_ms, 95)),
        'cpu_p50_ms': float(np.percentile(cpu_ms, 50)),
        'cpu_p95_ms': float(np.percentile(cpu_ms, 95)),
        'peak_rss_mb': peak_rss_mb(),
    }


def _worker(channel, arguments: argparse.Namespace, copies: int) -> None:
    channel.send(measure(arguments, copies))


def main() -> None:
    """Measures each size in a fresh process and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('map', type=Path, help='a saved atlas')
    parser.add_argument('--phrases', type=Path, required=True, help='a JSON list')
    parser.add_argument('--copies', type=int, nargs='+', default=[1, 8, 33])
    parser.add_argument('--place', default='room')
    parser.add_argument('--variant', default='tabletop')
    parser.add_argument('--set', action='append', default=[], metavar='GROUP.OPTION=VALUE')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    context = multiprocessing.get_context('spawn')
    rows = []
    for copies in arguments.copies:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_worker, args=(theirs, arguments, copies))
        process.start()
        theirs.close()
        row = ours.recv()
        process.join()
        rows.append(row)
        print(' '.join(f'{name} {value:.4g}' for name, value in row.items()), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
