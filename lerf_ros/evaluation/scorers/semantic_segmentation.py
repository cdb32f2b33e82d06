"""Semantic segmentation of a labelled cloud, as HOV-SG scores Replica and ScanNet.

Source: repository hovsg/HOV-SG at 71a8069, ``application/eval/evaluate_sem_seg.py``,
``hovsg/utils/metric.py`` and ``eval_utils.py``; objects: ``hovsg/eval/hm3dsem_evaluator.py``.

With t_i points of class i in the truth, p_i in the prediction and n_i in both, IoU_i is
``n_i / (t_i + p_i - n_i)``. Nothing is masked: a wall that is called a chair counts in p_chair,
although walls are ignored. What is worth knowing:

* The sum of IoUs is divided by the number of classes *of the truth* that are not ignored. A class
  that only the prediction has changes no figure by itself.
* Frequencies are those of the truth's points, ignored classes left out; on Replica these are
  corners of faces, so that finely meshed things weigh more.
* Of five neighbours with two labels twice each, the smaller label wins.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

Array = np.ndarray

NEIGHBOURS = 5
UNLABELLED = -1
# True points whose neighbours are in memory at a time.
CHUNK_POINTS = 2**18


@dataclass(frozen=True)
class SegmentationScore:
    """Figures of one cloud, each in [0, 1].

    Attributes:
        miou: Mean IoU over the classes of the truth.
        fmiou: IoU weighted by the frequency of the class in the truth.
        macc: Mean over the classes of the truth of the share of their points that is right.
        pacc: Share of the points that is right.
        class_iou: IoU of each class of the truth that is not ignored.
    """

    miou: float
    fmiou: float
    macc: float
    pacc: float
    class_iou: dict[int, float]


def transferred_labels(
    positions: Float[Array, 'n 3'],
    labels: Int[Array, ' n'],
    true_positions: Float[Array, 'm 3'],
    neighbours: int = NEIGHBOURS,
) -> Int[Array, ' m']:
    """Returns the label of each true point: the most frequent one of its nearest predicted points.

    Predicted points without a label (-1) are left out; there is no bound on the distance.

    Raises:
        ValueError: The lengths differ, there is no true point, or too few points have a label.
    """
    if len(labels) != len(positions):
        raise ValueError(f'labels: expected one for each of {len(positions)}, got {len(labels)}')
    if not len(true_positions):
        raise ValueError('true_positions: expected points, got an empty cloud')
    known = labels != UNLABELLED
    if known.sum() < neighbours:
        raise ValueError(
            f'labels: expected at least {neighbours} points with a label, got {known.sum()}'
        )
    tree, known_labels = cKDTree(positions[known]), labels[known]
    starts = range(0, len(true_positions), CHUNK_POINTS)
    parts = (true_positions[start : start + CHUNK_POINTS] for start in starts)
    return np.concatenate(
        [
            _most_frequent(known_labels[tree.query(part, k=neighbours)[1].reshape(len(part), -1)])
            for part in parts
        ]
    )


def _most_frequent(votes: Int[Array, 'n k']) -> Int[Array, ' n']:
    """Returns the most frequent label of each row, of several the smallest."""
    counts = np.stack([(votes == column[:, None]).sum(axis=1) for column in votes.T], axis=1)
    most = counts == counts.max(axis=1, keepdims=True)
    return np.where(most, votes, np.iinfo(votes.dtype).max).min(axis=1)


def segmentation_score(
    predicted: Int[Array, ' n'], true: Int[Array, ' n'], ignored: Collection[int] = ()
) -> SegmentationScore:
    """Returns the figures of a labelled cloud.

    Args:
        predicted: Label of each point.
        true: Its true label.
        ignored: Classes that no figure is about.

    Raises:
        ValueError: The lengths differ, or every class of the truth is ignored.
    """
    if len(predicted) != len(true):
        raise ValueError(f'predicted: expected {len(true)} labels, got {len(predicted)}')
    classes, numbers = np.unique(np.concatenate([predicted, true]), return_inverse=True)
    ours, theirs = numbers[: len(true)], numbers[len(true) :]
    count = len(classes)
    predicted_points, true_points = (np.bincount(each, minlength=count) for each in (ours, theirs))
    hits = np.bincount(ours[ours == theirs], minlength=count)
    asked = (true_points > 0) & ~np.isin(classes, list(ignored))
    if not asked.any():
        raise ValueError('true: expected points of a class that is not ignored, got none')
    hits, true_points = hits[asked], true_points[asked]
    iou = hits / (true_points + predicted_points[asked] - hits)
    return SegmentationScore(
        miou=float(iou.mean()),
        fmiou=float((true_points * iou).sum() / true_points.sum()),
        macc=float((hits / true_points).mean()),
        pacc=float(hits.sum() / true_points.sum()),
        class_iou={int(k): float(v) for k, v in zip(classes[asked], iou, strict=True)},
    )


def top_k_accuracy(
    scores: Float[Array, 'n k'], true: Int[Array, ' n'], ks: Sequence[int]
) -> dict[int, float]:
    """Returns for each k the share of objects whose class is among the k that fit best.

    HOV-SG takes the pairs of predicted and true objects that an assignment by overlap gives; which
    pairs there are is the caller's business here.

    Args:
        scores: How well each object fits each class.
        true: Column of its true class.
        ks: Lengths of the list.

    Raises:
        ValueError: There is no object, or one column a class does not hold for `true`.
    """
    if len(scores) != len(true) or not len(true):
        raise ValueError(f'true: expected a class for each of {len(scores)} objects')
    if true.min() < 0 or true.max() >= scores.shape[1]:
        raise ValueError(f'true: expected classes below {scores.shape[1]}, got {true.max()}')
    order = np.argsort(-scores, axis=1, kind='stable')
    rank = (order == true[:, None]).argmax(axis=1)
    return {k: float((rank < k).mean()) for k in ks}
