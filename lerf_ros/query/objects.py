"""From a peak to the object's own points, and the box around them.

The surface graph joins points that touch. A peak's object is what can be reached from it without
crossing a supporting plane, as far as relevancy and colour stay like those of the peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from lerf_ros.query.planes import Plane, Support, find_support
from lerf_ros.query.surface import SurfacePoints

Array = np.ndarray

# Points closer than this many voxels touch.
TOUCH_VOXELS = 1.8
# Object points keep this share of the peak's relevancy above what the surroundings have.
MIN_SHARE_OF_PEAK = 0.35


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """What is known of a surface whatever the question.

    Attributes:
        surface: The points.
        tree: Search tree over their positions.
        support: Supporting planes.
    """

    surface: SurfacePoints
    tree: cKDTree
    support: Support

    @classmethod
    def of(cls, surface: SurfacePoints) -> SceneGraph:
        """Analyses a surface."""
        return cls(surface, cKDTree(surface.positions), find_support(surface))


def grow(
    graph: SceneGraph,
    peak: int,
    relevancy: Float[Array, 'n'],
    scale_m: float,
) -> Int[Array, 'k']:
    """Returns the points of the object that holds a peak, sorted.

    Args:
        graph: The surface.
        peak: Index of the peak.
        relevancy: Relevancy of every point at the peak's scale.
        scale_m: That scale; the object is expected to be about as large.
    """
    surface, support = graph.surface, graph.support
    reach_m = max(0.9 * scale_m, 6 * surface.voxel_m)
    near = np.array(graph.tree.query_ball_point(surface.positions[peak], reach_m))
    top = float(relevancy[near].max())
    floor = float(np.quantile(relevancy[near], 0.05))
    hot = relevancy[near] >= floor + MIN_SHARE_OF_PEAK * (top - floor)
    solid = near[hot & ~support.on_plane[near]]
    if len(solid) < 4:
        return np.sort(near[hot]) if hot.any() else np.array([peak])
    tree = cKDTree(surface.positions[solid])
    # The blur of language can put the peak beside the object: start at the closest hot point.
    distance, _ = tree.query(surface.positions[peak], k=min(4, len(solid)))
    weight = relevancy[solid] - 2.0 * np.linalg.norm(
        surface.positions[solid] - surface.positions[peak], axis=1
    ) / max(scale_m, float(np.mean(distance)), 1e-6) * (top - floor)
    start = int(weight.argmax())
    pairs = tree.query_pairs(TOUCH_VOXELS * surface.voxel_m, output_type='ndarray')
    return np.sort(solid[_component(len(solid), pairs, start)])


def _component(count: int, pairs: Int[Array, 'e 2'], start: int) -> Int[Array, 'k']:
    """Returns the members of the connected component that holds a node."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), bool)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return np.flatnonzero(labels == labels[start])


def robust_centre(positions: Float[Array, 'k 3']) -> Float[Array, '3']:
    """Returns the mean of the points without those far from the median."""
    median = np.median(positions, axis=0)
    distance = np.linalg.norm(positions - median, axis=1)
    close = distance <= 3 * np.median(distance) + 1e-9
    return positions[close].mean(axis=0)


def oriented_box(
    positions: Float[Array, 'k 3'], plane: Plane | None
) -> tuple[Float[Array, '4 4'], Float[Array, '3']]:
    """Returns the smallest box around points that stands upright on a plane.

    Args:
        positions: The points.
        plane: The plane below them; None for the horizontal.

    Returns:
        The box's pose in the world, z along the plane's normal, x along its longer side; and its
        sides in metres.
    """
    up = (
        np.array([0.0, 0.0, 1.0]) if plane is None else plane.normal / np.linalg.norm(plane.normal)
    )
    across = np.eye(3)[int(np.abs(up).argmin())]
    x_axis = np.cross(np.cross(up, across), up)
    x_axis /= np.linalg.norm(x_axis)
    y_axis = np.cross(up, x_axis)
    flat = np.stack([positions @ x_axis, positions @ y_axis], axis=1)
    angle = _smallest_rectangle(flat)
    turned = np.cos(angle) * x_axis + np.sin(angle) * y_axis
    axes = np.stack([turned, np.cross(up, turned), up], axis=1)
    local = positions @ axes
    # Single stray points must not stretch the box.
    low, high = np.quantile(local, [0.005, 0.995], axis=0)
    if plane is not None and low[2] - plane.offset_m < 0.03:
        low[2] = min(low[2], plane.offset_m)
    size = np.maximum(high - low, 1e-3)
    if size[0] < size[1]:
        axes = np.stack([axes[:, 1], -axes[:, 0], axes[:, 2]], axis=1)
        low, high = (
            np.array([low[1], -high[0], low[2]]),
            np.array([high[1], -low[0], high[2]]),
        )
        size = size[[1, 0, 2]]
    box_to_world = np.eye(4)
    box_to_world[:3, :3] = axes
    box_to_world[:3, 3] = axes @ ((low + high) / 2)
    return box_to_world, size


def _smallest_rectangle(flat: Float[Array, 'k 2']) -> float:
    """Returns the angle at which the rectangle around 2D points has the least area."""
    angles = np.deg2rad(np.arange(0.0, 90.0, 3.0))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    normals = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    along, aside = flat @ directions.T, flat @ normals.T
    low, high = np.quantile(along, [0.005, 0.995], axis=0)
    left, right = np.quantile(aside, [0.005, 0.995], axis=0)
    return float(angles[int(((high - low) * (right - left)).argmin())])
