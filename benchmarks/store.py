"""The keyframe store beyond its budget: memory, intake and the time to draw rays.

    python benchmarks/store.py [--keyframes 10000] [--json FILE]

Random 640x480 keyframes with depth and a pyramid of 64-d embeddings. What fits neither on the
device nor in host memory goes to the folder for temporary files: about 1.7 MB a keyframe.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import lerf_ros  # noqa: F401  before torch: it tells OpenMP's idle threads to sleep

# isort: split
import numpy as np
import torch

from lerf_ros.config import FeatureOptions, TrainingOptions
from lerf_ros.features.pyramid import FeaturePyramid, PyramidLevel
from lerf_ros.features.tile_grid import tile_grids
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.keyframes.store import KeyframeStore

WIDTH, HEIGHT, SIZE = 640, 480, 64


def keyframe(number: int, pyramid: FeaturePyramid) -> tuple[Keyframe, FeaturePyramid]:
    """Returns a keyframe whose first pixel tells its number."""
    image = np.full((HEIGHT, WIDTH, 3), number % 251, np.uint8)
    depth = np.full((HEIGHT, WIDTH), 1 + number % 7, np.float32)
    camera = PinholeCamera.from_vertical_fov(WIDTH, HEIGHT, 48.0)
    frame = PosedFrame(image, depth, camera, np.eye(4), number)
    return Keyframe(KeyframeId('camera', number), frame), pyramid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--keyframes', type=int, default=10_000)
    parser.add_argument('--steps', type=int, default=400)
    parser.add_argument('--json', metavar='FILE')
    arguments = parser.parse_args()
    levels = []
    for grid in tile_grids(WIDTH, HEIGHT, FeatureOptions()):
        embeddings = torch.nn.functional.normalize(torch.randn(grid.rows, grid.cols, SIZE), dim=-1)
        half = grid.tile_px / 2
        origin, stride = (grid.left_px + half, grid.top_px + half), grid.stride_px
        levels.append(PyramidLevel(grid.tile_px, origin, (stride, stride), embeddings))
    pyramid = FeaturePyramid(WIDTH, HEIGHT, tuple(levels))

    store = KeyframeStore(TrainingOptions(), SIZE)
    intake = []
    for number in range(arguments.keyframes):
        made = keyframe(number, pyramid)
        start = time.perf_counter()
        store.add(*made)
        intake.append(time.perf_counter() - start)
    draws, seen = [], set()
    generator = torch.Generator().manual_seed(0)
    for _ in range(arguments.steps):
        start = time.perf_counter()
        batch = store.sample_rays(1024, generator, language_rays=256)
        draws.append(time.perf_counter() - start)
        seen |= {store.device_ids[slot] for slot in set(batch.slots.tolist())}
    figures = {
        'keyframes': len(store),
        'on_device': store.on_device,
        'peak_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        'intake_ms': 1e3 * statistics.median(intake),
        'draw_ms': 1e3 * statistics.median(draws),
        'draw_ms_worst': 1e3 * max(draws),
        'keyframes_seen': len(seen),
    }
    store.close()
    print('| ' + ' | '.join(figures) + ' |')
    print('| --- ' * len(figures) + '|')
    print('| ' + ' | '.join(f'{value:.4g}' for value in figures.values()) + ' |')
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
