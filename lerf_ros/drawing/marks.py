"""Places, boxes and words drawn into pictures."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.drawing.heat_maps import Array, Picture
from lerf_ros.geometry import PinholeCamera, inverse_transform, project, transform_points
from lerf_ros.query.request import Maximum

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# Marks farther out than this are not drawn: OpenCV takes no greater numbers.
MAX_PX = 1e4
# Edges of a box, by the numbers of their corners.
EDGES = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]


def mark_maximum(
    picture: Picture,
    maximum: Maximum,
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    label: str = '',
) -> Picture:
    """Returns the picture with a maximum's box, its position, and a label drawn in."""
    result = picture.copy()
    corners = box_corners(maximum.box_to_world, maximum.box_size_m)
    uv, depth_m = project(camera, transform_points(inverse_transform(camera_to_world), corners))
    for first, second in EDGES:
        if depth_m[first] > 0 and depth_m[second] > 0:
            _line(result, uv[first], uv[second])
    return mark_place(result, maximum.position_m, camera, camera_to_world, label)


def mark_place(
    picture: Picture,
    position_m: Float[Array, '3'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    label: str = '',
) -> Picture:
    """Returns the picture with a cross at a place of the world, if it lies before the camera."""
    result = np.ascontiguousarray(picture).copy()
    point_camera = transform_points(inverse_transform(camera_to_world), position_m[None])
    uv, depth_m = project(camera, point_camera)
    if depth_m[0] > 0 and np.abs(uv).max() < MAX_PX:
        draw_cross(result, uv[0], label)
    return result


def box_corners(
    box_to_world: Float[Array, '4 4'], size_m: Float[Array, '3']
) -> Float[Array, '8 3']:
    """Returns the corners of a box; corner i lies at the high end of axis k if bit k of i is 1."""
    signs = np.array([[(i >> axis & 1) - 0.5 for axis in range(3)] for i in range(8)])
    return transform_points(box_to_world, signs * size_m)


def _line(picture: Picture, first: Array, second: Array) -> None:
    a, b = (tuple(round(float(x)) for x in uv) for uv in (first, second))
    cv2.line(picture, a, b, BLACK, 3, cv2.LINE_AA)
    cv2.line(picture, a, b, WHITE, 1, cv2.LINE_AA)


def draw_cross(picture: Picture, uv: Float[Array, '2'], label: str) -> None:
    """Draws a cross with a label at a pixel, in place."""
    at = tuple(round(float(x)) for x in uv)
    size = max(9, picture.shape[0] // 24)
    for colour, width in ((BLACK, 4), (WHITE, 2)):
        cv2.drawMarker(picture, at, colour, cv2.MARKER_CROSS, size, width, cv2.LINE_AA)
        if label:
            where = (at[0] + size // 2 + 2, at[1] - size // 2)
            cv2.putText(picture, label, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width)
