"""Clouds as PLY files: positions in metres, colour, and relevancy where there is one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

Array = np.ndarray


def ply_bytes(
    positions: Float[Array, 'n 3'],
    colours: UInt8[Array, 'n 3'],
    relevancy: Float[Array, ' n'] | None = None,
) -> bytes:
    """Returns a cloud as a binary PLY file."""
    columns = [(name, '<f4', 'float', positions[:, axis]) for axis, name in enumerate('xyz')]
    for axis, name in enumerate(('red', 'green', 'blue')):
        columns.append((name, 'u1', 'uchar', colours[:, axis]))
    if relevancy is not None:
        columns.append(('relevancy', '<f4', 'float', relevancy))
    vertices = np.empty(len(positions), [(name, kind) for name, kind, _, _ in columns])
    for name, _, _, values in columns:
        vertices[name] = values
    properties = ''.join(f'property {kind} {name}\n' for name, _, kind, _ in columns)
    header = f'ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{properties}'
    return f'{header}end_header\n'.encode() + vertices.tobytes()
