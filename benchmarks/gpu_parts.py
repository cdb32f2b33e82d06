"""The parts of ``benchmarks/gpu.py``, each a process of its own that prints its figures.

    python benchmarks/gpu_parts.py PART [--device cpu]

On a CPU the figures mean nothing; that the parts run there shows that they will on a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lerf_ros  # noqa: F401  before torch: it tells OpenMP's idle threads to sleep

# isort: split
import numpy as np
import torch
import torch.nn.functional as F
from gpu_figures import Figures
from gpu_training import VARIANTS, train
from torch import Tensor

from lerf_ros.features.encoder import ExistenceCalibration

ROOT = Path(__file__).resolve().parents[1]
_MARK = 'requires_cuda'


def median_ms(job: Callable[[], object], device: str, runs: int = 9) -> float:
    """Returns the median time of a job after two runs to warm up."""
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        job()
        if device == 'cuda':
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def bandwidth(device: str) -> float:
    """Returns bytes a second, read and written, of a copy within the device."""
    source = torch.rand(2**28 if device == 'cuda' else 2**22, device=device)
    target = torch.empty_like(source)
    copied = 2 * source.numel() * source.element_size()
    return copied / median_ms(lambda: target.copy_(source), device) * 1e3


def tests(device: str) -> dict[str, Any]:
    """Runs the tests that need a GPU."""
    # Only the files that hold some, so that gathering them takes no time of a rented machine; and
    # no -q beside the project's own, since two of them leave the counts out.
    files = [path for path in (ROOT / 'test').rglob('test_*.py') if _MARK in path.read_text()]
    command = [sys.executable, '-m', 'pytest', '-m', _MARK, '-rs', *map(str, sorted(files))]
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    environment = os.environ | {'PYTHONPATH': path}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode not in (0, 1):  # neither all passed nor some failed: it did not run them
        output = (result.stderr + result.stdout).strip().splitlines() or ['no output']
        raise RuntimeError(f'pytest ended with code {result.returncode}: {output[-1]}')
    last = (result.stdout.strip().splitlines() or [result.stderr[-300:]])[-1]
    counts = {word: int(n) for n, word in re.findall(r'(\d+) (passed|failed|skipped|error)', last)}
    figures = Figures(tests_passed=counts.get('passed', 0))
    figures['tests_skipped'] = counts.get('skipped', 0)
    figures['tests_failed'] = counts.get('failed', 0) + counts.get('error', 0)
    if result.returncode not in (0, 5):
        figures['tests_output'] = result.stdout[-3000:]
    return figures


def grid(device: str, backend: str = 'triton', prefix: str = 'grid') -> dict[str, Any]:
    """Compares a hash grid with its twin, and times it against the memory's bandwidth."""
    import field as field_benchmark

    from lerf_ros.field.encoding import HashGrid, twin

    backend = backend if device == 'cuda' else 'native'
    layout = dataclasses.replace(field_benchmark.LAYOUT, table_log2=19)
    fast = HashGrid(layout, backend, device, torch.Generator().manual_seed(0))
    points = field_benchmark.surface_points(2**14, device)
    gradient = torch.rand(len(points), layout.width, device=device)
    out = fast(points)
    out.backward(gradient)
    table = fast.table.detach().clone().requires_grad_()
    twin_out = twin.encode(points, table, layout)
    twin_out.backward(gradient)
    assert fast.table.grad is not None
    assert table.grad is not None
    figures = Figures()
    figures |= {
        f'{prefix}_forward_error': float(((out - twin_out).norm() / twin_out.norm()).detach()),
        f'{prefix}_backward_error': float(
            (fast.table.grad - table.grad).norm() / table.grad.norm()
        ),
        'copy_gb_s': bandwidth(device) / 1e9,
    }
    # Eight corners, read forward; read and written backward.
    entries = 8 * layout.width * 4
    for log2 in (14, 16, 18, 20, 21) if device == 'cuda' else (14,):
        points = field_benchmark.surface_points(2**log2, device)
        gradient = torch.rand(len(points), layout.width, device=device)
        with torch.no_grad():
            forward_ms = median_ms(lambda points=points: fast(points), device)
        out = fast(points)

        def backward(out=out, gradient=gradient) -> None:
            fast.table.grad = None
            out.backward(gradient, retain_graph=True)

        backward_ms = median_ms(backward, device)
        key = f'{prefix}_2^{log2}'
        figures[f'{key}_forward_ms'], figures[f'{key}_backward_ms'] = forward_ms, backward_ms
        rate = len(points) * (entries + 4 * layout.width + 12) / forward_ms * 1e3
        figures[f'{key}_forward_gb_s'] = rate / 1e9
    return figures


