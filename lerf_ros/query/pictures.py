"""Pictures of answers: heat maps over a view, maxima marked, the cloud from above.

Pictures are uint8 RGB. Relevancy is in [0, 1], NaN where unknown.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.spatial import cKDTree

from lerf_ros.geometry import PinholeCamera, inverse_transform, project, transform_points
from lerf_ros.query.request import Maximum

Array = np.ndarray
Picture = UInt8[Array, 'height width 3']

MAPPINGS = ('raw', 'centred', 'normalised')
HEAT_SHARE = 0.6
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
BACKGROUND = 24
# Marks farther out than this are not drawn: OpenCV takes no greater numbers.
MAX_PX = 1e4


def levels(
    relevancy: Float[Array, '*n'], mapping: str = 'centred', top: float | None = None
) -> Float[Array, '*n']:
    """Returns relevancy as brightness of a colour map, in [0, 1]; NaN becomes 0.

    Args:
        relevancy: Relevancy.
        mapping: 'raw' as it is; 'centred' shows only what is closer to the phrase than to every
            negative, ``clip(2 (r - 0.5), 0, 1)``; 'normalised' is centred, then divided by its
            maximum, so that the best place is always bright (LERF's viewer).
        top: Relevancy that counts as the maximum for 'normalised'; that of the picture if None.

    Raises:
        ValueError: The mapping is unknown.
    """
    if mapping not in MAPPINGS:
        raise ValueError(f'mapping: expected one of {", ".join(MAPPINGS)}, got {mapping!r}')
    values = np.nan_to_num(np.asarray(relevancy, np.float64))
    if mapping == 'raw':
        return np.clip(values, 0, 1)
    centred = np.clip((values - 0.5) * 2, 0, 1)
    if mapping == 'centred':
        return centred
    high = float(centred.max(initial=0)) if top is None else float(np.clip((top - 0.5) * 2, 0, 1))
    return np.clip(centred / max(high, 1e-6), 0, 1)


def turbo(level: Float[Array, 'height width']) -> Picture:
    """Returns the colours of levels in [0, 1]: dark blue, green, red."""
    grey = np.round(255 * level).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)[..., ::-1])


def heat_overlay(
    image: Picture, relevancy: Float[Array, 'height width'], mapping: str = 'normalised'
) -> Picture:
    """Lays relevancy over the picture it belongs to; what is not relevant stays as it is."""
    level = levels(relevancy, mapping)
    share = (HEAT_SHARE * np.sqrt(level))[..., None]
    blend = (1 - share) * image + share * turbo(level)
    return np.round(blend).astype(np.uint8)


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
    for first, second in _EDGES:
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
        _cross(result, uv[0], label)
    return result


def box_corners(
    box_to_world: Float[Array, '4 4'], size_m: Float[Array, '3']
) -> Float[Array, '8 3']:
    """Returns the corners of a box; corner i lies at the high end of axis k if bit k of i is 1."""
    signs = np.array([[(i >> axis & 1) - 0.5 for axis in range(3)] for i in range(8)])
    return transform_points(box_to_world, signs * size_m)


def top_view(
    positions: Float[Array, 'n 3'],
    colours: UInt8[Array, 'n 3'],
    relevancy: Float[Array, 'n'],
    places_m: Float[Array, 'k 3'],
    height_px: int = 480,
    mapping: str = 'normalised',
) -> Picture:
    """Returns the relevancy cloud from above, x to the right and y up, with places numbered.

    Args:
        positions: Surface points, metres.
        colours: Their RGB.
        relevancy: Their relevancy.
        places_m: Places to number, best first.
        height_px: Height of the picture.
        mapping: How relevancy becomes brightness.

    Raises:
        ValueError: There are no points.
    """
    if len(positions) == 0:
        raise ValueError('top_view: expected an answer with points, got one without')
    low = np.quantile(positions, 0.005, axis=0)[:2]
    high = np.quantile(positions, 0.995, axis=0)[:2]
    scale = height_px / max(float(high[1] - low[1]), 1e-3)
    width_px = int(np.clip(scale * (high[0] - low[0]), 16, 4 * height_px))

    def pixels(points: Float[Array, 'n 3']) -> Float[Array, 'n 2']:
        u = (points[:, 0] - low[0]) * scale
        return np.stack([u, height_px - (points[:, 1] - low[1]) * scale], axis=1)

    # From below to above, so that what lies on top is seen.
    order = np.argsort(positions[:, 2])
    cloud = colours[order][:, None]
    heated = heat_overlay(cloud, relevancy[order][:, None], mapping)[:, 0]
    picture = np.full((height_px, width_px, 3), BACKGROUND, np.uint8)
    corners = np.floor(pixels(positions[order])).astype(int)
    side = max(1, int(np.ceil(scale * _spacing_m(positions))))
    for dv in range(side):
        for du in range(side):
            u, v = corners[:, 0] + du, corners[:, 1] + dv
            inside = (u >= 0) & (v >= 0) & (u < width_px) & (v < height_px)
            picture[v[inside], u[inside]] = heated[inside]
    for number, place_m in reversed(list(enumerate(places_m, start=1))):
        _cross(picture, pixels(place_m[None])[0], str(number))
    return picture


_EDGES = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]


def _spacing_m(positions: Float[Array, 'n 3']) -> float:
    """Returns about how far apart neighbouring points lie."""
    sample = positions[:: max(1, len(positions) // 1000)]
    distance, _ = cKDTree(positions).query(sample, k=[min(6, len(positions))])
    return 1.2 * float(np.median(distance))


def _line(picture: Picture, first: Array, second: Array) -> None:
    a, b = (tuple(round(float(x)) for x in uv) for uv in (first, second))
    cv2.line(picture, a, b, BLACK, 3, cv2.LINE_AA)
    cv2.line(picture, a, b, WHITE, 1, cv2.LINE_AA)


def _cross(picture: Picture, uv: Array, label: str) -> None:
    at = tuple(round(float(x)) for x in uv)
    size = max(9, picture.shape[0] // 24)
    for colour, width in ((BLACK, 4), (WHITE, 2)):
        cv2.drawMarker(picture, at, colour, cv2.MARKER_CROSS, size, width, cv2.LINE_AA)
        if label:
            where = (at[0] + size // 2 + 2, at[1] - size // 2)
            cv2.putText(picture, label, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width)
