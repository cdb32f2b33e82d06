"""Hash grid, forward and backward: every implementation that works here, in ns a point.

    python benchmarks/field.py [--json FILE] [--nerfstudio PYTHON_PATH]

The peer is nerfstudio's torch ``HashEncoding``. It is no requirement of this package: install it
with ``pip install nerfstudio --no-deps`` into an environment of its own and pass that
environment's site-packages folder; without it, its row says so.

Points lie along rays and gather near a surface, as in training. Times are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

import lerf_ros  # noqa: F401  before torch: it tells OpenMP's idle threads to sleep
from lerf_ros.field.encoding import HashGrid
from lerf_ros.field.encoding.layout import GridLayout

LAYOUT = GridLayout(levels=16, features=2, min_resolution=16, max_resolution=2048, table_log2=17)
DEFAULT_POINTS = [16_384, 65_536, 262_144]


def surface_points(count: int, device: str) -> Tensor:
    """Returns points along rays towards a wavy floor, most of them near it."""
    generator = torch.Generator().manual_seed(0)
    rays = count // 16
    target = torch.rand(rays, 1, 3, generator=generator)
    target[..., 2] = 0.3 + 0.05 * torch.sin(6 * target[..., 0])
    origin = torch.tensor([0.5, 0.5, 0.9])
    share = torch.cat([torch.rand(rays, 8, 1, generator=generator), torch.ones(rays, 8, 1)], dim=1)
    noise = torch.randn(rays, 16, 1, generator=generator) * 0.01
    points = origin + (target - origin) * (share + noise * (share == 1))
    return points.reshape(-1, 3).clamp(0, 1).to(device)


def median_ns(encode: Callable[[Tensor], Tensor], table: Tensor, points: Tensor, runs: int):
    """Returns the median time of forward and backward, ns a point."""
    times = []
    gradient = None
    for _ in range(runs + 1):
        table.grad = None
        start = time.perf_counter()
        out = encode(points)
        if gradient is None:
            gradient = torch.randn_like(out)
        out.backward(gradient)
        if points.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) / len(points) * 1e9


class _Absent(types.ModuleType):
    """Stands in for a module that is imported and never used."""

    __path__: list[str] = []  # noqa: RUF012  as the import system has it

    def __getattr__(self, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (), {'__init__': lambda self, *_, **__: None})


def nerfstudio_encoding(folder: str | None) -> tuple[torch.nn.Module | None, str]:
    """Returns the peer's encoding, or why there is none."""
    if folder:
        sys.path.append(folder)
    # --no-deps leaves out viewers and command lines that nerfstudio imports but the encoding never
    # calls: each that is missing is stood in for by an empty module.
    for _ in range(100):
        try:
            from nerfstudio.field_components.encodings import HashEncoding

            break
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith('nerfstudio'):
                return None, f'not measured: {error}'
            sys.modules[error.name] = _Absent(error.name)
    else:
        return None, 'not measured: it does not import'
    encoding = HashEncoding(
        num_levels=LAYOUT.levels,
        min_res=LAYOUT.min_resolution,
        max_res=LAYOUT.max_resolution,
        log2_hashmap_size=LAYOUT.table_log2,
        features_per_level=LAYOUT.features,
        implementation='torch',
    )
    return encoding, ''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--nerfstudio', metavar='FOLDER', help='site-packages with nerfstudio')
    parser.add_argument('--points', type=int, nargs='+', default=DEFAULT_POINTS)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--threads', type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'

    rows: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {}
    notes = []
    for backend in ('native', 'triton', 'tinycudann', 'torch'):
        try:
            grid = HashGrid(LAYOUT, backend, 'cpu' if backend == 'native' else device)
        except ValueError as error:
            notes.append(f'{backend}: not measured: {error}')
            continue
        rows['twin (torch)' if backend == 'torch' else backend] = grid, grid.table
    peer, reason = nerfstudio_encoding(arguments.nerfstudio)
    if peer is None:
        notes.append(f"nerfstudio's HashEncoding: {reason}")
    else:
        peer = peer.to(device)
        rows['nerfstudio (torch)'] = peer, peer.get_parameter('hash_table')

    # A busy machine moves every figure; ratios are of medians measured one after the other.
    times = {
        name: [
            median_ns(encode, table, surface_points(count, str(table.device)), arguments.runs)
            for count in arguments.points
        ]
        for name, (encode, table) in rows.items()
    }
    lines = [
        '| ns a point, forward + backward | ' + ' | '.join(f'{n} points' for n in arguments.points)
    ]
    lines.append('| --- ' * (len(arguments.points) + 1))
    lines += [f'| {name} | ' + ' | '.join(f'{t:.0f}' for t in row) for name, row in times.items()]
    figures = {}
    for key, name in (
        ('native_vs_twin', 'twin (torch)'),
        ('native_vs_nerfstudio', 'nerfstudio (torch)'),
    ):
        if name in times and 'native' in times:
            ratios = [a / b for a, b in zip(times[name], times['native'], strict=True)]
            figures[key] = dict(zip(map(str, arguments.points), ratios, strict=True))
            lines.append(
                f'| native is faster than {name} by | ' + ' | '.join(f'{r:.1f}x' for r in ratios)
            )
    print('\n'.join(line + ' |' for line in lines))
    print('\n'.join(notes))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
