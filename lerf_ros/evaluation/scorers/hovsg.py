"""HOV-SG's protocol on a map: the class of each surface point, out of all classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from lerf_ros.evaluation.scorers.bounds import ELSEWHERE, Figures, another
from lerf_ros.evaluation.scorers.label_categories import BATCH, REACH_M
from lerf_ros.evaluation.scorers.labelled_cloud import LabelledCloud
from lerf_ros.evaluation.scorers.map_labels import MapLabels
from lerf_ros.evaluation.scorers.semantic_segmentation import (
    UNLABELLED,
    segmentation_score,
    top_k_accuracy,
    transferred_labels,
)
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.submap import Submap

Array = np.ndarray
TOP_OBJECTS = 5


def segmentation(
    live_map: Atlas | Submap, truth: LabelledCloud, rng: np.random.Generator
) -> tuple[Figures, dict[str, float]]:
    """Scores the class of each surface point as HOV-SG does.

    ``top_5`` is HOV-SG's accuracy over objects with the true objects in the place of predicted
    ones: each is the mean score of our surface points on it, and one without points is a miss.

    Returns:
        The figures of each method, and our IoU of each class by name.

    Raises:
        ValueError: The map is empty, or lies elsewhere than the truth.
    """
    ids = np.array(list(truth.classes))
    scores = MapLabels(live_map, list(truth.classes.values()))
    positions = scores.positions
    distance_m, closest = cKDTree(truth.positions).query(positions)
    near = distance_m <= REACH_M
    if not near.any():
        raise ValueError(ELSEWHERE)
    objects = _Objects.of(truth)
    best, means = _read(scores, np.where(near, objects.rows[closest], -1), len(objects.columns))
    turned = another(len(ids), rng)
    ideal = np.where(np.isnan(means), np.nan, 0.0)
    ideal[np.arange(len(ideal)), objects.columns] += 1
    answers = {
        'field': (ids[best], means),
        'oracle': (np.where(near, truth.class_ids[closest], UNLABELLED), ideal),
        'shuffled': (ids[turned[best]], means[:, np.argsort(turned)]),
    }
    figures: Figures = {}
    of_class: dict[str, float] = {}
    for method, (predicted, fits) in answers.items():
        moved = transferred_labels(positions, predicted, truth.positions)
        score = segmentation_score(moved, truth.class_ids, truth.ignored)
        row = asdict(score)
        del row['class_iou']
        figures[method] = {**row, 'top_5': _top_5(fits, objects.columns)}
        if method == 'field':
            of_class = {truth.classes[each]: value for each, value in score.class_iou.items()}
    return figures, of_class


@dataclass(frozen=True, eq=False)
class _Objects:
    """True objects of classes that are not ignored.

    Attributes:
        rows: Number of the object at each true point, -1 for none.
        columns: Which of the classes each object is of.
    """

    rows: Int[Array, ' n']
    columns: Int[Array, ' m']

    @classmethod
    def of(cls, truth: LabelledCloud) -> _Objects:
        """Returns those of a cloud."""
        column_of = {number: column for column, number in enumerate(truth.classes)}
        asked = (truth.object_ids >= 0) & ~np.isin(truth.class_ids, list(truth.ignored))
        _, first, numbers = np.unique(
            truth.object_ids[asked], return_index=True, return_inverse=True
        )
        rows = np.full(len(asked), -1)
        rows[asked] = numbers
        classes = truth.class_ids[asked][first]
        return cls(rows, np.array([column_of[int(each)] for each in classes], int))


def _read(
    scores: MapLabels, object_rows: Int[Array, ' n'], objects: int
) -> tuple[Int[Array, ' n'], Float[Array, 'm k']]:
    """Returns the column of the best label of each point, and the mean scores of each object."""
    best, sums = [], np.zeros((objects + 1, scores.label_count))
    for start in range(0, len(object_rows), BATCH):
        part = np.arange(start, min(start + BATCH, len(object_rows)))
        block = scores(part)
        best.append(block.argmax(axis=1))
        np.add.at(sums, object_rows[part], block)  # what is of no object goes to the last row
    counts = np.bincount(object_rows + 1, minlength=objects + 1)[1:].astype(float)
    counts[counts == 0] = np.nan
    return np.concatenate(best), sums[:-1] / counts[:, None]


def _top_5(fits: Float[Array, 'm k'], columns: Int[Array, ' m']) -> float | None:
    """Returns HOV-SG's accuracy over objects; one that has no points, NaN, is a miss."""
    found = ~np.isnan(fits).any(axis=1)
    if not found.any():
        return 0.0 if len(found) else None
    hits = top_k_accuracy(fits[found], columns[found], [TOP_OBJECTS])[TOP_OBJECTS]
    return hits * float(found.mean())
