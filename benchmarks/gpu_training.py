"""Training of the variants on a GPU: speed, memory, what the host waits for, and precision."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lerf_ros  # noqa: F401  before torch: it tells OpenMP's idle threads to sleep

# isort: split
import torch
from gpu_figures import Figures

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = {'lite': 512, 'base': 512, 'big': 768}
DENSE_SIZE = 384
KEYFRAMES = 16
# What the host waits in, by the names of CUDA's functions.
_WAITS = ('cudaStreamSynchronize', 'cudaDeviceSynchronize', 'cudaEventSynchronize')


def make_trainer(variant: str, device: str, changes: dict[str, Any] | None = None):
    """Returns a trainer of a variant with synthetic keyframes and targets."""
    import step as step_benchmark

    from lerf_ros.config import load_yaml
    from lerf_ros.training.trainer import Trainer

    config = load_yaml(ROOT / 'config' / f'{variant}.yaml').replace(changes or {})
    if device == 'cpu':  # only to see that it runs
        small: dict[str, Any] = {'field.table_log2': 10, 'field.language_table_log2': 10}
        small |= {'field.levels': 2, 'field.language_levels': 2}
        small |= {'training.rays_per_step': 64, 'training.language_rays_per_step': 64}
        config = config.replace(small)
    size = VARIANTS[variant]
    trainer = Trainer(config, embedding_size=size, dense_size=DENSE_SIZE, device=device)
    count = KEYFRAMES if device == 'cuda' else 2
    for keyframe, pyramid, dense in step_benchmark.orbit(size, DENSE_SIZE, count):
        trainer.add_keyframe(keyframe, pyramid, dense)
    return trainer


def train(variant: str, device: str) -> dict[str, Any]:
    """Times a training step, and holds half precision against full precision."""
    warm_up, steps, curve = (30, 100, 150) if device == 'cuda' else (1, 2, 2)
    trainer = make_trainer(variant, device)
    for _ in range(warm_up):
        trainer.step()
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    if device == 'cuda':
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / steps
    memory = trainer.memory
    estimate_mb = memory.total - memory.keyframes + trainer.store.device_bytes / 2**20
    figures = Figures()
    figures |= {
        f'{variant}_steps_per_s': 1 / seconds,
        f'{variant}_rays_per_s': trainer.config.training.rays_per_step / seconds,
        f'{variant}_estimate_gb': memory.total / 1024,
        f'{variant}_estimate_as_filled_gb': estimate_mb / 1024,
        f'{variant}_skipped': trainer.skipped_count,
    }
    if device == 'cuda':
        free, total = torch.cuda.mem_get_info()
        figures[f'{variant}_peak_gb'] = torch.cuda.max_memory_allocated() / 2**30
        figures[f'{variant}_process_gb'] = (total - free) / 2**30
    figures |= profiled(variant, trainer, seconds, device)
    del trainer
    curves = {}
    for precision in ('auto', 'float32'):
        trainer = make_trainer(variant, device, {'training.precision': precision})
        reports = [trainer.step() for _ in range(curve)]
        losses = torch.stack([report.total for report in reports]).cpu()
        # Numbers of scaled steps that overflowed are no part of the curve.
        curves[precision] = float(losses[-curve // 3 :].nanmedian())
        figures[f'{variant}_loss_{precision}'] = curves[precision]
        del trainer, reports
    figures[f'{variant}_loss_ratio'] = curves['auto'] / curves['float32']
    return figures


def profiled(variant: str, trainer, seconds: float, device: str) -> dict[str, Any]:
    """Returns how often the host waited, what it copied and how long the GPU was busy, a step."""
    if device != 'cuda':
        return {}
    from torch.profiler import ProfilerActivity, profile

    count = 10
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as profiler:
        for _ in range(count):
            trainer.step()
    names: dict[str, int] = {}
    busy_us, kernels = 0.0, 0
    for event in profiler.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            busy_us += event.time_range.elapsed_us()
            kernels += 1
        names[event.name] = names.get(event.name, 0) + 1
    # Leaving the profiler waits once for the device.
    waits = max(0, sum(names.get(name, 0) for name in _WAITS) - 1) / count
    copies = {
        kind: sum(n for name, n in names.items() if kind in name) for kind in ('DtoH', 'HtoD')
    }
    busy = busy_us / count / 1e6 / seconds
    return {
        f'{variant}_waits_per_step': waits,
        f'{variant}_copies_to_host_per_step': copies['DtoH'] / count,
        f'{variant}_copies_to_device_per_step': copies['HtoD'] / count,
        f'{variant}_kernels_per_step': kernels / count,
        # A CUDA graph can win no more than what is left of it.
        f'{variant}_gpu_busy': busy,
    }
