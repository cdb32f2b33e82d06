"""Panels: pictures of one height with words in their corner, and their files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lerf_ros.drawing.heat_maps import Picture

PANEL_HEIGHT_PX = 360
LABEL_HEIGHT_PX = 26
TEXT_COLOUR = (255, 255, 255)


def labelled(image: Picture, words: str) -> Picture:
    """Returns a panel of the common height with words in its corner."""
    width = round(image.shape[1] * PANEL_HEIGHT_PX / image.shape[0])
    panel = cv2.resize(np.ascontiguousarray(image), (width, PANEL_HEIGHT_PX))
    panel[:LABEL_HEIGHT_PX] = panel[:LABEL_HEIGHT_PX] // 3
    cv2.putText(panel, words, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, TEXT_COLOUR, 1, cv2.LINE_AA)
    return panel


def save(picture: Picture, path: Path) -> Path:
    """Writes a picture.

    Raises:
        OSError: It cannot be written.
    """
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f'{path}: the picture could not be written')
    return path
