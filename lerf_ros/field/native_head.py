"""Unit embeddings of points at several scales in C++: the fast twin of a language head.

Hidden values of all points at all scales are the largest numbers of an answer. Here they never
reach memory.
"""

from __future__ import annotations

import ctypes
import functools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.field.language import LanguageHead, encode_scale
from lerf_ros.field.native import NativeUnavailable, load_library, pointer
from lerf_ros.field.threads import native_threads


@functools.cache
def native_lanes() -> int:
    """Returns how many numbers the native code computes at once here; 0 without native code."""
    try:
        return int(load_library('language_head').lerf_head_lanes())
    except NativeUnavailable:
        return 0


def suits_native_head(head: LanguageHead, features: Float[Tensor, 'n f']) -> bool:
    """Tells whether the native code knows this kind of head and is faster than torch."""
    return (
        features.device.type == 'cpu'
        and features.dtype == head.feature_layer.weight.dtype == torch.float32
        and len(head.hidden) == 0
        and type(head.last) is nn.Linear
        and native_lanes() >= 8
    )


@torch.no_grad()
def native_unit_embeddings(
    head: LanguageHead,
    features: Float[Tensor, 'n f'],
    scales_m: Float[Tensor, ' s'],
    lanes: int | None = None,
) -> Float[Tensor, 'n s d']:
    """Returns unit embeddings of points at every scale.

    Args:
        head: The head, see :func:`suits_native_head`.
        features: Language features of the points.
        scales_m: The scales.
        lanes: How many numbers are computed at once: 4, 8 or 16, no more than
            :func:`native_lanes`, which it is if None.
    """
    points = head.feature_layer(features).contiguous()
    scales = head.scale_layer(encode_scale(scales_m)).contiguous()
    weight, bias = head.last.weight.contiguous(), head.last.bias.contiguous()
    result = torch.empty(len(points), len(scales), len(bias))
    load_library('language_head').lerf_head_embeddings(
        pointer(points),
        ctypes.c_int64(len(points)),
        pointer(scales),
        ctypes.c_int(len(scales)),
        pointer(weight),
        pointer(bias),
        *map(ctypes.c_int, (weight.shape[1], len(bias), lanes or native_lanes())),
        pointer(result),
        ctypes.c_int(native_threads()),
    )
    return result
