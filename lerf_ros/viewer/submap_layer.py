"""The submaps of a map that has several, in one browser: a cube for each, grey while it sleeps."""

from __future__ import annotations

import numpy as np
from viser import ClientHandle, LineSegmentsHandle

from lerf_ros.drawing.marks import EDGES, box_corners
from lerf_ros.viewer.state import Piece

AWAKE, ASLEEP = (90, 200, 120), (110, 110, 110)


class SubmapLayer:
    """Keeps a browser's cubes like the submaps.

    Args:
        client: The browser.
    """

    def __init__(self, client: ClientHandle) -> None:
        self._client = client
        self._lines: LineSegmentsHandle | None = None
        self._drawn: list[tuple[int, bool, bytes]] = []

    def show(self, pieces: tuple[Piece, ...]) -> None:
        """Draws the submaps, if one has come, moved, woken or gone to sleep."""
        drawn = [(piece.name, piece.asleep, piece.box_to_world.tobytes()) for piece in pieces]
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if self._lines is not None:
            self._lines.remove()
            self._lines = None
        if not pieces:
            return
        boxes = [
            box_corners(p.box_to_world, np.full(3, p.side_m))[np.array(EDGES)] for p in pieces
        ]
        colours = [np.full((len(EDGES), 2, 3), ASLEEP if p.asleep else AWAKE) for p in pieces]
        self._lines = self._client.scene.add_line_segments(
            '/submaps',
            points=np.concatenate(boxes).astype(np.float32),
            colors=np.concatenate(colours).astype(np.uint8),
            thickness=1.0,
            thickness_units='screen',
        )
