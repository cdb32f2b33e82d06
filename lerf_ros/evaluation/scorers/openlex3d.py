"""OpenLex3D's protocol on a map: the best of many labels of each surface point."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from lerf_ros.evaluation.scorers.bounds import ELSEWHERE, Figures, another
from lerf_ros.evaluation.scorers.label_categories import (
    CATEGORIES,
    REACH_M,
    Scores,
    bare,
    category_frequency,
    set_ranking,
    thinned_rows,
    top_labels,
)
from lerf_ros.evaluation.scorers.map_labels import MapLabels
from lerf_ros.evaluation.scorers.openlex_files import OpenLexTruth
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.submap import Submap

Array = np.ndarray
TOPS = (1, 5)


def open_labels(
    live_map: Atlas | Submap, truth: OpenLexTruth, rng: np.random.Generator
) -> Figures:
    """Scores the labels of each surface point as OpenLex3D does: the best, the best five, and all.

    Voxels of 5 cm hold several things: the oracle knows which of them each voxel stands for most.

    Raises:
        ValueError: The map is empty, or lies elsewhere than the truth.
    """
    labels = MapLabels(live_map, truth.labels)
    positions, rows = thinned_rows(labels.positions)
    distances_m, nearest = cKDTree(positions).query(truth.positions)
    # Only what is closest to a true point is read at all.
    used, nearest = np.unique(nearest, return_inverse=True)
    if not (distances_m <= REACH_M).any():
        raise ValueError(ELSEWHERE)
    kinds, kind_of = np.unique(truth.ids, return_inverse=True)
    kind = _stands_for(nearest, kind_of, distances_m <= REACH_M)
    ideal = np.zeros((len(kinds), len(truth.labels)), np.float32)
    for index, number in enumerate(kinds):
        known = truth.objects.get(int(number))
        if known is not None:
            categories = [known.category(bare(text), truth.objects) for text in truth.labels]
            ideal[index] = len(CATEGORIES) - np.array(categories)
    turned = np.argsort(another(len(truth.labels), rng))
    methods: dict[str, Scores] = {
        'field': lambda part: labels(rows[used[part]]),
        'oracle': lambda part: ideal[kind[part]],
        'shuffled': lambda part: labels(rows[used[part]])[:, turned],
    }
    figures: Figures = {}
    for method, scores in methods.items():
        best = top_labels(scores, len(used), max(TOPS))[nearest]
        figures[method] = {
            f'top_{top}': category_frequency(
                distances_m, best[:, :top], truth.ids, truth.objects, truth.labels
            )
            for top in TOPS
        }
        figures[method]['ranking'] = set_ranking(
            nearest, scores, truth.ids, truth.objects, truth.labels
        )
    return figures


def _stands_for(
    rows: Int[Array, ' n'], kinds: Int[Array, ' n'], near: Bool[Array, ' n']
) -> Int[Array, ' m']:
    """Returns the kind that each row stands for most, where every kind weighs the same.

    Args:
        rows: Row that is closest to each true point; each is closest to one.
        kinds: Kind of each true point.
        near: Whether the row is close enough to count.
    """
    # Far points only decide where there is no near one.
    weights = np.where(near, 1.0, 1e-9) / np.bincount(kinds)[kinds]
    return coo_array((weights, (rows, kinds))).tocsr().argmax(axis=1).reshape(-1)
