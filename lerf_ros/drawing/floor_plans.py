"""A floor from above: rooms, furniture, ways and places; x to the right, y up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.drawing.heat_maps import Array, Picture

Rectangle = tuple[float, float, float, float]  # low x, low y, high x, high y, metres
Colour = tuple[int, int, int]

PAPER = 240
WALL, CARRIES, BLOCKS = (60, 60, 60), (222, 202, 172), (170, 170, 170)
WAY, RIGHT, WRONG, TRUE_PLACE = (60, 110, 200), (0, 130, 40), (210, 30, 30), (120, 120, 120)


class FloorPlanPicture:
    """A picture that things are drawn into.

    Args:
        size_m: Width and depth of the floor.
        width_px: Width of the picture.

    Attributes:
        image: The picture so far.
    """

    def __init__(self, size_m: tuple[float, float], width_px: int = 900) -> None:
        self._scale = width_px / size_m[0]
        self._height_px = round(self._scale * size_m[1])
        self.image: Picture = np.full((self._height_px, width_px, 3), PAPER, np.uint8)

    def rectangle(
        self,
        area: Rectangle,
        colour: Colour,
        text: str = '',
        filled: bool = True,
        line_px: int = 2,
    ) -> None:
        """Draws a rectangle with a text in its corner."""
        low, high = self._at(area[:2]), self._at(area[2:])
        cv2.rectangle(self.image, low, high, colour, -1 if filled else line_px, cv2.LINE_AA)
        if text:
            self._write(text, (low[0] + 3, high[1] + 13))

    def way(self, places_m: Float[Array, 'n d'], colour: Colour = WAY) -> None:
        """Draws a way."""
        points = np.array([self._at(place) for place in places_m], np.int32)
        cv2.polylines(self.image, [points], False, colour, 1, cv2.LINE_AA)

    def dots(
        self, places_m: Iterable[Sequence[float] | Array], colour: Colour, size_px: int = 4
    ) -> None:
        """Draws places."""
        for place in places_m:
            cv2.circle(self.image, self._at(place), size_px, colour, -1, cv2.LINE_AA)

    def answer(self, asked_m: Sequence[float] | Array, said_m: Sequence[float] | Array) -> None:
        """Draws a line from where a thing is to where it was said to be."""
        start, end = self._at(asked_m), self._at(said_m)
        cv2.line(self.image, start, end, WRONG, 1, cv2.LINE_AA)
        cv2.drawMarker(self.image, end, WRONG, cv2.MARKER_TILTED_CROSS, 7, 1, cv2.LINE_AA)

    def _at(self, place_m: Sequence[float] | Array) -> tuple[int, int]:
        u, v = float(place_m[0]) * self._scale, float(place_m[1]) * self._scale
        return round(u), self._height_px - round(v)

    def _write(self, text: str, at: tuple[int, int]) -> None:
        cv2.putText(self.image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
