"""How much memory training takes, known before it begins."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from lerf_ros.config import VARIANTS, LerfConfig, load_variant
from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.language import grid_layouts
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox

_log = logging.getLogger(__name__)

# What torch, its libraries and the encoder hold beside the field, by kind of device.
_FIXED_MB = {'cpu': 450, 'cuda': 1200}


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory that training will take on its device, in MB.

    Attributes:
        weights: Weights with gradients and the optimiser's two moments.
        step: What one step keeps for its backward pass.
        keyframes: Budget of the keyframe store.
        fixed: Libraries and encoder.
    """

    weights: float
    step: float
    keyframes: float
    fixed: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.weights + self.step + self.keyframes + self.fixed


def estimate_memory(
    config: LerfConfig, embedding_size: int, dense_size: int = 0, device: str = 'cpu'
) -> MemoryEstimate:
    """Returns the memory that training with these options takes."""
    count, of_language = _count_weights(config, embedding_size, dense_size)
    field, training = config.field, config.training
    samples = field.coarse_samples + field.guided_samples
    grid_width = field.levels * field.features_per_level
    language_width = sum(layout.width for layout in grid_layouts(field))
    kind = 'cuda' if device.startswith('cuda') else 'cpu'
    # Floats kept for each sample: position, grid features, geometry, and the hidden layers, of
    # which the CPU's density network keeps none.
    per_sample = 3 + 2 * grid_width + 2 * field.geometry_features + 12
    if kind == 'cuda':
        per_sample += 2 * field.geometry_width
    if field.colour_decode == 'sample':
        per_sample += 3 * field.colour_width
    per_language_ray = field.language_samples * (3 + 2 * language_width)
    decoded = field.language_samples if field.language_decode == 'sample' else 1
    per_language_ray += decoded * (
        2 * field.language_depth * field.language_width + 4 * (embedding_size + dense_size)
    )
    language_rays = min(training.language_rays_per_step, training.rays_per_step)
    floats = training.rays_per_step * (samples * per_sample + 8 * field.proposal_samples)
    floats += language_rays * per_language_ray
    # A weight, its gradient and two moments; and the mean of language that questions read.
    mean = of_language if training.mean_steps else 0
    return MemoryEstimate(
        weights=(count * 16 + mean * 4) / 2**20,
        # Forward values, and about as much again in gradients while they are made.
        step=floats * 4 * 2 / 2**20,
        keyframes=training.store_device_mb,
        fixed=_FIXED_MB[kind],
    )


def _count_weights(config: LerfConfig, embedding_size: int, dense_size: int) -> tuple[int, int]:
    """Returns the number of weights of the field, and of those of its language.

    Its tables are not made.
    """
    options = config.field
    small = {
        'field.table_log2': 8,
        'field.language_table_log2': 8,
        'field.proposal_table_log2': 8,
        'field.backend': 'torch',
    }
    field = LerfField(
        config.replace(small).field, SceneBox((0, 0, 0), 1.0), embedding_size, dense_size
    )
    networks = {
        name: parameter.numel()
        for name, parameter in field.named_parameters()
        if not name.endswith('.table')
    }
    layouts = [
        GridLayout(
            options.levels,
            options.features_per_level,
            options.min_resolution,
            options.max_resolution,
            options.table_log2,
        ),
        GridLayout(
            options.proposal_levels,
            2,
            options.min_resolution,
            options.proposal_max_resolution,
            options.proposal_table_log2,
        ),
    ]
    of_language = _entries(grid_layouts(options)) + sum(
        count for name, count in networks.items() if name.startswith('language.')
    )
    others = sum(count for name, count in networks.items() if not name.startswith('language.'))
    return of_language + others + _entries(layouts), of_language


def _entries(layouts: Iterable[GridLayout]) -> int:
    return sum(layout.entries * layout.features for layout in layouts)


def available_mb(device: torch.device) -> float:
    """Returns the free memory of a device."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0] / 2**20
    try:
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**20


def check_memory(
    config: LerfConfig, embedding_size: int, device: torch.device, dense_size: int = 0
) -> MemoryEstimate:
    """Warns where training will not fit on the device, and names the variant that does.

    Returns:
        The estimate.
    """
    estimate = estimate_memory(config, embedding_size, dense_size, device.type)
    free_mb = available_mb(device)
    _log.info(
        'memory: about %.0f MB to train on %s (%.0f weights, %.0f a step, up to %.0f keyframes), '
        '%.0f MB free',
        estimate.total,
        device,
        estimate.weights,
        estimate.step,
        estimate.keyframes,
        free_mb,
    )
    if estimate.total > free_mb:
        fitting = largest_fitting_variant(free_mb, device)
        advice = f'the variant {fitting} fits' if fitting else 'no variant fits'
        _log.warning(
            'memory: these options need about %.0f MB on %s, %.0f MB are free; %s, '
            'or lower training.rays_per_step, field.language_table_log2 or '
            'training.store_device_mb',
            estimate.total,
            device,
            free_mb,
            advice,
        )
    return estimate


def largest_fitting_variant(free_mb: float, device: torch.device) -> str | None:
    """Returns the largest variant in ``config/`` that fits, None if none does."""
    for name in reversed(VARIANTS):
        config = load_variant(name)
        sizes = {'tabletop': 64, 'ViT-L-14': 768}
        size = sizes.get(config.features.encoder, 512)
        if estimate_memory(config, size, 0, device.type).total <= free_mb:
            return name
    return None
