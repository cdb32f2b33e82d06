"""The hash grid in C++ with OpenMP, through ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.native import load_library, pointer
from lerf_ros.field.threads import native_threads

# Positions, and the gradient of their features.
Sink = list[tuple[Tensor, Tensor]]


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
    def forward(ctx, positions, table, layout, sink):
        flat = _floats(positions)
        out = torch.empty(flat.shape[0], layout.width)
        load_library().lerf_hash_grid_forward(
            pointer(flat),
            ctypes.c_int64(flat.shape[0]),
            pointer(_floats(table)),
            *_LevelArrays.of(layout).arguments,
            pointer(out),
            ctypes.c_int(native_threads()),
        )
        ctx.save_for_backward(flat, table)
        ctx.layout, ctx.sink = layout, sink
        return out

    @staticmethod
    def backward(ctx, grad_out):
        positions, table = ctx.saved_tensors
        library, arrays = load_library(), _LevelArrays.of(ctx.layout)
        count = ctypes.c_int64(positions.shape[0])
        threads = ctypes.c_int(native_threads())
        grad_out = _floats(grad_out)
        grad_table = None
        if ctx.needs_input_grad[1] and ctx.sink is not None:
            ctx.sink.append((positions, grad_out))
        elif ctx.needs_input_grad[1]:
            grad_table = torch.zeros_like(table, dtype=torch.float32)
            library.lerf_hash_grid_backward_table(
                pointer(positions),
                count,
                pointer(grad_out),
                *arrays.arguments,
                pointer(grad_table),
                threads,
            )
        return None, grad_table, None, None


def encode(
    positions: Float[Tensor, 'n 3'],
    table: Float[Tensor, 'entries features'],
    layout: GridLayout,
    sink: Sink | None = None,
) -> Float[Tensor, 'n width']:
    """Returns the interpolated features of each position, with gradients of the table only.

    Args:
        positions: Positions in [0, 1]^3.
        table: Entries of all levels.
        layout: Levels of the grid.
        sink: Where positions and the gradients of their features are kept for
            :class:`TableAdam`, instead of a gradient of the table in ``table.grad``.
    """
    return _Encode.apply(positions, table, layout, sink)


class TableAdam:
    """Adam for tables, on the entries that were touched.

    It takes the gradients of features and sums those of entries itself, level by level, while a
    level is in the processor's cache.

    Args:
        tables: Tables of hash grids on the CPU, each with its layout.
        betas: Decay of the two moments.
        epsilon: Added to the root of the second moment.

    Attributes:
        sinks: Where :func:`encode` keeps gradients, one a table.
        steps: Number of steps so far.
    """

    def __init__(
        self,
        tables: Sequence[tuple[Tensor, GridLayout]],
        betas: tuple[float, float] = (0.9, 0.99),
        epsilon: float = 1e-15,
    ) -> None:
        self._tables, self._betas, self._epsilon = list(tables), betas, epsilon
        self.sinks: list[Sink] = [[] for _ in tables]
        self._moments = [
            tuple(torch.zeros_like(table, requires_grad=False) for _ in range(2))
            for table, _ in tables
        ]
        self.steps = 0

    def moments(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Returns each table with its first and second moments; to be written into, if need be."""
        return [
            (table, *moments)
            for (table, _), moments in zip(self._tables, self._moments, strict=True)
        ]

    def step(self, rate: float) -> None:
        """Moves the touched entries and empties the sinks."""
        self.steps += 1
        for (table, layout), moments, sink in zip(
            self._tables, self._moments, self.sinks, strict=True
        ):
            if not sink:
                continue
            positions, grads = zip(*sink, strict=True)
            pointers = ctypes.c_void_p * len(sink)
            load_library().lerf_hash_grid_learn(
                pointers(*(tensor.data_ptr() for tensor in positions)),
                (ctypes.c_int64 * len(sink))(*map(len, positions)),
                pointers(*(tensor.data_ptr() for tensor in grads)),
                ctypes.c_int(len(sink)),
                *_LevelArrays.of(layout).arguments,
                *map(pointer, (table, *moments)),
                ctypes.c_int64(self.steps),
                *(ctypes.c_float(x) for x in (rate, *self._betas, self._epsilon)),
                ctypes.c_int(native_threads()),
            )
            sink.clear()

    def discard(self) -> None:
        """Empties the sinks."""
        for sink in self.sinks:
            sink.clear()