def pyramid(device: str) -> dict[str, Any]:
    """Times the pyramid of a 640x480 image with open_clip models of random weights."""
    from lerf_ros.config import FeatureOptions
    from lerf_ros.features.load import load_encoder
    from lerf_ros.features.pyramid import PyramidBuilder
    from lerf_ros.features.tile_grid import expected_tiles

    figures = Figures()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for name in ('ViT-B-16', 'ViT-L-14') if device == 'cuda' else ('ViT-B-16',):
        options = FeatureOptions(encoder=name, pretrained='random')
        if device == 'cpu':
            options = dataclasses.replace(options, pyramid_levels=1, tile_share_min=0.5)
        builder = PyramidBuilder(load_encoder(options, device), options, device)
        tiles = expected_tiles(640, 480, options)
        runs = 3 if device == 'cuda' else 1

        # A copy: a builder knows the last image it was given.
        def build(builder=builder) -> None:
            builder.build(image.copy())

        milliseconds = median_ms(build, device, runs)
        figures[f'{name}_tiles'] = tiles
        figures[f'{name}_pyramid_ms'] = milliseconds
        figures[f'{name}_tiles_per_s'] = tiles / milliseconds * 1e3
    return figures


class RandomEncoder:
    """Embeds texts at random, the same ones alike: enough to ask, and there without open_clip."""

    name, fingerprint = 'random', 'random-1'
    input_size, temperature = 32, 10.0
    existence: ExistenceCalibration | None = None

    def __init__(self, embedding_size: int, device: str) -> None:
        self.embedding_size, self._device = embedding_size, device

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Returns a unit vector for each text."""
        seeds = [zlib.crc32(text.encode()) for text in texts]
        vectors = [
            torch.randn(self.embedding_size, generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        return F.normalize(torch.stack(vectors), dim=-1).to(self._device)

    def encode_images(self, images: Tensor) -> Tensor:
        """Returns the same unit vector for each image."""
        return self.encode_texts(['image']).expand(len(images), -1)


def query(device: str) -> dict[str, Any]:
    """Times answers over surface points of 512 dimensions, and the heat map of a view."""
    import query as query_benchmark

    from lerf_ros.config import load_yaml
    from lerf_ros.geometry import PinholeCamera, look_at
    from lerf_ros.maps.submap import Submap
    from lerf_ros.query.reading import folded_cosines
    from lerf_ros.query.relevancy import relevancy, search_scales
    from lerf_ros.scheduling.pieces import finish

    encoder = RandomEncoder(512, device)
    config = load_yaml(ROOT / 'config' / 'base.yaml')
    sizes = config.field
    if device == 'cpu':
        sizes = dataclasses.replace(
            sizes, language_table_log2=10, table_log2=10, levels=2, language_levels=2
        )
    figures = Figures()
    scales_m = search_scales(0.03, 0.3, config.query.scales).to(device)
    texts = encoder.encode_texts(['red mug', 'object', 'things', 'stuff', 'texture'])
    changes: dict[str, Any] = {'training.device': device, 'features.dense': 'none'}
    if device == 'cpu':
        changes |= {'field.table_log2': 10, 'field.language_table_log2': 10}
        changes |= {'field.levels': 2, 'field.language_levels': 2}
        changes |= {'training.rays_per_step': 64, 'training.language_rays_per_step': 64}
    live_map = Submap(config.replace(changes), encoder)
    import step as step_benchmark

    for keyframe, _, _ in step_benchmark.orbit(8, 0, 4):
        live_map.ingest(keyframe.frame)
    for _ in range(200 if device == 'cuda' else 2):
        live_map.step()
    size = (988, 731) if device == 'cuda' else (32, 24)
    camera = PinholeCamera.from_vertical_fov(*size, 48.0)
    pose = look_at(np.array([0.6, 0.3, 0.5]), np.zeros(3))
    figures['heat_map_ms'] = median_ms(
        lambda: finish(live_map.view_pieces(camera, pose, 'red mug')), device, 3
    )
    for count in (20_000, 200_000, 2_000_000) if device == 'cuda' else (500,):
        probe = query_benchmark.EngineProbe(encoder, count, config.query.scales, sizes, device)
        points = torch.from_numpy(query_benchmark.made_surface(count).positions).to(device)

        def alone(field=probe.field, points=points) -> Tensor:
            return relevancy(folded_cosines(field, points, scales_m, texts), 1, 10.0)

        with torch.no_grad():
            figures[f'query_{count}_relevancy_ms'] = median_ms(alone, device, 3)
            figures[f'query_{count}_ms'] = median_ms(probe.ask, device, 3)
        del probe, points, alone
    return figures


def live(device: str) -> dict[str, Any]:
    """Returns when eight of ten phrases were right, on the simulated table as time passes."""
    import mujoco  # noqa: F401  says so where it is absent

    seconds = '2,3,5,8'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'live.json'
        command = [sys.executable, '-m', 'lerf_ros', 'evaluate', 'tabletop', '--realtime']
        command += ['--seeds', '9000', '--seconds', seconds, '--no-baselines']
        command += ['--device', device, '--json', str(path)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if not path.exists():
            raise RuntimeError(result.stderr.strip().splitlines()[-1])
        rows = json.loads(path.read_text())['rows']
    figures = Figures()
    figures |= {f'live_right_after_{row["seconds"]:g}_s': row['localisation'] for row in rows}
    right = [row['seconds'] for row in rows if row['localisation'] >= 0.8]
    # None: never within the time.
    figures['live_seconds_to_8_of_10'] = right[0] if right else None
    figures['live_steps_per_s'] = rows[-1]['steps_per_s']
    return figures


def tinycudann(device: str) -> dict[str, Any]:
    """Compares tiny-cuda-nn's grid with the twin, and times it."""
    if device != 'cuda':
        raise RuntimeError('tinycudann runs on CUDA')
    return grid(device, 'tinycudann', 'tinycudann')


def compiled(device: str) -> dict[str, Any]:
    """Tells whether compiling networks of a step pays."""
    import gpu_compiled

    return gpu_compiled.compiled(device, median_ms)


PARTS: dict[str, Callable[[str], dict[str, Any]]] = {
    'tests': tests,
    'grid': grid,
    **{name: lambda device, name=name: train(name, device) for name in VARIANTS},  # type: ignore[misc]
    'pyramid': pyramid,
    'query': query,
    'live': live,
    'tinycudann': tinycudann,
    'compiled': compiled,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('part', choices=PARTS)
    parser.add_argument('--device', default='cuda', choices=('cuda', 'cpu'))
    arguments = parser.parse_args()
    try:
        PARTS[arguments.part](arguments.device)
    except Exception as error:  # whatever is missing or breaks is the reason of an empty cell
        Figures()['reason'] = f'{type(error).__name__}: {error}'.splitlines()[0][:300]


if __name__ == '__main__':
    main()
