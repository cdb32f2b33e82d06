"""The scene of one request: where answers can lie, and how the field is read there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.query.embedding_cache import Reader
from lerf_ros.query.objects import DenseReader
from lerf_ros.query.scene_graph import SceneGraph
from lerf_ros.surface.points import SurfacePoints

# Reads what keyframes show of points (the surface, indices, scales): the unit mean of each point
# at each scale, and where it is known.
ViewReader = Callable[
    [SurfacePoints, Int[np.ndarray, ' k'], Float[Tensor, ' s']],
    tuple[Float[Tensor, 'k s d'], Bool[Tensor, 'k s']],
]


@dataclass(frozen=True, eq=False)
class Scene:
    """What all positives of a request share.

    Attributes:
        graph: The surface.
        scales_m: The scales.
        trained: Which scales were trained at each point.
        inside: Points in the region asked about.
        allowed: Points that may hold a maximum.
        read: Reads embeddings.
        dense: Reads dense features; None where the field has none.
        views: Reads what keyframes show; None where there are none.
        step: Training step of the field.
        stamp_ns: Stamp of the last keyframe.
    """

    graph: SceneGraph
    scales_m: Float[Tensor, ' s']
    trained: Bool[Tensor, 'n s']
    inside: Bool[np.ndarray, ' n']
    allowed: Bool[np.ndarray, ' n']
    read: Reader
    dense: DenseReader | None
    views: ViewReader | None
    step: int
    stamp_ns: int

    def known(self, points: Int[np.ndarray, ' k']) -> Int[np.ndarray, ' c']:
        """Returns those of an object's points that may hold a maximum, or all where none may.

        What few keyframes saw is the object's, too, but what was learnt there says little.
        """
        known = points[self.allowed[points]]
        return known if len(known) else points
