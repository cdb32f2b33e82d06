"""When a relevancy picture counts as right: LERF's protocol and that of LERF-OVS.

LERF: the pixel with the greatest relevancy lies in a true box of the phrase. LERF-OVS (LangSplat):
the same after a 30x30 mean filter; and the IoU of a mask with the true silhouette, where the mask
is the mean of filtered and raw relevancy, stretched to [-1, 1], clipped to [0, 1], above 0.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

Array = np.ndarray
FILTER_PX = 30
MASK_THRESHOLD = 0.4

Box = tuple[float, float, float, float]


def peak_in_boxes(relevancy: Float[Array, 'height width'], boxes: Sequence[Box]) -> bool:
    """Tells whether the most relevant pixel lies in any box (u0, v0, u1, v1)."""
    row, col = np.unravel_index(int(np.nanargmax(relevancy)), relevancy.shape)
    u, v = col + 0.5, row + 0.5
    return any(u0 <= u <= u1 and v0 <= v <= v1 for u0, v0, u1, v1 in boxes)


def smoothed(relevancy: Float[Array, 'height width']) -> Float[Array, 'height width']:
    """Returns the relevancy after the mean filter of LERF-OVS."""
    return cv2.blur(relevancy.astype(np.float64), (FILTER_PX, FILTER_PX))


def ovs_mask(relevancy: Float[Array, 'height width']) -> Bool[Array, 'height width']:
    """Returns the pixels that LERF-OVS counts as the phrase's."""
    mean = (smoothed(relevancy) + relevancy) / 2
    span = float(mean.max() - mean.min())
    if span <= 0:
        return np.zeros(mean.shape, dtype=bool)
    stretched = 2 * (mean - mean.min()) / span - 1
    return np.clip(stretched, 0, 1) > MASK_THRESHOLD


def mask_iou(predicted: Bool[Array, 'height width'], truth: Bool[Array, 'height width']) -> float:
    """Returns the IoU of two masks; 0 where both are empty."""
    union = int((predicted | truth).sum())
    return float((predicted & truth).sum() / union) if union else 0.0
