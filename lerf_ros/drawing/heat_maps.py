"""Relevancy and depth as colours.

Pictures are uint8 RGB. Relevancy is in [0, 1], NaN where unknown.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Array = np.ndarray
Picture = UInt8[Array, 'height width 3']

MAPPINGS = ('raw', 'centred', 'normalised')
HEAT_SHARE = 0.6
# Name -> OpenCV's table; None is grey.
COLOUR_MAPS: dict[str, int | None] = {
    'turbo': cv2.COLORMAP_TURBO,
    'viridis': cv2.COLORMAP_VIRIDIS,
    'inferno': cv2.COLORMAP_INFERNO,
    'grey': None,
}


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
    return coloured(level, 'turbo')


def coloured(level: Float[Array, 'height width'], colour_map: str) -> Picture:
    """Returns the colours of levels in [0, 1].

    Raises:
        ValueError: The colour map is unknown.
    """
    if colour_map not in COLOUR_MAPS:
        raise ValueError(
            f'colour_map: expected one of {", ".join(COLOUR_MAPS)}, got {colour_map!r}'
        )
    grey = np.round(255 * level).astype(np.uint8)
    table = COLOUR_MAPS[colour_map]
    if table is None:
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.ascontiguousarray(cv2.applyColorMap(grey, table)[..., ::-1])


def heat_overlay(
    image: Picture, relevancy: Float[Array, 'height width'], mapping: str = 'normalised'
) -> Picture:
    """Lays relevancy over the picture it belongs to; what is not relevant stays as it is."""
    level = levels(relevancy, mapping)
    share = (HEAT_SHARE * np.sqrt(level))[..., None]
    blend = (1 - share) * image + share * turbo(level)
    return np.round(blend).astype(np.uint8)


def heated(image: Picture, relevancy: Float[Array, 'height width'] | None) -> Picture:
    """Lays relevancy over a picture in grey; what is closer to a negative is not coloured."""
    grey = (image.mean(axis=-1, keepdims=True).repeat(3, axis=-1) * 0.7).astype(np.uint8)
    return image if relevancy is None else heat_overlay(grey, relevancy, 'centred')


def depth_picture(depth_m: Float[Array, 'height width']) -> Picture:
    """Colours depth, near red and far blue, shaded by its slope; black where there is none.

    Most of a picture is a table or a wall, whose depth drowns that of the things on it: their
    slopes show them.
    """
    known = np.isfinite(depth_m)
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    low, high = np.percentile(depth_m[known], [2, 98])
    filled = np.where(known, depth_m, high).astype(np.float32)
    level = np.clip((high - filled) / max(high - low, 1e-3), 0, 1)
    # Change of depth in widths of a pixel there, for a lens as long as the picture is wide.
    smooth = cv2.GaussianBlur(filled, (5, 5), 0)
    pixel_m = np.maximum(smooth, 1e-3) / depth_m.shape[1]
    right = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8) / pixel_m
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8) / pixel_m
    # Light from the upper left, by the angle between it and the surface's normal.
    light = (1.0 - 0.45 * right - 0.6 * down) / np.sqrt(right**2 + down**2 + 1)
    shade = np.clip(0.35 + 0.65 * light / 1.25, 0.25, 1.0)
    return np.where(known[..., None], turbo(level) * shade[..., None], 0).astype(np.uint8)
