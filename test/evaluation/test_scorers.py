"""The scorers of public benchmarks against figures computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lerf_ros.evaluation.scorers.label_categories import (
    ObjectLabels,
    category_frequency,
    set_ranking,
    thinned_rows,
    top_labels,
)
from lerf_ros.evaluation.scorers.object_boxes import OrientedBox, box_iou, box_score
from lerf_ros.evaluation.scorers.semantic_segmentation import (
    segmentation_score,
    top_k_accuracy,
    transferred_labels,
)


def test_segmentation_counts_what_ignored_classes_are_called() -> None:
    #                    class 1        class 2  3  ignored 0
    true = np.array([1, 1, 1, 1, 2, 2, 3, 0, 0])
    said = np.array([1, 1, 2, 5, 2, 2, 0, 1, 0])
    score = segmentation_score(said, true, ignored={0, -1})
    # Class 1: 2 right, 4 true, 3 said (a wall among them); 2: 2, 2, 3; 3: none right.
    assert score.class_iou == pytest.approx({1: 2 / 5, 2: 2 / 3, 3: 0})
    assert score.miou == pytest.approx((2 / 5 + 2 / 3) / 3)
    assert score.fmiou == pytest.approx((4 * 2 / 5 + 2 * 2 / 3) / 7)
    assert score.macc == pytest.approx((2 / 4 + 1 + 0) / 3)
    assert score.pacc == pytest.approx(4 / 7)


@pytest.mark.usefixtures('unchecked')
def test_segmentation_refuses_what_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match='expected 2 labels, got 3'):
        segmentation_score(np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(ValueError, match='not ignored, got none'):
        segmentation_score(np.zeros(2, int), np.zeros(2, int), ignored={0})


@pytest.mark.usefixtures('unchecked')
def test_the_most_frequent_of_five_neighbours_wins_and_of_two_the_smaller_label() -> None:
    line = np.stack([np.arange(8.0), np.zeros(8), np.zeros(8)], axis=1)
    labels = np.array([4, 4, 7, 7, 9, 9, 9, 9])
    true = np.array([[1.9, 0, 0], [5.9, 0, 0]])
    assert transferred_labels(line, labels, true).tolist() == [4, 9]
    # Without the two that have no label the first one's neighbours are 7, 7, 9, 9, 9.
    labels[:2] = -1
    assert transferred_labels(line, labels, true).tolist() == [9, 9]
    with pytest.raises(ValueError, match='at least 5 points with a label, got 4'):
        transferred_labels(line[:6], labels[:6], true)
    with pytest.raises(ValueError, match='one for each of 8, got 3'):
        transferred_labels(line, labels[:3], true)
    with pytest.raises(ValueError, match='empty cloud'):
        transferred_labels(line, labels, true[:0])


def test_top_k_is_the_share_of_objects_whose_class_is_among_the_best() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5], [0.3, 0.2, 0.1]])
    found = top_k_accuracy(scores, np.array([1, 0, 1]), (1, 2, 3))
    assert found == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1})
    with pytest.raises(ValueError, match='classes below 3, got 3'):
        top_k_accuracy(scores, np.array([1, 0, 3]), (1,))


LABELS = ['red mug', 'cup', 'cat', 'vase', 'box', 'sky']
OBJECTS = {
    7: ObjectLabels(
        {'synonyms': ('redmug', 'cup'), 'depictions': ('cat',), 'vis_sim': ('vase',)}, (8, 99)
    ),
    8: ObjectLabels({'synonyms': ('box',), 'depictions': (), 'vis_sim': ()}),
    9: ObjectLabels({'synonyms': ('wall', 'sky'), 'depictions': (), 'vis_sim': ()}),
    5: ObjectLabels({'synonyms': (), 'depictions': ('sky',), 'vis_sim': ()}),
}


def one(*names: str) -> np.ndarray:
    return np.array([[LABELS.index(name)] for name in names])


def test_frequencies_are_means_over_the_points_of_an_object_then_over_objects() -> None:
    said = one('red mug', 'cat', 'vase', 'box', 'sky', 'cup', 'box', 'sky', 'sky', 'sky')
    ids = np.array([7, 7, 7, 7, 7, 7, 8, 9, 5, -1])
    far = np.zeros(10)
    far[5] = 0.051
    found = category_frequency(far, said, ids, OBJECTS, LABELS)
    sixth = 1 / 6 / 2  # of one of two objects; walls and what has no synonym do not count
    assert found == pytest.approx(
        {
            'synonyms': sixth + 1 / 2,
            'depictions': sixth,
            'vis_sim': sixth,
            'clutter': sixth,
            'missing': sixth,
            'incorrect': sixth,
        }
    )


@pytest.mark.usefixtures('unchecked')
def test_of_the_best_labels_of_a_point_the_best_category_counts() -> None:
    scores = np.array([[0.1, 0.2, 0.8, 0.3, 0.9, 1.0]])
    best = top_labels(lambda rows: scores[rows], 1, 5)
    assert [LABELS[column] for column in best[0]] == ['sky', 'box', 'cat', 'vase', 'cup']
    for top, category in ((1, 'incorrect'), (2, 'clutter'), (3, 'depictions'), (5, 'synonyms')):
        found = category_frequency(np.zeros(1), best[:, :top], np.array([7]), OBJECTS, LABELS)
        assert found[category] == 1
    with pytest.raises(ValueError, match='an object that has labels'):
        category_frequency(np.zeros(1), best, np.array([1]), OBJECTS, LABELS)
    with pytest.raises(ValueError, match='expected 2 and 1, got 1'):
        category_frequency(np.zeros(2), best, np.array([7]), OBJECTS, LABELS)


def test_ranking_scores_how_far_each_label_is_from_its_set() -> None:
    # Object 7: synonyms belong on ranks 0 and 1, 'cat' and 'vase' on 2 and 3, of 0 to 5.
    ranks = np.array([[0, 3, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]])
    scores = -ranks.astype(float)
    both = set_ranking(
        np.array([0, 1]), lambda rows: scores[rows], np.array([7, 7]), OBJECTS, LABELS
    )
    # At the first point 'cup' is 2 of 4 ranks right of its set, 'cat' 1 of 2 left of its own.
    assert both['synonyms'] == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert both['secondary'] == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    assert both['overall'] == pytest.approx((1 + 0.5 + 0.5 + 1 + 4) / 8)
    # The rest is about the last point alone, where all is right.
    assert (both['synonym_inlier_rate'], both['secondary_inlier_rate']) == (1, 1)
    assert both['synonym_undershooting'] is None
    back = set_ranking(
        np.array([1, 0]), lambda rows: scores[rows], np.array([7, 7]), OBJECTS, LABELS
    )
    assert (back['synonym_inlier_rate'], back['secondary_inlier_rate']) == (0.5, 0.5)
    assert back['synonym_undershooting'] == pytest.approx(0.5)
    assert back['secondary_overshooting'] == pytest.approx(0.5)
    nothing = set_ranking(np.array([0]), lambda rows: scores[rows], np.array([1]), OBJECTS, LABELS)
    assert set(nothing.values()) == {None}


def test_thinning_keeps_the_mean_of_a_voxel_and_the_point_closest_to_it() -> None:
    points = np.array([[0.01, 0, 0], [0.02, 0, 0], [0.045, 0, 0], [0.07, 0, 0], [-0.01, 0, 0]])
    means, rows = thinned_rows(points)
    order = np.argsort(means[:, 0])
    assert means[order, 0] == pytest.approx([-0.01, 0.025, 0.07])
    assert rows[order].tolist() == [4, 1, 3]


def box(centre: tuple, size: tuple, turn_deg: float = 0.0) -> OrientedBox:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('z', turn_deg, degrees=True).as_matrix()
    pose[:3, 3] = centre
    return OrientedBox(pose, np.array(size, float))


CUBE = box((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    ('other', 'iou'),
    [
        (CUBE, 1),
        (box((0.5, 0, 0), (1, 1, 1)), 1 / 3),
        (box((0, 0, 0), (2, 2, 2), 30), 1 / 8),
        (box((0, 0, 0), (1, 1, 1), 45), math.sqrt(0.5)),
        (box((1, 0, 0), (1, 1, 1)), 0),
        (box((0.9, 0.9, 0), (1, 1, 1), 45), 0),
        (box((5, 0, 0), (1, 1, 1)), 0),
    ],
)
def test_iou_of_boxes(other: OrientedBox, iou: float) -> None:
    assert box_iou(CUBE, other) == pytest.approx(iou, abs=1e-9)
    assert box_iou(other, CUBE) == pytest.approx(iou, abs=1e-9)


def test_iou_of_turned_boxes_is_that_of_points_drawn_from_them() -> None:
    rng = np.random.default_rng(0)
    pair = []
    for _ in range(2):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
        pose[:3, 3] = rng.uniform(-0.2, 0.2, 3)
        pair.append(OrientedBox(pose, rng.uniform(0.5, 1.0, 3)))
    points = rng.uniform(-1.2, 1.2, (200_000, 3))
    inside = []
    for each in pair:
        normals, bounds = each.halfspaces()
        inside.append((points @ normals.T <= bounds).all(axis=1))
    drawn = (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()
    assert box_iou(*pair) == pytest.approx(drawn, abs=0.01)


def test_boxes_of_tasks() -> None:
    truth = {'mug': [CUBE, box((10, 0, 0), (1, 1, 1))], 'lamp': [box((20, 0, 0), (1, 1, 1))]}
    boxes = [
        box((0.5, 0, 0), (1, 1, 1)),  # of the first mug: IoU 1/3
        box((10.5, 0, 0), (4, 1, 1)),  # holds the second mug, whose box holds its centre: 1/4
        box((22, 0, 0), (5, 1, 1)),  # holds the lamp, but is too far off to be strict: 1/5
        box((30, 0, 0), (1, 1, 1)),  # nothing, and less like a mug than 0.9 of the best one
        box((20, 0, 0), (1, 1, 1)),  # the lamp, called a mug
    ]
    similarity = np.array([[0.9, 0], [0.95, 0], [0, 0.5], [0.85, 0], [0.93, 0.4]])
    score = box_score(boxes, similarity, truth)
    # The two closest to 'mug' are the second mug and the lamp, which overlaps no mug.
    assert score.iou == pytest.approx((1 / 4 + 1 / 5) / 3)
    assert score.relaxed_accuracy == pytest.approx(2 / 3)
    assert score.strict_accuracy == pytest.approx(1 / 3)
    # 'mug' gets objects 0, 1 and 4 (above 0.855), 'lamp' gets object 2.
    assert score.relaxed_precision == pytest.approx(3 / 4)
    assert score.strict_precision == pytest.approx(2 / 4)
    assert score.f1 == pytest.approx(2 * (3 / 4) * (2 / 3) / (3 / 4 + 2 / 3))
    assert score.objects == 5


def test_no_object_scores_nothing_and_no_truth_is_refused() -> None:
    score = box_score([], np.zeros((0, 1)), {'mug': [CUBE]})
    assert (score.iou, score.f1, score.objects) == (0, 0, 0)
    with pytest.raises(ValueError, match='at least one task, got none'):
        box_score([CUBE], np.zeros((1, 1)), {'mug': []})
    with pytest.raises(ValueError, match=r'expected \(1, 1\), got \(1, 2\)'):
        box_score([CUBE], np.zeros((1, 2)), {'mug': [CUBE]})
