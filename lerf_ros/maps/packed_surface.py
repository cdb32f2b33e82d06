"""The surface of a submap that sleeps: about a tenth of its columns in memory.

Rows are sorted by voxel. A position is kept as its place within its voxel, in 255ths of the side;
colours and normals in 8 bits; looks that found or missed a point in eighths. Everything else is
exact. What repeats from row to row, such as which keyframes saw a point, is left to the deflation
of the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from lerf_ros.surface.depth_view import voxel_corners

Array = np.ndarray

_PLACE, _UNIT, _LOOKS = 255.0, 127.0, 8.0
_WITHIN = 1e-3
_NARROW = {'views': np.int16, 'last_seen': np.int16, 'seen_by': np.int16}
COLUMNS = (
    'keys',
    'positions',
    'colours',
    'normals',
    'heights',
    'weight',
    'views',
    'hits',
    'misses',
    'last_seen',
    'seen_by',
)


def packed(columns: Mapping[str, Tensor], voxel_m: float) -> dict[str, Tensor]:
    """Returns the columns of a surface in few bytes.

    Args:
        columns: Those of `surface.voxels`, by name.
        voxel_m: Side of the voxels.
    """
    order = np.argsort(columns['keys'].numpy(), kind='stable')
    values = {name: columns[name].numpy()[order] for name in COLUMNS}
    inside = (values['positions'] - voxel_corners(values['keys'], voxel_m)) / voxel_m
    small: dict[str, Array] = {
        # Differences of sorted keys repeat; keys do not.
        'keys': np.diff(values['keys'], prepend=0),
        'positions': _bytes(inside * _PLACE),
        'colours': _bytes(values['colours']),
        'normals': np.clip(np.rint(values['normals'] * _UNIT), -_UNIT, _UNIT).astype(np.int8),
        'heights': values['heights'].astype(np.float16),
        'weight': _bytes(values['weight']),
        'hits': _bytes(values['hits'] * _LOOKS),
        'misses': _bytes(values['misses'] * _LOOKS),
    }
    for name, narrow in _NARROW.items():
        fits = values[name].max(initial=0) <= np.iinfo(narrow).max
        small[name] = values[name].astype(narrow) if fits else values[name]
    # Newest first: in memory they lie in a ring, here neighbouring rows look alike.
    small['seen_by'] = -np.sort(-small['seen_by'], axis=1)
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in small.items()}


def unpacked(small: Mapping[str, Tensor], voxel_m: float) -> dict[str, Tensor]:
    """Returns the columns that :func:`packed` made small, in the order of their keys."""
    values = {name: small[name].numpy() for name in COLUMNS}
    keys = np.cumsum(values['keys'], dtype=np.int64)
    ring = values['views'][:, None].astype(np.int64) - 1 - np.arange(values['seen_by'].shape[1])
    # Never on the side of a voxel: rounded, that may be in the next one.
    inside = np.clip(values['positions'] / _PLACE, _WITHIN, 1 - _WITHIN)
    full: dict[str, Array] = {
        'keys': keys,
        'positions': voxel_corners(keys, voxel_m) + inside * voxel_m,
        'colours': values['colours'],
        'normals': values['normals'] / _UNIT,
        'heights': values['heights'],
        'weight': values['weight'],
        'hits': values['hits'] / _LOOKS,
        'misses': values['misses'] / _LOOKS,
        'views': values['views'],
        'last_seen': values['last_seen'],
        'seen_by': np.take_along_axis(values['seen_by'], ring % ring.shape[1], axis=1),
    }
    whole = {'keys': np.int64, 'views': np.int32, 'last_seen': np.int32, 'seen_by': np.int32}
    return {
        name: torch.from_numpy(np.ascontiguousarray(value, dtype=whole.get(name, np.float32)))
        for name, value in full.items()
    }


def _bytes(values: Array) -> Array:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
