"""Figures of answers, against cases computed by hand."""

from __future__ import annotations

import math

import pytest

from lerf_ros.evaluation.verdicts import ANSWER_KEYS, Answer, Question, split_summary, summarise
from lerf_ros.evaluation.verdicts import worst as worst_answers


def make(kind: str, *, said=True, hit=True, error=0.01, iou=0.5, confidence=0.9, **question):
    return Answer(
        seed=1,
        question=Question(phrase=question.pop('phrase', 'mug'), kind=kind, **question),
        said_present=said,
        confidence=confidence,
        hit=hit,
        error_m=error,
        iou=iou,
    )


def test_figures() -> None:
    answers = [
        make('object', error=0.01, iou=0.8),
        make('object', error=0.03, iou=0.4, hit=False),
        make('object', error=0.02, iou=0.6, said=False),
        make('part', hit=True),
        make('part', hit=False),
        make('absent', said=True, hit=False),
        make('absent', said=False, hit=False),
    ]
    figures = summarise(answers)
    assert set(figures) == set(ANSWER_KEYS)
    assert figures['localisation'] == pytest.approx(2 / 3)
    assert figures['median_error_m'] == pytest.approx(0.02)
    assert figures['miou_3d'] == pytest.approx(0.6)
    assert figures['existence_precision'] == pytest.approx(2 / 3)
    assert figures['existence_recall'] == pytest.approx(2 / 3)
    assert figures['absent_refused'] == pytest.approx(1 / 2)
    assert figures['present_refused'] == pytest.approx(1 / 3)
    assert figures['parts'] == pytest.approx(1 / 2)


def test_missing_places_count_as_misses() -> None:
    figures = summarise([make('object', hit=False, error=math.inf, iou=0.0), make('object')])
    assert figures['localisation'] == 0.5
    assert figures['median_error_m'] is None


def test_splits_by_excluded_pairs() -> None:
    row = split_summary(
        [make('object'), make('object', hit=False, excluded=True), make('absent', excluded=True)]
    )
    assert row['localisation'] == 0.5
    assert row['seen']['localisation'] == 1.0
    assert row['excluded']['localisation'] == 0.0
    assert row['seen']['absent_refused'] is None
    assert row['excluded']['absent_refused'] == 0.0


def test_worst_answers_are_the_confident_wrong_ones() -> None:
    right = make('object', phrase='right', object_index=0)
    refused = make('object', phrase='refused', said=False, confidence=0.4, object_index=1)
    missed = make('object', phrase='missed', hit=False, error=0.3, object_index=2)
    part = make('part', phrase='missed; lid', hit=False, error=0.2, object_index=2)
    invented = make('absent', phrase='invented', confidence=0.8)
    silent = make('absent', phrase='silent', said=False, confidence=0.2)
    ranked = worst_answers([right, part, refused, invented, missed, silent], 5)
    assert [answer.question.phrase for answer in ranked] == ['missed', 'invented', 'refused']


def test_json_has_no_infinity() -> None:
    assert make('object', error=math.inf).as_json()['error_m'] is None


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match='kind'):
        Question(phrase='mug', kind='thing')
