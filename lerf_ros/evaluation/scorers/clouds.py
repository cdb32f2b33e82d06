"""PLY meshes and PCD clouds, as public data sets have them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray
# Properties of an element of a PLY file by name; those that are lists have a second axis.
Properties = dict[str, Array]

_KINDS = {
    'i1': ('char', 'int8'),
    'u1': ('uchar', 'uint8'),
    'i2': ('short', 'int16'),
    'u2': ('ushort', 'uint16'),
    'i4': ('int', 'int32'),
    'u4': ('uint', 'uint32'),
    'f4': ('float', 'float32'),
    'f8': ('double', 'float64'),
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_ORDERS = {'ascii': '', 'binary_little_endian': '<', 'binary_big_endian': '>'}


def read_ply(path: Path | str) -> dict[str, Properties]:
    """Reads a PLY file, text or binary, whose lists are all of one length within a property.

    Raises:
        ValueError: The file is none, is cut short, or has lists of several lengths.
        OSError: It cannot be read.
    """
    with open(path, 'rb') as file:
        try:
            order, elements = _ply_header(file)
            read = _binary_element if order else _text_element
            return {
                name: read(file, count, properties, order) for name, count, properties in elements
            }
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f'{path}: expected a whole PLY file, got {error}') from error


def _ply_header(file: BinaryIO) -> tuple[str, list[tuple[str, int, list[list[str]]]]]:
    """Returns the order of bytes, empty for text, and name, rows and properties of elements."""
    if file.readline().strip() != b'ply':
        raise ValueError('something else')
    order = ''
    elements: list[tuple[str, int, list[list[str]]]] = []
    for line in iter(file.readline, b''):
        words = line.decode('ascii', 'replace').split()
        if words[:1] == ['format']:
            order = _ORDERS[words[1]]
        elif words[:1] == ['element']:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ['property']:
            elements[-1][2].append(words[1:])
        elif words[:1] == ['end_header']:
            return order, elements
    raise ValueError('a header without an end')


def _binary_element(
    file: BinaryIO, count: int, properties: list[list[str]], order: str
) -> Properties:
    """Reads rows that are all as long as the first one."""
    start = file.tell()
    fields: list[tuple] = []
    for words in properties:
        if words[0] != 'list':
            fields.append((words[1], order + _KIND_OF[words[0]]))
            continue
        length_kind = np.dtype(order + _KIND_OF[words[1]])
        file.seek(start + np.dtype(fields).itemsize)
        first = np.frombuffer(file.read(length_kind.itemsize), length_kind) if count else [0]
        fields.append((f'{words[3]} length', length_kind))
        fields.append((words[3], order + _KIND_OF[words[2]], (int(first[0]),)))
    kind = np.dtype(fields)
    file.seek(start)
    data = file.read(count * kind.itemsize)
    if len(data) < count * kind.itemsize:
        raise ValueError(f'{len(data)} bytes where {count * kind.itemsize} should be')
    rows = np.frombuffer(data, kind)
    for words in properties:
        if words[0] == 'list':
            _require_one_length(rows[f'{words[3]} length'])
    return {words[-1]: rows[words[-1]] for words in properties}


def _text_element(
    file: BinaryIO, count: int, properties: list[list[str]], order: str
) -> Properties:
    lines = [line.decode('ascii', 'replace').split() for line in itertools.islice(file, count)]
    if len(lines) < count:
        raise ValueError(f'{len(lines)} lines where {count} should be')
    _require_one_length(np.array([len(line) for line in lines]))
    table = np.array(lines, np.float64).reshape(count, -1)
    found: Properties = {}
    column = 0
    for words in properties:
        kind = _KIND_OF[words[-2]]
        if words[0] == 'list':
            _require_one_length(table[:, column])
            length = int(table[0, column]) if count else 0
            found[words[-1]] = table[:, column + 1 : column + 1 + length].astype(kind)
            column += 1 + length
        else:
            found[words[-1]] = table[:, column].astype(kind)
            column += 1
    return found


def _require_one_length(lengths: Array) -> None:
    if len(lengths) and (lengths != lengths[0]).any():
        raise ValueError('lists of several lengths; cut the faces into triangles')


def ply_positions(vertices: Properties) -> Float[Array, 'n 3']:
    """Returns where the vertices of a PLY file are."""
    return np.stack([vertices[axis] for axis in 'xyz'], axis=1).astype(np.float64)


def write_quads(
    path: Path | str, corners: Float[Array, 'q 4 3'], object_ids: Int[Array, ' q']
) -> None:
    """Writes faces of four corners, each of an object, as a binary PLY mesh."""
    vertices = np.ascontiguousarray(corners, '<f4').reshape(-1, 3)
    faces = np.empty(
        len(corners), [('length', 'u1'), ('vertex_indices', '<i4', 4), ('object_id', '<i4')]
    )
    faces['length'] = 4
    faces['vertex_indices'] = np.arange(len(vertices)).reshape(-1, 4)
    faces['object_id'] = object_ids
    axes = ''.join(f'property float {axis}\n' for axis in 'xyz')
    header = (
        f'ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{axes}'
        f'element face {len(faces)}\nproperty list uchar int vertex_indices\n'
        'property int object_id\nend_header\n'
    )
    Path(path).write_bytes(header.encode() + vertices.tobytes() + faces.tobytes())


def read_pcd(path: Path | str) -> Float[Array, 'n 3']:
    """Reads the positions of a PCD cloud, text or binary.

    Raises:
        ValueError: The file is none, is cut short, is compressed, or has no x, y and z.
        OSError: It cannot be read.
    """
    with open(path, 'rb') as file:
        header: dict[str, list[str]] = {}
        for line in iter(file.readline, b''):
            words = line.decode('ascii', 'replace').split()
            if words and not words[0].startswith('#'):
                header[words[0].upper()] = words[1:]
            if 'DATA' in header:
                break
        try:
            count = int(header['POINTS'][0])
            lengths = [int(n) for n in header.get('COUNT', ['1'] * len(header['FIELDS']))]
            fields = [
                (f'{name} {number}', f'<{kind.lower()}{size}', (length,))
                for number, (name, kind, size, length) in enumerate(
                    zip(header['FIELDS'], header['TYPE'], header['SIZE'], lengths, strict=True)
                )
            ]
            columns = [header['FIELDS'].index(axis) for axis in 'xyz']
            if header['DATA'] == ['binary']:
                rows = np.frombuffer(file.read(), np.dtype(fields), count)
                axes = [rows[fields[column][0]][:, 0] for column in columns]
            elif header['DATA'] == ['ascii']:
                table = np.loadtxt(file, ndmin=2)[:count]
                starts = np.cumsum([0, *lengths])
                axes = [table[:, starts[column]] for column in columns]
            else:
                raise ValueError(f'data that is {header["DATA"][0]}; write it as binary')
            return np.stack(axes, axis=1).astype(np.float64)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f'{path}: expected a whole PCD cloud, got {error}') from error


def write_pcd(path: Path | str, positions: Float[Array, 'n 3']) -> None:
    """Writes positions as a binary PCD cloud."""
    header = (
        'VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n'
        f'WIDTH {len(positions)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n'
        f'POINTS {len(positions)}\nDATA binary\n'
    )
    Path(path).write_bytes(header.encode() + np.ascontiguousarray(positions, '<f4').tobytes())
