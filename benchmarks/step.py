"""Training steps a second and memory of the variants, with synthetic language targets.

    python benchmarks/step.py [--variants tabletop ...] [--json FILE]

Each variant trains in a process of its own on an orbit of a ball scene at 320x240 with random
unit embeddings as targets, so that no encoder and no recording is needed. Times are medians.
*Estimate* is what the trainer says before it begins, with the keyframes that are there instead of
their budget. *Mapped* is a step as it is while a camera maps: the surface is there, and language
learns at its points. ``--also`` runs further rows with options changed, to compare forms of the
method.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import lerf_ros  # noqa: E402, F401  before torch: it tells OpenMP's idle threads to sleep

ENCODER_SIZES = {'tabletop': 64, 'ViT-B-16': 512, 'ViT-L-14': 768}
DENSE_SIZE = 384


def measure(variant: str, steps: int, threads: int, changes: dict[str, object]) -> dict:
    """Trains one variant in this process; returns its figures."""
    import torch

    from lerf_ros.config import load_yaml
    from lerf_ros.surface.cloud import SurfaceMap
    from lerf_ros.training.device import resolve_device
    from lerf_ros.training.trainer import Trainer

    torch.set_num_threads(threads)
    config = load_yaml(ROOT / 'config' / f'{variant}.yaml').replace(changes)
    size = ENCODER_SIZES[config.features.encoder]
    dense_size = 0 if config.features.dense == 'none' else DENSE_SIZE
    device = resolve_device(config.training.device)
    trainer = Trainer(config, embedding_size=size, dense_size=dense_size, device=device)
    surface = SurfaceMap(config.query)
    for keyframe, pyramid, dense in orbit(size, dense_size):
        trainer.add_keyframe(keyframe, pyramid, dense)
        seen = keyframe.frame
        surface.integrate(keyframe.id, seen.depth, seen.image, seen.camera, seen.camera_to_world)
    warm_up = min(20, steps)
    for _ in range(warm_up):
        trainer.step()
    wall, cpu, mapped = [], [], []
    for _ in range(steps):
        start, start_cpu = time.perf_counter(), time.process_time()
        trainer.step()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    for _ in range(steps):
        start = time.perf_counter()
        trainer.step(surface)
        if device.type == 'cuda':
            torch.cuda.synchronize()
        mapped.append(time.perf_counter() - start)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    device_mb = None
    if device.type == 'cuda':
        device_mb = torch.cuda.max_memory_allocated(device) / 2**20
    rays = config.training.rays_per_step
    return {
        'device': str(device),
        'steps_per_s': 1 / statistics.median(wall),
        'mapped_steps_per_s': 1 / statistics.median(mapped),
        'rays_per_s': rays / statistics.median(wall),
        'cpu_ms': 1e3 * statistics.median(cpu),
        'peak_rss_mb': peak_mb,
        'device_mb': device_mb,
        'estimate_mb': trainer.memory.total
        - trainer.memory.keyframes
        + trainer.store.device_bytes / 2**20,
    }


def orbit(size: int, dense_size: int, count: int = 40, width: int = 320, height: int = 240):
    """Yields keyframes of a ball on a floor, with random features."""
    import numpy as np
    import torch

    from lerf_ros.config import FeatureOptions
    from lerf_ros.features.dense import FeatureMap
    from lerf_ros.features.pyramid import FeaturePyramid, PyramidLevel
    from lerf_ros.features.tile_grid import tile_grids
    from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
    from lerf_ros.geometry import PinholeCamera, camera_directions, look_at, pixel_centres

    camera = PinholeCamera.from_vertical_fov(width, height, 48.0)
    generator = torch.Generator().manual_seed(0)
    for index in range(count):
        angle = 2 * np.pi * index / count
        position = np.array([0.7 * np.cos(angle), 0.7 * np.sin(angle), 0.5])
        pose = look_at(position, np.zeros(3))
        rays = camera_directions(camera, pixel_centres(camera)) @ pose[:3, :3].T
        a, b = (rays**2).sum(-1), rays @ position
        root = b * b - a * (position @ position - 0.15**2)
        floor = np.where(rays[..., 2] < -1e-3, -position[2] / rays[..., 2], np.nan)
        depth = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, floor)
        points = np.nan_to_num(position + rays * depth[..., None])
        image = (127 + 100 * np.sin(40 * points)).astype(np.uint8)
        levels = []
        for grid in tile_grids(width, height, FeatureOptions()):
            vectors = torch.randn(grid.rows, grid.cols, size, generator=generator)
            half = grid.tile_px / 2
            levels.append(
                PyramidLevel(
                    grid.tile_px,
                    (grid.left_px + half, grid.top_px + half),
                    (grid.stride_px, grid.stride_px),
                    torch.nn.functional.normalize(vectors, dim=-1),
                )
            )
        dense = None
        if dense_size:
            features = torch.randn(30, 40, dense_size, generator=generator)
            dense = FeatureMap(features, width, height)
        frame = PosedFrame(image, depth.astype(np.float32), camera, pose, index)
        yield (
            Keyframe(KeyframeId('camera', index), frame),
            FeaturePyramid(width, height, tuple(levels)),
            dense,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--variants', nargs='+', default=['tabletop'])
    parser.add_argument('--steps', type=int, default=100)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument(
        '--also',
        action='append',
        default=[],
        metavar='JSON',
        help='further row of the first variant: {"group.option": value, ...}',
    )
    parser.add_argument('--one', nargs=2, metavar=('VARIANT', 'JSON'), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        variant, changes = arguments.one
        figures = measure(variant, arguments.steps, arguments.threads, json.loads(changes))
        print(json.dumps(figures))
        return
    rows = [(name, '{}') for name in arguments.variants]
    rows += [(arguments.variants[0], changes) for changes in arguments.also]
    keys = 'steps_per_s', 'mapped_steps_per_s', 'cpu_ms', 'peak_rss_mb', 'estimate_mb'
    results: dict[str, dict[str, float]] = {key: {} for key in keys}
    columns = (
        'variant',
        'device',
        'steps/s',
        'mapped',
        'rays/s',
        'CPU ms a step',
        'peak RSS MB',
        'device MB',
    )
    print('| ' + ' | '.join([*columns, 'estimate MB']) + ' |')
    print('| --- ' * (len(columns) + 1) + '|')
    for variant, changes in rows:
        command = [sys.executable, __file__, '--one', variant, changes]
        command += ['--steps', str(arguments.steps), '--threads', str(arguments.threads)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures = json.loads(output.splitlines()[-1])
        name = variant if changes == '{}' else f'{variant} {changes}'
        for key in results:
            results[key][name] = figures[key]
        device_mb = '-' if figures['device_mb'] is None else f'{figures["device_mb"]:.0f}'
        print(
            f'| {name} | {figures["device"]} | {figures["steps_per_s"]:.1f} '
            f'| {figures["mapped_steps_per_s"]:.1f} | {figures["rays_per_s"]:.0f} '
            f'| {figures["cpu_ms"]:.1f} '
            f'| {figures["peak_rss_mb"]:.0f} | {device_mb} | {figures["estimate_mb"]:.0f} |',
            flush=True,
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    main()
