"""The colours of the points of one browser."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8

from lerf_ros.viewer.cameras import distance_m
from lerf_ros.viewer.chunks import Chunk
from lerf_ros.viewer.map_access import Answer
from lerf_ros.viewer.outputs import Paint, paint_points

Array = np.ndarray


class Painter:
    """Paints chunks of the surface.

    Args:
        paint: What is wanted.
        answer: The last answer; None before the first.
        camera_to_world: From where the browser looks, for 'depth'.
    """

    def __init__(
        self, paint: Paint, answer: Answer | None, camera_to_world: Float[Array, '4 4']
    ) -> None:
        self._paint, self._pose = paint, camera_to_world
        self._keys: Array | None = None
        number = paint.phrase
        if answer is None or number is None or number >= len(answer.results):
            return
        relevancy = answer.results[number].relevancy
        order = np.argsort(answer.surface.keys)
        self._keys, self._relevancy = answer.surface.keys[order], relevancy[order]
        self._top = float(relevancy.max(initial=0))

    def chunk(self, chunk: Chunk) -> UInt8[Array, 'n 3']:
        """Returns the colours of a chunk."""
        paint = self._paint
        if paint.output == 'depth':
            depth_m = distance_m(chunk.positions, self._pose)
            return paint_points(paint, chunk.colours, distance_m=depth_m)
        if paint.output == 'accumulation':
            return paint_points(paint, chunk.colours, confidence=chunk.confidence)
        if self._keys is None:
            return chunk.colours
        relevancy = self._of(chunk)
        return paint_points(paint, chunk.colours, relevancy=relevancy, top=self._top)

    def _of(self, chunk: Chunk) -> Float32[Array, 'n']:
        """Returns the relevancy of a chunk's points, NaN where they are newer than the answer."""
        assert self._keys is not None
        result = np.full(len(chunk.keys), np.nan, np.float32)
        at = np.searchsorted(self._keys, chunk.keys)
        inside = at < len(self._keys)
        known = np.zeros(len(at), bool)
        known[inside] = self._keys[at[inside]] == chunk.keys[inside]
        result[known] = self._relevancy[at[known]]
        return result
