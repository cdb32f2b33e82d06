"""Point clouds to messages and back: ``x y z`` in metres, packed ``rgb``, ``relevancy``.

Coordinates are ``FLOAT32``, as RViz wants them; where that tells no tenths of a millimetre, as in
UTM's frame, they are ``FLOAT64``.
"""

from __future__ import annotations

import array

import numpy as np
from jaxtyping import Float, UInt8
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from lerf_ros.surface.points import world_positions

# RViz and PCL read `rgb` as a float whose bytes are b, g, r, 0.
SURFACE_FIELDS = (('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4'))
RELEVANCY_FIELDS = (*SURFACE_FIELDS, ('relevancy', '<f4'))
NUMPY_TYPES = {
    PointField.INT8: 'i1',
    PointField.UINT8: 'u1',
    PointField.INT16: 'i2',
    PointField.UINT16: 'u2',
    PointField.INT32: 'i4',
    PointField.UINT32: 'u4',
    PointField.FLOAT32: 'f4',
    PointField.FLOAT64: 'f8',
}


def cloud_message(
    positions: Float[np.ndarray, 'n 3'],
    colours: UInt8[np.ndarray, 'n 3'],
    relevancy: Float[np.ndarray, ' n'] | None,
    header: Header,
) -> PointCloud2:
    """Returns a cloud message; points with NaN are left out, so that it is dense."""
    finite = np.isfinite(positions).all(axis=1)
    if not finite.all():
        positions, colours = positions[finite], colours[finite]
        relevancy = None if relevancy is None else relevancy[finite]
    fields: tuple[tuple[str, str], ...] = SURFACE_FIELDS if relevancy is None else RELEVANCY_FIELDS
    positions = world_positions(positions)
    if positions.dtype == np.float64:
        fields = tuple((name, '<f8' if name in 'xyz' else kind) for name, kind in fields)
    layout = np.dtype(list(fields))
    points = np.empty(len(positions), layout)
    for axis, name in enumerate('xyz'):
        points[name] = positions[:, axis]
    red, green, blue = colours.astype(np.uint32).T
    points['rgb'] = (red << 16) | (green << 8) | blue
    if relevancy is not None:
        points['relevancy'] = relevancy
    message = PointCloud2(header=header, height=1, width=len(points), is_dense=True)
    message.point_step = layout.itemsize
    message.row_step = layout.itemsize * len(points)
    message.fields = [
        PointField(
            name=name,
            offset=layout.fields[name][1],  # type: ignore[index]
            datatype=PointField.FLOAT64 if kind == '<f8' else PointField.FLOAT32,
            count=1,
        )
        for name, kind in fields
    ]
    # An array.array is taken as it is; any other sequence is copied byte by byte in Python.
    message.data = array.array('B', points.tobytes())
    return message


def cloud_array(message: PointCloud2) -> np.ndarray:
    """Returns the points of a cloud message as a structured array with its field names.

    Raises:
        ValueError: Fields, steps and data do not fit together.
    """
    order = '>' if message.is_bigendian else '<'
    try:
        layout = np.dtype(
            {
                'names': [field.name for field in message.fields],
                'formats': [
                    (order + NUMPY_TYPES[field.datatype], field.count)
                    if field.count > 1
                    else order + NUMPY_TYPES[field.datatype]
                    for field in message.fields
                ],
                'offsets': [field.offset for field in message.fields],
                'itemsize': message.point_step,
            }
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f'cloud: malformed fields: {error}') from error
    row_bytes = message.width * message.point_step
    if message.row_step < row_bytes or len(message.data) != message.row_step * message.height:
        raise ValueError(
            f'cloud: expected {message.height} rows of at least {row_bytes} bytes, got row_step '
            f'{message.row_step} and {len(message.data)} bytes'
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.row_step)
    return np.ascontiguousarray(rows[:, :row_bytes]).reshape(-1).view(layout)


def cloud_colours(points: np.ndarray) -> UInt8[np.ndarray, 'n 3']:
    """Returns the RGB of points with a packed ``rgb`` field."""
    packed = np.ascontiguousarray(points['rgb']).view('<u4')
    return np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)
