"""Whether compiling networks of a step pays: on CUDA into a graph, on a CPU into C++.

A whole step is no graph: how many rays lack depth is read on the host, and shapes follow from it.
What has one shape in every step are the networks, at the samples and at the language rays.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lerf_ros  # noqa: F401  before torch: it tells OpenMP's idle threads to sleep

# isort: split
import torch
from gpu_figures import Figures
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
# A robot's run is about so many steps; what is not repaid by then does not pay.
RUN_STEPS = 10_000
# A gain below this share is lost among the differences between runs.
LEAST_GAIN = 0.05

Network = Callable[..., Tensor]


def payoff(plain_ms: float, compiled_ms: float, first_s: float) -> dict[str, float | None]:
    """Returns what compiling gains in a step, after how many it is repaid, and whether it pays.

    Args:
        plain_ms: Both passes as they are.
        compiled_ms: Both passes compiled.
        first_s: Time of the first compiled pass, in which it is compiled.
    """
    gain_ms = plain_ms - compiled_ms
    repaid = 1e3 * first_s / gain_ms if gain_ms > 0 else None
    pays = repaid is not None and repaid < RUN_STEPS and gain_ms > LEAST_GAIN * plain_ms
    return {'gain_ms': gain_ms, 'repaid_steps': repaid, 'pays': float(pays)}


def compare(
    figures: Figures,
    name: str,
    network: Network,
    inputs: tuple[Tensor, ...],
    compiler: Callable[[Network], Network],
    median_ms: Callable[[Callable[[], object]], float],
) -> None:
    """Measures a network, plain and compiled, and adds the figures under its name.

    Raises:
        RuntimeError: Compiled it computes something else.
    """
    device = inputs[0].device.type
    half = torch.float16 if device == 'cuda' else torch.bfloat16
    milliseconds, seconds, values = {}, {}, {}
    for kind, run in (('plain', network), ('compiled', compiler(network))):

        def job(run=run) -> Tensor:
            with torch.autocast(device, half, enabled=device == 'cuda'):
                value = run(*inputs).float().square().mean()
            value.backward()
            return value.detach()

        start = time.perf_counter()
        values[kind] = float(job())
        seconds[kind] = time.perf_counter() - start
        milliseconds[kind] = median_ms(job)
        figures[f'{name}_{kind}_ms'] = milliseconds[kind]
    if abs(values['plain'] - values['compiled']) > 0.02 * abs(values['plain']):
        raise RuntimeError(f'{name}: expected {values["plain"]:.6g}, got {values["compiled"]:.6g}')
    figures[f'{name}_first_s'] = seconds['compiled']
    verdict = payoff(milliseconds['plain'], milliseconds['compiled'], seconds['compiled'])
    figures |= {f'{name}_{key}': value for key, value in verdict.items()}


def compiled(device: str, median_ms: Callable[..., float]) -> Figures:
    """Compares the networks of base, or of small ones on a CPU, at the shapes of a step."""
    from lerf_ros.config import load_yaml
    from lerf_ros.field.language import grid_layouts
    from lerf_ros.field.model import LerfField
    from lerf_ros.field.scene_box import SceneBox

    config = load_yaml(ROOT / 'config' / 'base.yaml')
    options = config.field
    tables = {'field.table_log2': 10, 'field.language_table_log2': 10}
    small = {'training.rays_per_step': 64, 'training.language_rays_per_step': 64}
    config = config.replace(tables | (small if device == 'cpu' else {}))
    training = config.training
    field = LerfField(config.field, SceneBox((0, 0, 0), 1.0), 512, 0, 0, device)
    samples = training.rays_per_step * (options.coarse_samples + options.guided_samples)
    width = options.levels * options.features_per_level
    language = sum(layout.width for layout in grid_layouts(options))
    rays = training.language_rays_per_step

    def made(rows: int, columns: int) -> Tensor:
        return torch.rand(rows, columns, device=device, requires_grad=True)

    def compiler(network: Network) -> Network:
        # 'reduce-overhead' records CUDA graphs; a CPU has none.
        mode = 'reduce-overhead' if device == 'cuda' else 'default'
        return torch.compile(network, mode=mode)

    def timed(job: Callable[[], object]) -> float:
        return median_ms(job, device, 20 if device == 'cuda' else 3)

    figures = Figures()
    scale_m = torch.rand(rays, device=device)
    parts: tuple[tuple[str, Network, tuple[Tensor, ...]], ...] = (
        ('head', field.language.head, (made(rays, language), scale_m)),
        ('geometry', nn.Sequential(*field.radiance.geometry_net), (made(samples, width),)),
    )
    for name, network, inputs in parts:
        compare(figures, name, network, inputs, compiler, timed)
    return figures
