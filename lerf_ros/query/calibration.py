"""Fitting the confidence that a phrase names, or a picture shows, something in the scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from lerf_ros.features.encoder import ExistenceModel
from lerf_ros.query.request import Evidence

Array = np.ndarray

EVIDENCE = ('relevancy', 'margin', 'contrast', 'views', 'support')
# Pull of the standardised weights towards 0, at most and in phrases: the more there are, the less
# it matters. Features that say the same share the weight. Where all but three of 609 phrases are
# told apart, a tenth of it let chance decide: to be seen often then spoke against a place.
MOST_RIDGE, RIDGE = 1e-2, 5.0
ITERATIONS = 50


def fit(
    evidence: Sequence[Evidence],
    present: Sequence[bool] | Bool[Array, ' n'],
    names: tuple[str, ...] = EVIDENCE,
    present_share: float = 0.5,
) -> ExistenceModel:
    """Returns the logistic model that explains what is present.

    Args:
        evidence: What was gathered for each phrase.
        present: Whether the phrase names something in its scene.
        names: Which evidence to use.
        present_share: Weight of the present phrases in all; 0.5 makes a confidence of 0.5 the
            point where both kinds of error are equally likely.

    Raises:
        ValueError: There is nothing to tell apart, or the lengths differ.
    """
    truth = np.asarray(present, dtype=bool)
    if len(evidence) != len(truth):
        raise ValueError(f'present: expected {len(evidence)} values, got {len(truth)}')
    if truth.all() or not truth.any():
        raise ValueError('present: expected phrases that are there and phrases that are not')
    values = np.array([one.values(names) for one in evidence])
    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    rows = np.concatenate([(values - mean) / spread, np.ones((len(values), 1))], axis=1)
    importance = np.where(truth, present_share / truth.sum(), (1 - present_share) / (~truth).sum())
    solution = _logistic(rows, truth, importance)
    weights = solution[:-1] / spread
    return ExistenceModel(
        features=names,
        weights=tuple(float(weight) for weight in weights),
        bias=float(solution[-1] - weights @ mean),
    )


def _logistic(
    rows: Float[Array, 'n k'], truth: Bool[Array, ' n'], importance: Float[Array, ' n']
) -> Float[Array, ' k']:
    """Returns the weights of least weighted log loss with a ridge, by Newton's method."""
    ridge = min(MOST_RIDGE, RIDGE / len(rows)) * np.eye(rows.shape[1])
    ridge[-1, -1] = 0
    solution = np.zeros(rows.shape[1])
    for _ in range(ITERATIONS):
        p = 1 / (1 + np.exp(-np.clip(rows @ solution, -60, 60)))
        gradient = rows.T @ (importance * (p - truth)) + ridge @ solution
        curvature = (rows * (importance * p * (1 - p))[:, None]).T @ rows + ridge
        curvature += 1e-9 * np.eye(len(curvature))
        step = np.linalg.solve(curvature, gradient)
        solution = solution - step
        if np.abs(step).max() < 1e-9:
            break
    return solution
