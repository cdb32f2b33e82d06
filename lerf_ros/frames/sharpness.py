"""How sharp a picture is."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

# Wider pictures are halved first: noise of single pixels is no sharpness, and it takes less time.
WIDTH_PX = 320


def sharpness(image: UInt8[np.ndarray, 'height width 3']) -> float:
    """Returns the variance of the Laplacian of a picture in grey, made smaller.

    It compares pictures of one scene: how much of it there is to see counts as much as the lens.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = max(1, grey.shape[1] // WIDTH_PX)
    if factor > 1:
        size = (grey.shape[1] // factor, max(1, grey.shape[0] // factor))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)
