"""The colours of the points of one browser."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8

from lerf_ros.surface.depth_view import voxel_keys
from lerf_ros.viewer.cameras import distance_m
from lerf_ros.viewer.chunks import Chunk
from lerf_ros.viewer.outputs import Paint, paint_points
from lerf_ros.viewer.state import Answer

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
        result = answer.results[number]
        # By voxel: the surface may have grown since, and an atlas answers for a part of it.
        keys = voxel_keys(result.positions, answer.voxel_m)
        order = np.argsort(keys)
        self._keys, self._relevancy = keys[order], result.relevancy[order]
        self._voxel_m = answer.voxel_m
        self._top = float(result.relevancy.max(initial=0))

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

    def _of(self, chunk: Chunk) -> Float32[Array, ' n']:
        """Returns the relevancy of a chunk's points, NaN where they are newer than the answer."""
        assert self._keys is not None
        keys = voxel_keys(chunk.positions, self._voxel_m)
        result = np.full(len(keys), np.nan, np.float32)
        at = np.searchsorted(self._keys, keys)
        inside = at < len(self._keys)
        known = np.zeros(len(at), bool)
        known[inside] = self._keys[at[inside]] == keys[inside]
        result[known] = self._relevancy[at[known]]
        return result
