"""Parts: 'mug; handle' is searched among the mug's own points (LERF-TOGO's idea).

Within one object every point is about as close to the object's name; what tells the part apart is
the cosine with its name alone. Negatives would only add their own noise: on development scenes
78 % of all parts were hit without, 69 % with them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from lerf_ros.query.maxima import describe
from lerf_ros.query.request import Maximum
from lerf_ros.query.scene_graph import SceneGraph, reached_from

Array = np.ndarray

# Parts are thinner than objects: a mean over few neighbours keeps them.
NEIGHBOURS = 6
# Points belong to the part from this share of the peak's height above the object's median on.
PART_SHARE = 0.9


def find_part(
    graph: SceneGraph,
    obj: Maximum,
    cosines: Float[Array, 'k s'],
    scores: Float[Array, 'k s'],
    scales_m: Float[Array, ' s'],
) -> Maximum:
    """Returns the maximum of a part within an object.

    Args:
        graph: The surface.
        obj: The object.
        cosines: Cosine of the object's points at each scale with the part's name.
        scores: Their relevancy to it.
        scales_m: The scales.
    """
    positions = graph.surface.positions[obj.point_indices]
    count = min(NEIGHBOURS, len(positions))
    _, nearest = cKDTree(positions).query(positions, k=range(1, count + 1))
    smooth = cosines[nearest].mean(axis=1)
    # A part is small, the object around it may help to name it: every point at its best scale.
    best = smooth.max(axis=1)
    peak = int(best.argmax())
    base = float(np.median(best))
    members = np.flatnonzero(best >= base + PART_SHARE * (best[peak] - base))
    touching = graph.alike_among(obj.point_indices[members])
    members = members[reached_from(touching, int(np.searchsorted(members, peak)))]
    scale = int(smooth[members].mean(axis=0).argmax())
    return describe(
        graph, obj.point_indices[members], scores[members, scale], float(scales_m[scale])
    )
