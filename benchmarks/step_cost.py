"""What a training step must move and compute: bytes of device memory and operations.

    python benchmarks/step_cost.py

A lower bound from the options alone: each number that leaves an operator is written once and read
once, tables are gathered from memory and not from a cache, and networks of several layers keep
their hidden values for the backward pass. Half precision moves two bytes where networks run in it.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lerf_ros.config import LerfConfig, load_yaml
from lerf_ros.field.language import SCALE_WIDTH, grid_layouts
from lerf_ros.field.radiance import DIRECTION_WIDTH
from lerf_ros.training.memory import estimate_memory

ROOT = Path(__file__).resolve().parents[1]
# One H100 SXM: HBM3, and tensor cores in half precision without sparsity.
H100_BYTES_PER_S = 3.35e12
H100_FLOPS = 989e12
# Size of an embedding by variant.
VARIANTS = {'lite': 512, 'base': 512, 'big': 768}
DENSE_SIZE = 384
_CORNERS = 8
_FLOAT, _HALF = 4, 2


@dataclass(frozen=True)
class StepCost:
    """Cost of one training step.

    Attributes:
        gathered: Bytes of table entries that are read forward and added to backward.
        activations: Bytes of values between operators, forward and backward.
        optimizer: Bytes that Adam moves: weight, gradient and both moments of every parameter.
        targets: Bytes of pixels and features gathered from keyframes.
        flops: Operations of the networks, forward and backward.
    """

    gathered: float
    activations: float
    optimizer: float
    targets: float
    flops: float

    @property
    def bytes(self) -> float:
        """All bytes."""
        return self.gathered + self.activations + self.optimizer + self.targets

    @property
    def least_s(self) -> float:
        """The time below which no H100 makes this step."""
        return max(self.bytes / H100_BYTES_PER_S, self.flops / H100_FLOPS)


def step_cost(config: LerfConfig, embedding_size: int, dense_size: int = DENSE_SIZE) -> StepCost:
    """Returns the cost of a step in which language is learnt along all of its language rays."""
    field, training = config.field, config.training
    rays = training.rays_per_step
    samples = rays * (field.coarse_samples + field.guided_samples)
    language_rays = min(training.language_rays_per_step, rays)
    language_samples = language_rays * field.language_samples
    language_width = sum(layout.width for layout in grid_layouts(field))
    grid_width = field.levels * field.features_per_level
    # Read forward; read, added to and written backward.
    entries = samples * grid_width + language_samples * language_width
    gathered = 3 * _FLOAT * _CORNERS * entries

    def network(rows: int, *widths: int) -> tuple[float, float]:
        """Returns values kept and operations of a network, forward and backward."""
        values = rows * sum(widths)
        macs = rows * sum(a * b for a, b in itertools.pairwise(widths))
        return values, 3 * 2 * macs

    colour_rows = samples if field.colour_decode == 'sample' else rays
    decoded = language_samples if field.language_decode == 'sample' else language_rays
    hidden = [field.language_width] * field.language_depth
    networks = [
        network(samples, grid_width, field.geometry_width, 1 + field.geometry_features),
        network(
            colour_rows,
            field.geometry_features + DIRECTION_WIDTH,
            field.colour_width,
            field.colour_width,
            3,
        ),
        network(decoded, language_width + SCALE_WIDTH, *hidden, embedding_size),
    ]
    if dense_size:
        networks.append(network(language_rays, language_width, field.language_width, dense_size))
    # Each value: written and read forward, read backward, and the same for its gradient.
    activations = 6 * _HALF * sum(values for values, _ in networks)
    # Positions, edges, weights and density of samples stay in full precision.
    activations += 6 * _FLOAT * (12 * samples + language_samples * language_width)
    weights = estimate_memory(config, embedding_size, dense_size).weights * 2**20 / 16
    # Gradient: zeroed, then read; weight and moments: read and written.
    optimizer = weights * _FLOAT * 8
    # Two pyramid levels and one dense map of four cells each, in half precision; colour and depth.
    targets = language_rays * 4 * _HALF * (2 * embedding_size + dense_size) + rays * 5
    return StepCost(gathered, activations, optimizer, targets, sum(flops for _, flops in networks))


def costs() -> dict[str, StepCost]:
    """Returns the cost of a step of each variant."""
    return {
        name: step_cost(load_yaml(ROOT / 'config' / f'{name}.yaml'), size)
        for name, size in VARIANTS.items()
    }


def table() -> str:
    """Returns what bounds a step of each variant, as a table."""
    lines = [
        '| variant | tables MB | activations MB | Adam MB | targets MB | GFLOP | ms by bytes '
        '| ms by FLOPs | steps/s at 100 % | at 250 k rays/s: of bandwidth | of FLOPs |',
        '| ' + '--- | ' * 11,
    ]
    for name, cost in costs().items():
        rays = load_yaml(ROOT / 'config' / f'{name}.yaml').training.rays_per_step
        wanted = 250_000 / rays
        lines.append(
            f'| {name} | {cost.gathered / 1e6:.0f} | {cost.activations / 1e6:.0f} '
            f'| {cost.optimizer / 1e6:.0f} | {cost.targets / 1e6:.0f} | {cost.flops / 1e9:.0f} '
            f'| {1e3 * cost.bytes / H100_BYTES_PER_S:.2f} | {1e3 * cost.flops / H100_FLOPS:.2f} '
            f'| {1 / cost.least_s:.0f} | {wanted * cost.bytes / H100_BYTES_PER_S:.1%} '
            f'| {wanted * cost.flops / H100_FLOPS:.1%} |'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    print(table())
