from __future__ import annotations

import numpy as np
import pytest

from lerf_ros.features.encoder import ExistenceModel
from lerf_ros.query.calibration import fit
from lerf_ros.query.existence import (
    CAUTIOUS_LIMIT,
    CAUTIOUS_MARGIN,
    confidence,
    log_odds,
)
from lerf_ros.query.request import Evidence


def made_evidence(present: np.ndarray, seed: int) -> list[Evidence]:
    generator = np.random.default_rng(seed)
    return [
        Evidence(
            relevancy=generator.normal(2.0 if there else -1.0, 1.0),
            margin=generator.normal(1.0 if there else -1.5, 1.0),
            contrast=generator.normal(2.0, 1.0),
            views=generator.normal(2.5, 0.5),
            support=generator.normal(5.0, 1.0),
        )
        for there in present
    ]


def test_a_fit_tells_apart_what_it_has_not_seen():
    present = np.arange(300) % 3 == 0
    model = fit(made_evidence(present, 0), present)
    fresh = np.arange(600) % 2 == 0
    sure = np.array([confidence(e, model) for e in made_evidence(fresh, 1)])
    assert (sure[fresh] >= 0.5).mean() > 0.9
    assert (sure[~fresh] < 0.5).mean() > 0.9
    # What says nothing gets little weight.
    weights = dict(zip(model.features, model.weights, strict=True))
    assert abs(weights['contrast']) < 0.3 * weights['relevancy']


def test_confidence_is_a_probability():
    present = np.arange(2000) % 2 == 0
    model = fit(made_evidence(present, 2), present)
    sure = np.array([confidence(e, model) for e in made_evidence(present, 3)])
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        bin_ = (sure > low - 0.1) & (sure <= low + 0.1)
        if bin_.sum() > 40:
            assert present[bin_].mean() == pytest.approx(sure[bin_].mean(), abs=0.13)


def test_separable_evidence_does_not_diverge():
    present = np.array([True, False] * 10)
    evidence = [Evidence(5.0 if there else -5.0, 0.0, 0.0, 0.0, 0.0) for there in present]
    model = fit(evidence, present)
    assert np.isfinite(model.weights).all()
    assert confidence(evidence[0], model) > 0.9


def test_nothing_to_tell_apart_is_refused():
    evidence = made_evidence(np.ones(5, bool), 0)
    with pytest.raises(ValueError, match='phrases that are not'):
        fit(evidence, [True] * 5)
    with pytest.raises(ValueError, match='expected 5 values'):
        fit(evidence, [True] * 4)


def test_unknown_evidence_is_refused():
    model = ExistenceModel(('smell',), (1.0,), 0.0)
    with pytest.raises(ValueError, match='no evidence is called smell'):
        confidence(made_evidence(np.ones(1, bool), 0)[0], model)


def test_without_calibration_both_relevancy_and_margin_are_needed():
    def sure(relevancy: float, margin: float) -> float:
        return confidence(Evidence(log_odds(relevancy), margin, 9, 0, 0), None)

    assert sure(0.9, 2.0) > 0.5
    assert sure(0.4, 2.0) < 0.5
    assert sure(0.9, 0.0) < 0.5  # as much like a distractor as like the phrase
    assert sure(0.9, CAUTIOUS_MARGIN) == pytest.approx(0.5)
    assert sure(0.999, 50.0) == CAUTIOUS_LIMIT  # nothing was fitted: never surer than this
