"""The relevancy cloud from above."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from scipy.spatial import cKDTree

from lerf_ros.drawing.heat_maps import Array, Picture, heat_overlay
from lerf_ros.drawing.marks import draw_cross

BACKGROUND = 24


def top_view(
    positions: Float[Array, 'n 3'],
    colours: UInt8[Array, 'n 3'],
    relevancy: Float[Array, ' n'],
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
        draw_cross(picture, pixels(place_m[None])[0], str(number))
    return picture


def _spacing_m(positions: Float[Array, 'n 3']) -> float:
    """Returns about how far apart neighbouring points lie."""
    sample = positions[:: max(1, len(positions) // 1000)]
    distance, _ = cKDTree(positions).query(sample, k=[min(6, len(positions))])
    return 1.2 * float(np.median(distance))
