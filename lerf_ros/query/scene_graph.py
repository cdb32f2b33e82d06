"""The surface as a graph: which points touch, what they stand on, and what hangs together."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.sparse import coo_matrix, csgraph, csr_matrix
from scipy.spatial import cKDTree

from lerf_ros.field.native import is_available, load_library
from lerf_ros.query.segments import TOUCH_VOXELS, find_segments
from lerf_ros.surface.planes import Support, find_support
from lerf_ros.surface.points import SurfacePoints

Array = np.ndarray

# Closest points, itself included, over which values are smoothed.
NEIGHBOURS = 8
# A difference of colour in Lab, lightness halved, at which neighbours are alike by exp(-1/2):
# shading and noise of one surface stay below it.
ALIKE_COLOUR = 12.0
# Points that touch are never wholly unlike: an edge of weight zero would be none.
LEAST_LIKENESS = 1e-12


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """What is known of a surface whatever the question.

    Attributes:
        surface: The points.
        tree: Search tree over their positions.
        support: Supporting planes.
        pairs: Points that touch, each pair once.
        segments: Number of the piece that each point belongs to, -1 on supporting planes and in
            specks.
        neighbours: The closest points of each point, itself first.
    """

    surface: SurfacePoints
    tree: cKDTree
    support: Support
    pairs: Int[Array, 'p 2']
    segments: Int[Array, ' n']
    neighbours: Int[Array, 'n k']

    @classmethod
    def of(cls, surface: SurfacePoints) -> SceneGraph:
        """Analyses a surface."""
        support = find_support(surface)
        # Built in half the time, and of a tree as even as this, found as fast.
        tree = cKDTree(surface.positions, compact_nodes=False, balanced_tree=False)
        pairs = tree.query_pairs(TOUCH_VOXELS * surface.voxel_m, output_type='ndarray')
        segments = find_segments(surface, support, pairs)
        _, neighbours = tree.query(
            surface.positions, k=range(1, min(NEIGHBOURS, len(surface)) + 1)
        )
        return cls(surface, tree, support, pairs, segments, neighbours)

    def smooth(self, values: Float[Array, ' n']) -> Float[Array, ' n']:
        """Returns the mean of each point's neighbours."""
        return values[self.neighbours].mean(axis=1)

    @cached_property
    def alike(self) -> csr_matrix:
        """How alike in colour points that touch are; n x n, symmetric, 0 where none touch."""
        weights = np.maximum(colour_likeness(self.surface.colours, self.pairs), LEAST_LIKENESS)
        first, second = self.pairs.T
        return coo_matrix(
            (np.tile(weights, 2), (np.append(first, second), np.append(second, first))),
            shape=(len(self.surface),) * 2,
        ).tocsr()

    def alike_in_segment(self, segment: int) -> csr_matrix:
        """Returns the part of :attr:`alike` between the points of a segment; it is kept."""
        if segment not in self._alike_in_segments:
            members = np.flatnonzero(self.segments == segment)
            self._alike_in_segments[segment] = self.alike_among(members)
        return self._alike_in_segments[segment]

    @cached_property
    def _alike_in_segments(self) -> dict[int, csr_matrix]:
        return {}

    def alike_among(self, members: Int[Array, ' k']) -> csr_matrix:
        """Returns the part of :attr:`alike` between some points, k x k."""
        return self.alike[members][:, members]


def colour_likeness(colours: UInt8[Array, 'n 3'], pairs: Int[Array, 'p 2']) -> Float[Array, ' p']:
    """Returns how alike in colour the points of each pair are, in [0, 1]."""
    lab = cv2.cvtColor((colours[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    # Axis by axis: a reduction over a short last axis costs far more.
    distance = np.zeros(len(pairs))
    for axis, weight in zip(np.ascontiguousarray(lab.T), (0.5, 1.0, 1.0), strict=True):
        difference = (axis[pairs[:, 0]] - axis[pairs[:, 1]]).astype(np.float64) * weight
        distance += difference**2
    return np.exp(-distance / (2 * ALIKE_COLOUR**2))


def reached_from(
    graph: csr_matrix, start: int, chosen: Bool[Array, ' n'] | None = None
) -> Int[Array, ' k']:
    """Returns the points of a symmetric graph that can be reached from one, sorted.

    Args:
        graph: Its edges.
        start: The point.
        chosen: Points that may be passed, `start` among them; all if None.
    """
    if chosen is None:
        chosen = np.ones(graph.shape[0], bool)
    if not is_available('surface_graph'):
        return reached_twin(graph, start, chosen)
    reached = np.empty(len(chosen), bool)
    inputs = (
        np.ascontiguousarray(graph.indptr, np.int32),
        np.ascontiguousarray(graph.indices, np.int32),
        np.ascontiguousarray(chosen, bool),
    )
    load_library('surface_graph').lerf_reached(
        *(each.ctypes.data_as(ctypes.c_void_p) for each in inputs),
        ctypes.c_int64(len(chosen)),
        ctypes.c_int64(start),
        reached.ctypes.data_as(ctypes.c_void_p),
    )
    return np.flatnonzero(reached)


def reached_twin(graph: csr_matrix, start: int, chosen: Bool[Array, ' n']) -> Int[Array, ' k']:
    """Returns what :func:`reached_from` does; the readable form."""
    kept = np.flatnonzero(chosen)
    among = graph[kept][:, kept]
    found = csgraph.breadth_first_order(
        among, int(np.searchsorted(kept, start)), return_predecessors=False
    )
    return kept[np.sort(found)]
