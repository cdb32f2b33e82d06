"""The hash grid of tiny-cuda-nn, on CUDA, with the shared table."""

from __future__ import annotations

import functools

import tinycudann
import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.field.encoding.layout import GridLayout


@functools.lru_cache(maxsize=32)
def _module(layout: GridLayout) -> torch.nn.Module:
    """Returns tiny-cuda-nn's own module for a layout.

    Raises:
        ValueError: It lays the levels out otherwise than this package does.
    """
    encoding = tinycudann.Encoding(
        3,
        {
            'otype': 'HashGrid',
            'n_levels': layout.levels,
            'n_features_per_level': layout.features,
            'log2_hashmap_size': layout.table_log2,
            'base_resolution': layout.min_resolution,
            'per_level_scale': layout.growth,
            'interpolation': 'Linear',
        },
    )
    expected = layout.entries * layout.features
    if encoding.params.numel() != expected:
        raise ValueError(
            f'tinycudann: expected {expected} parameters for {layout}, '
            f'got {encoding.params.numel()}; set field.backend to triton'
        )
    return encoding


def encode(
    positions: Float[Tensor, 'n 3'], table: Float[Tensor, 'entries features'], layout: GridLayout
) -> Float[Tensor, 'n width']:
    """Returns the interpolated features of each position, as float32."""
    # The module's own parameters are never trained: the table takes their place in this call.
    return torch.func.functional_call(
        _module(layout), {'params': table.reshape(-1)}, (positions.contiguous(),)
    ).float()
