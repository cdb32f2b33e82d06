"""Smaller tensors for the file of a submap that sleeps.

The moments of the optimiser live only where training goes on. Hash tables are kept in 8 bits, in
steps of their own for each few thousand entries, other weights in half precision, the surface as
`packed_surface` says. Pictures of keyframes become JPEG, their masks and their depth in
millimetres PNG, and only a few keyframes are kept, spread over all times. What repeats is
deflated.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lerf_ros.frames.compressed import (
    decode_depth,
    decode_mask,
    decode_rgb,
    encode_depth,
    encode_jpeg,
    encode_mask,
)
from lerf_ros.frames.encodings import metric_depth
from lerf_ros.keyframes.record import drawn_pixels, visible_of
from lerf_ros.maps.packed_surface import COLUMNS, packed, unpacked

# A camera in half precision would be off by millimetres.
_EXACT = ('surface/cameras_m', 'trainer/scene_box')
_SURFACE, _VOXEL = 'surface/', 'surface/voxel_m'
_MOMENTS = ('trainer/optimizer.', 'trainer/surface_optimizer.')
_COLOUR, _DEPTH, _VISIBLE = '.colour', '.depth', '.visible'
_TABLE, _STEPS = 'table', '_steps'
# Entries of a hash table that share a step: levels differ in size by orders of magnitude.
_BLOCK = 4096
_UNIT = 127.0
_JPEG_QUALITY = 92
_SHORT = torch.iinfo(torch.int16)
# Deflation that saves less than this share is not worth its time.
_WORTH = 0.95
_DEFLATION = 6

# How small tensors are brought back, as JSON: `types` by name, names of `tables`, whether the
# surface is packed, and type and shape of what is `deflated`.
Notes = dict[str, Any]


def compacted(
    tensors: Mapping[str, Tensor], pictures: Mapping[str, tuple[int, int]]
) -> tuple[dict[str, Tensor], Notes]:
    """Returns smaller tensors, and the notes by which :func:`restored` brings them back.

    Args:
        tensors: By ``group/name``.
        pictures: Height and width of each keyframe, by the name of its tensors without their end.
    """
    small: dict[str, Tensor] = {}
    types: dict[str, str] = {}
    tables: list[str] = []
    columns = {name: tensors[_SURFACE + name] for name in COLUMNS if _SURFACE + name in tensors}
    surface = len(columns) == len(COLUMNS)
    if surface:
        for name, value in packed(columns, float(tensors[_VOXEL])).items():
            small[_SURFACE + name] = value
    for name, value in tensors.items():
        if name.startswith(_MOMENTS) or name in small:
            continue
        keyframe, _, kind = name.rpartition('.')
        kept = value
        if keyframe in pictures and kind in ('colour', 'depth', 'visible'):
            kept = _picture(value, kind, pictures[keyframe])
        elif name.endswith(_TABLE) and value.dtype == torch.float32 and value.isfinite().all():
            kept, small[name + _STEPS] = _stepped(value)
            tables.append(name)
        elif name not in _EXACT and value.dtype == torch.float32 and value.numel():
            if float(value.abs().max()) < torch.finfo(torch.float16).max:
                kept = value.half()
        elif value.dtype == torch.int32 and _fits_short(value):
            kept = value.short()
        if kept.dtype != value.dtype and kept.shape == value.shape and name not in tables:
            types[name] = str(value.dtype).removeprefix('torch.')
        small[name] = kept
    small, deflated = _deflated(small)
    return small, {'types': types, 'tables': tables, 'surface': surface, 'deflated': deflated}


def restored(tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns tensors in the types they had, and pictures as pixels; some may be left out.

    Raises:
        ValueError: Something is damaged.
    """
    if not notes:
        return dict(tensors)
    inflated = {
        name: _inflated(value, name, *notes['deflated'][name])
        if name in notes['deflated']
        else value
        for name, value in tensors.items()
    }
    full: dict[str, Tensor] = {}
    if notes['surface'] and _VOXEL in inflated:
        columns = {name: inflated.pop(_SURFACE + name) for name in COLUMNS}
        for name, value in unpacked(columns, float(inflated[_VOXEL])).items():
            full[_SURFACE + name] = value
    steps = {f'{name}{_STEPS}' for name in notes['tables']}
    for name, value in inflated.items():
        if name in steps:
            continue
        if name in notes['types']:
            value = value.to(getattr(torch, notes['types'][name]))
        elif name in notes['tables']:
            value = _unstepped(value, inflated[name + _STEPS])
        elif name.endswith(_COLOUR) and value.dim() == 1:
            value = torch.from_numpy(decode_rgb(value.numpy().tobytes(), name)).reshape(-1, 3)
        elif name.endswith(_DEPTH) and value.dim() == 1:
            depth_m = metric_depth(decode_depth(value.numpy().tobytes(), name), 0.001)
            value = torch.from_numpy(depth_m).half().reshape(-1, 1)
        elif name.endswith(_VISIBLE) and value.dim() == 1:
            value = drawn_pixels(decode_mask(value.numpy().tobytes(), name))
        full[name] = value
    return full


def _picture(value: Tensor, kind: str, size: tuple[int, int]) -> Tensor:
    """Returns a column of a keyframe's pixels as the bytes of a picture."""
    if kind == 'colour':
        return _bytes(encode_jpeg(value.numpy().reshape(*size, 3), _JPEG_QUALITY))
    if kind == 'depth':
        return _bytes(encode_depth(value.float().numpy().reshape(size)))
    return _bytes(encode_mask(visible_of(value).reshape(size)))


def _stepped(table: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a table in whole steps, and the size of the steps of each block of its entries."""
    steps = torch.stack([block.abs().max() for block in table.split(_BLOCK)]) / _UNIT
    steps = steps.clamp(min=torch.finfo(torch.float32).tiny)
    by_row = steps.repeat_interleave(_BLOCK)[: len(table), None]
    return (table / by_row).round().to(torch.int8), steps


def _unstepped(table: Tensor, steps: Tensor) -> Tensor:
    return table.float() * steps.repeat_interleave(_BLOCK)[: len(table), None]


def _deflated(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[Any]]]:
    """Deflates what becomes smaller by it; also returns the types and shapes these had."""
    small: dict[str, Tensor] = {}
    before: dict[str, list[Any]] = {}
    for name, value in tensors.items():
        small[name] = value
        if value.numel() * value.element_size() < _BLOCK:
            continue
        # The first bytes of all numbers together, then the second ones: they resemble each other.
        flat = value.contiguous().flatten().view(torch.uint8)
        planes = flat.reshape(-1, value.element_size()).T
        data = zlib.compress(planes.contiguous().numpy().tobytes(), _DEFLATION)
        if len(data) < _WORTH * flat.numel():
            small[name] = _bytes(data)
            before[name] = [str(value.dtype).removeprefix('torch.'), *value.shape]
    return small, before


def _inflated(value: Tensor, name: str, type_name: str, *shape: int) -> Tensor:
    dtype = getattr(torch, type_name)
    try:
        data = _bytes(zlib.decompress(value.numpy().tobytes()))
        return data.reshape(dtype.itemsize, -1).T.contiguous().view(dtype).reshape(shape)
    except (zlib.error, RuntimeError) as error:
        raise ValueError(f'{name}: the map is damaged: {error}') from error


def _fits_short(value: Tensor) -> bool:
    return bool(value.numel()) and _SHORT.min <= int(value.min()) <= int(value.max()) <= _SHORT.max


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
