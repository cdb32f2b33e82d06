"""Open-vocabulary labels of a cloud, as OpenLex3D scores them.

Source: repository openlex3d/openlex3d at 3dbad2b, ``openlex3d/core/metric.py``
(``category_frequency_topn``, ``set_based_ranking``), ``categories.py`` and ``evaluation.py``.

People have said of each object what it may be called: its synonyms, what it depicts, what it looks
like (``vis_sim``), and which objects are so close that their labels are clutter. A label that is
none of these is incorrect. Spaces do not count when labels are compared, case does.

Where the source leaves room:

* Equal scores have no order there; here the label that comes first in the list is first.
* In the ranking, inlier rates and under- and overshooting are there those of the *last* point of
  each object, since every point overwrites the one before; the three mean scores are over all of
  its points. That is followed here. The ranking also takes in objects that the frequency leaves
  out (walls, floors), and true points however far the prediction is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from lerf_ros.surface.depth_view import voxel_keys

Array = np.ndarray
# How well the predicted points of some rows fit each label.
Scores = Callable[[Int[Array, ' b']], Float[Array, 'b k']]

NAMED = ('synonyms', 'depictions', 'vis_sim')
CATEGORIES = (*NAMED, 'clutter', 'missing', 'incorrect')
CLUTTER, MISSING, INCORRECT = (CATEGORIES.index(name) for name in CATEGORIES[3:])
# True points farther from the prediction than this are missing.
REACH_M = 0.05
# The prediction is thinned to voxels of this side before it is scored.
VOXEL_M = 0.05
EXCLUDED = ('wall', 'floor', 'ceiling', 'doorframe', 'ledge', 'windowledge')
# Keeps the source's division by a left border of 0 defined.
_EPSILON = 1e-8
# Rows whose scores are in memory at a time.
BATCH = 1024


@dataclass(frozen=True)
class ObjectLabels:
    """What one object may be called.

    Attributes:
        names: Labels of each category in `NAMED`, spaces removed.
        clutter: Ids of the objects whose labels are clutter on it.
    """

    names: Mapping[str, tuple[str, ...]]
    clutter: tuple[int, ...] = ()

    def category(self, label: str, objects: Mapping[int, ObjectLabels]) -> int:
        """Returns the index in `CATEGORIES` of a label without spaces."""
        for index, name in enumerate(NAMED):
            if label in self.names[name]:
                return index
        near = (objects[each] for each in self.clutter if each in objects)
        if any(label in other.names[name] for other in near for name in NAMED):
            return CLUTTER
        return INCORRECT

    def counts(self, excluded: Sequence[str]) -> bool:
        """Tells whether the frequency is about it: it has a synonym, and none is excluded."""
        synonyms = self.names['synonyms']
        return bool(synonyms) and not any(bare(label) in synonyms for label in excluded)


def bare(label: str) -> str:
    """Returns a label without spaces."""
    return label.replace(' ', '')


def thinned_rows(
    positions: Float[Array, 'n 3'], voxel_m: float = VOXEL_M
) -> tuple[Float[Array, 'm 3'], Int[Array, ' m']]:
    """Returns the mean position of each voxel, and the point closest to it, which gives its label.

    Voxels are counted from the origin, as by Open3D's tensor clouds.
    """
    voxels = np.unique(voxel_keys(positions, voxel_m), return_inverse=True)[1]
    sums = np.stack([np.bincount(voxels, axis) for axis in positions.T], axis=1)
    means = sums / np.bincount(voxels)[:, None]
    return means, cKDTree(positions).query(means)[1]


def top_labels(scores: Scores, count: int, top: int) -> Int[Array, 'n t']:
    """Returns the columns of the labels that fit each of `count` points best, best first."""
    parts = _parts(np.arange(count))
    return np.concatenate(
        [np.argsort(-scores(part), axis=1, kind='stable')[:, :top] for part in parts]
    )


def category_frequency(
    distances_m: Float[Array, ' n'],
    predicted: Int[Array, 'n t'],
    ids: Int[Array, ' n'],
    objects: Mapping[int, ObjectLabels],
    labels: Sequence[str],
    excluded: Sequence[str] = EXCLUDED,
) -> dict[str, float]:
    """Returns the share of each category: over the points of an object, then over the objects.

    Of the best labels of a point the one of the best category counts.

    Args:
        distances_m: From each true point to the closest predicted one.
        predicted: Columns of the best labels of that one.
        ids: Object of each true point.
        objects: What objects may be called, by id.
        labels: The labels that were asked for.
        excluded: Objects with such a synonym are left out.

    Raises:
        ValueError: The lengths differ, or no point belongs to an object that counts.
    """
    if not len(distances_m) == len(predicted) == len(ids):
        raise ValueError(f'ids: expected {len(distances_m)} and {len(predicted)}, got {len(ids)}')
    texts = [bare(label) for label in labels]
    shares = []
    for number in np.unique(ids):
        known = objects.get(int(number))
        if known is None or not known.counts(excluded):
            continue
        own = ids == number
        of_label = np.array([known.category(text, objects) for text in texts])
        best = of_label[predicted[own]].min(axis=1)
        best[distances_m[own] > REACH_M] = MISSING
        shares.append(np.bincount(best, minlength=len(CATEGORIES)) / own.sum())
    if not shares:
        raise ValueError('ids: expected points of an object that has labels, got none')
    return dict(zip(CATEGORIES, np.mean(shares, axis=0).tolist(), strict=True))


def set_ranking(
    nearest: Int[Array, ' n'],
    scores: Scores,
    ids: Int[Array, ' n'],
    objects: Mapping[int, ObjectLabels],
    labels: Sequence[str],
) -> dict[str, float | None]:
    """Returns how well the order of all labels agrees with the order of the categories.

    Of an object with s synonyms and r other names, synonyms belong on ranks 0 to s - 1 and the
    others on s to s + r - 1, as far as they are among the labels. A label there scores 1, and the
    less the farther it is from there.

    Args:
        nearest: Row of the predicted point closest to each true point.
        scores: Of the predicted points.
        ids: Object of each true point.
        objects: What objects may be called, by id.
        labels: The labels that were asked for.

    Returns:
        The source's figures; None where no object has such labels, or nothing misses its place.
    """
    first: dict[str, int] = {}
    for column, label in enumerate(labels):
        first.setdefault(bare(label), column)
    figures: dict[str, list[float]] = {name: [] for name in RANKING}
    for number in np.unique(ids):
        known = objects.get(int(number))
        if known is None:
            continue
        groups = [[first[text] for text in known.names[name] if text in first] for name in NAMED]
        columns = np.array([*itertools.chain(*groups)], int)
        if not len(columns):
            continue
        rows, point_rows = np.unique(nearest[ids == number], return_inverse=True)
        ranks = np.concatenate([_ranks(scores(part))[:, columns] for part in _parts(rows)])
        weights, last = np.bincount(point_rows), point_rows[-1]
        split = len(groups[0])
        left, right = _set_scores(ranks, split, len(columns), len(labels) - 1)
        both = np.minimum(left, right)
        figures['overall'].append(np.average(both.mean(axis=1), weights=weights))
        for name, own in (('synonym', np.s_[:split]), ('secondary', np.s_[split:])):
            if both[last, own].size:
                mean = np.average(both[:, own].mean(axis=1), weights=weights)
                figures[RANKED[name]].append(mean)
                figures[f'{name}_inlier_rate'].append(float((both[last, own] == 1).mean()))
                figures[f'{name}_undershooting'] += _mean_below_1(right[last, own])
        figures['secondary_overshooting'] += _mean_below_1(left[last, split:])
    return {name: float(np.mean(values)) if values else None for name, values in figures.items()}


RANKED = {'synonym': 'synonyms', 'secondary': 'secondary'}
RANKING = (
    'overall',
    'synonyms',
    'secondary',
    'synonym_undershooting',
    'secondary_overshooting',
    'secondary_undershooting',
    'synonym_inlier_rate',
    'secondary_inlier_rate',
)


def _set_scores(
    ranks: Int[Array, 'b c'], split: int, count: int, last_rank: int
) -> tuple[Float[Array, 'b c'], Float[Array, 'b c']]:
    """Returns how far each rank is right of the left border of its set, and left of the right."""
    synonym = np.arange(count) < split
    low = np.where(synonym, 0, split)
    high = np.where(synonym, split, count) - 1
    left = 1 + np.minimum(0, (ranks - low) / (low + _EPSILON))
    right = 1 - np.maximum(0, (ranks - high) / np.maximum(last_rank - high, 1))
    return left, right


def _mean_below_1(scores: Float[Array, ' c']) -> list[float]:
    below = scores[scores < 1]
    return [float(below.mean())] if len(below) else []


def _ranks(scores: Float[Array, 'b k']) -> Int[Array, 'b k']:
    """Returns the rank of each label at each point, 0 for the best."""
    return np.argsort(np.argsort(-scores, axis=1, kind='stable'), axis=1)


def _parts(rows: Int[Array, ' n']) -> list[Int[Array, ' b']]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
