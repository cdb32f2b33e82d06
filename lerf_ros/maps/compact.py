"""Smaller tensors for the file of a submap that sleeps.

The moments of the optimiser live only where training goes on. Numbers are halved where that costs
less than training moves them: weights and means of the surface to half precision, counts to 16
bits. Pictures of keyframes become JPEG, their masks and their depth in millimetres PNG, and only a
few keyframes are kept, spread over all times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
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

# A position of the surface in half precision would be off by millimetres.
_EXACT = ('surface/positions', 'surface/cameras_m', 'trainer/scene_box')
_MOMENTS = ('trainer/optimizer.', 'trainer/surface_optimizer.')
_COLOUR, _DEPTH, _VISIBLE = '.colour', '.depth', '.visible'
_JPEG_QUALITY = 92
_SHORT = torch.iinfo(torch.int16)


def spread(described: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Returns at most so many keyframes, evenly over their order, the last one among them."""
    if len(described) <= count:
        return described
    chosen = np.linspace(0, len(described) - 1, count).round().astype(int)
    return [described[index] for index in sorted(set(chosen.tolist()))]


def compacted(
    tensors: Mapping[str, Tensor], pictures: Mapping[str, tuple[int, int]]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns smaller tensors, and the types to which :func:`restored` brings them back.

    Args:
        tensors: By ``group/name``.
        pictures: Height and width of each keyframe, by the name of its tensors without their end.
    """
    small: dict[str, Tensor] = {}
    types: dict[str, str] = {}
    for name, value in tensors.items():
        if name.startswith(_MOMENTS):
            continue
        kept = value
        keyframe, _, kind = name.rpartition('.')
        if keyframe in pictures and kind == 'colour':
            image = value.numpy().reshape(*pictures[keyframe], 3)
            kept = _bytes(encode_jpeg(image, _JPEG_QUALITY))
        elif keyframe in pictures and kind == 'depth':
            kept = _bytes(encode_depth(value.float().numpy().reshape(pictures[keyframe])))
        elif keyframe in pictures and kind == 'visible':
            kept = _bytes(encode_mask(visible_of(value).reshape(pictures[keyframe])))
        elif name not in _EXACT and value.dtype == torch.float32 and value.numel():
            if float(value.abs().max()) < torch.finfo(torch.float16).max:
                kept = value.half()
        elif value.dtype == torch.int32 and _fits_short(value):
            kept = value.short()
        if kept.dtype != value.dtype and kept.shape == value.shape:
            types[name] = str(value.dtype).removeprefix('torch.')
        small[name] = kept
    return small, types


def restored(tensors: Mapping[str, Tensor], types: Mapping[str, str]) -> dict[str, Tensor]:
    """Returns tensors in the types they had, and pictures as pixels.

    Raises:
        ValueError: A picture is damaged.
    """
    full: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name in types:
            value = value.to(getattr(torch, types[name]))
        elif name.endswith(_COLOUR) and value.dim() == 1:
            value = torch.from_numpy(decode_rgb(value.numpy().tobytes(), name)).reshape(-1, 3)
        elif name.endswith(_DEPTH) and value.dim() == 1:
            depth_m = metric_depth(decode_depth(value.numpy().tobytes(), name), 0.001)
            value = torch.from_numpy(depth_m).half().reshape(-1, 1)
        elif name.endswith(_VISIBLE) and value.dim() == 1:
            value = drawn_pixels(decode_mask(value.numpy().tobytes(), name))
        full[name] = value
    return full


def _fits_short(value: Tensor) -> bool:
    return bool(value.numel()) and _SHORT.min <= int(value.min()) <= int(value.max()) <= _SHORT.max


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
