"""Parts: 'mug; handle' is searched among the mug's own points (LERF-TOGO's idea)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from lerf_ros.query.maxima import describe
from lerf_ros.query.objects import TOUCH_VOXELS, SceneGraph, connected_pieces
from lerf_ros.query.request import Maximum

Array = np.ndarray

# Parts are thinner than objects: a mean over few neighbours keeps them.
NEIGHBOURS = 6
# Points belong to the part from this share of its contrast within the object on.
PART_SHARE = 0.5
# A crop much larger than the object says nothing of its parts.
LARGEST_SCALE_SHARE = 1.0


def find_part(
    graph: SceneGraph,
    thing: Maximum,
    scores: Float[Array, 'k s'],
    scales_m: Float[Array, 's'],
) -> Maximum:
    """Returns the maximum of a part within an object.

    Args:
        graph: The surface.
        thing: The object.
        scores: Relevancy of the part at the object's points, at each scale; the object itself
            among the negatives.
        scales_m: The scales.
    """
    positions = graph.surface.positions[thing.point_indices]
    size_m = float(np.max(thing.box_size_m))
    usable = scales_m <= max(LARGEST_SCALE_SHARE * size_m, float(scales_m[0]))
    scores, scales_m = scores[:, usable], scales_m[usable]
    count = min(NEIGHBOURS, len(positions))
    _, nearest = cKDTree(positions).query(positions, k=count)
    smooth = scores[nearest.reshape(len(positions), count)].mean(axis=1)
    # The scale at which the part stands out most from the rest of the object.
    contrast = smooth.max(axis=0) - np.median(smooth, axis=0)
    scale = int(contrast.argmax())
    column = smooth[:, scale]
    peak = int(column.argmax())
    base = float(np.median(column))
    hot = column >= base + PART_SHARE * (column[peak] - base)
    members = np.flatnonzero(hot)
    pieces = connected_pieces(positions[members], TOUCH_VOXELS * graph.surface.voxel_m)
    members = members[pieces == pieces[np.searchsorted(members, peak)]]
    return describe(
        graph, thing.point_indices[members], scores[members, scale], float(scales_m[scale])
    )
