"""The hash grid in C++ with OpenMP, through ctypes."""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.native import load_library


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


class _LevelArrays:
    """The layout as C arrays, built once a layout."""

    _made: dict[GridLayout, _LevelArrays] = {}  # noqa: RUF012  a cache, never configured

    def __init__(self, layout: GridLayout) -> None:
        self._arrays = (
            np.array(layout.scales, np.float32),
            np.array(layout.resolutions, np.int64),
            np.array(layout.firsts, np.int64),
        )
        self.arguments = (
            *(array.ctypes.data_as(ctypes.c_void_p) for array in self._arrays),
            ctypes.c_int(layout.levels),
            ctypes.c_int(layout.features),
        )

    @classmethod
    def of(cls, layout: GridLayout) -> _LevelArrays:
        if layout not in cls._made:
            cls._made[layout] = cls(layout)
        return cls._made[layout]


def _floats(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32).contiguous()


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, positions, table, layout):
        flat = _floats(positions)
        out = torch.empty(flat.shape[0], layout.width)
        load_library().lerf_hash_grid_forward(
            _pointer(flat),
            ctypes.c_int64(flat.shape[0]),
            _pointer(_floats(table)),
            *_LevelArrays.of(layout).arguments,
            _pointer(out),
            ctypes.c_int(torch.get_num_threads()),
        )
        ctx.save_for_backward(flat, table)
        ctx.layout = layout
        return out

    @staticmethod
    def backward(ctx, grad_out):
        positions, table = ctx.saved_tensors
        library, arrays = load_library(), _LevelArrays.of(ctx.layout)
        count = ctypes.c_int64(positions.shape[0])
        threads = ctypes.c_int(torch.get_num_threads())
        grad_out = _floats(grad_out)
        grad_positions = grad_table = None
        if ctx.needs_input_grad[0]:
            grad_positions = torch.empty_like(positions)
            library.lerf_hash_grid_backward_positions(
                _pointer(positions),
                count,
                _pointer(_floats(table)),
                _pointer(grad_out),
                *arrays.arguments,
                _pointer(grad_positions),
                threads,
            )
        if ctx.needs_input_grad[1]:
            grad_table = torch.zeros_like(table, dtype=torch.float32)
            library.lerf_hash_grid_backward_table(
                _pointer(positions),
                count,
                _pointer(grad_out),
                *arrays.arguments,
                _pointer(grad_table),
                threads,
            )
        return grad_positions, grad_table, None


def encode(
    positions: Float[Tensor, 'n 3'], table: Float[Tensor, 'entries features'], layout: GridLayout
) -> Float[Tensor, 'n width']:
    """Returns the interpolated features of each position, with gradients of both inputs."""
    return _Encode.apply(positions, table, layout)
