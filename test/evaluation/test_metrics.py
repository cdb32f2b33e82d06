"""Metrics against cases computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

from lerf_ros.evaluation import metrics


def test_oriented_box_grown_by_a_centimetre() -> None:
    # A 20 x 10 x 4 cm box, turned by 90 degrees about z: its long side lies along world y.
    box = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]])
    points = np.array(
        [[1, 2, 0], [1, 2.109, 0], [1, 2.111, 0], [1.061, 2, 0], [1.059, 2, 0], [1, 2, 0.031]],
        dtype=float,
    )
    inside = metrics.inside_oriented_box(points, box, np.array([0.2, 0.1, 0.04]))
    assert inside.tolist() == [True, True, False, False, True, False]


def test_iou_of_points() -> None:
    truth = np.array([True, True, True, False, False, False])
    assert metrics.intersection_over_union(np.array([1, 2, 3]), truth) == pytest.approx(2 / 4)
    assert metrics.intersection_over_union(np.array([], dtype=int), truth) == 0.0
    assert metrics.intersection_over_union(truth, truth) == 1.0


def test_labels_come_from_the_nearest_surface_within_reach() -> None:
    reference = np.array([[0.0, 0, 0], [0.1, 0, 0]])
    points = np.array([[0.01, 0, 0], [0.095, 0, 0], [0.05, 0, 0], [0.1, 0.019, 0]])
    labels = metrics.label_points(points, cKDTree(reference), np.array([7, 3]))
    assert labels.tolist() == [7, 3, -1, 3]


def test_percentiles_with_missing_answers() -> None:
    assert metrics.percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert metrics.percentile([0.0, 1.0], 90) == pytest.approx(0.9)
    assert metrics.percentile([1.0, 2.0, math.inf], 50) == 2.0
    assert metrics.percentile([1.0, 2.0, math.inf], 90) is None
    assert metrics.percentile([math.inf, math.inf], 50) is None
    assert metrics.percentile([], 50) is None


def truths(digits: str) -> list[bool]:
    """Returns True for each 1."""
    return [digit == '1' for digit in digits]


def test_existence() -> None:
    # Three present (one refused), two absent (one accepted).
    result = metrics.existence(truths('11100'), truths('11010'))
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 3)
    assert result.absent_refused == pytest.approx(1 / 2)
    assert result.present_refused == pytest.approx(1 / 3)
    silent = metrics.existence(truths('10'), truths('00'))
    assert silent.precision is None
    assert silent.absent_refused == 1.0
    with pytest.raises(ValueError, match='expected 2 answers'):
        metrics.existence(truths('10'), truths('1'))


def test_what_is_refused_at_a_share_does_not_depend_on_the_threshold_that_ships() -> None:
    present = [0.01, *(0.5 + 0.01 * i for i in range(39))]  # 40: two of them may be refused
    absent = [0.0, 0.4, 0.505, 0.51, 0.9]
    assert metrics.refused_at(present, absent, 0.05) == pytest.approx(3 / 5)  # below 0.51
    squeezed = [value / 2 for value in present], [value / 2 for value in absent]
    assert metrics.refused_at(*squeezed, 0.05) == pytest.approx(3 / 5)
    assert metrics.refused_at(present, absent, 0.0) == pytest.approx(1 / 5)
    assert metrics.refused_at([0.7, 0.7], [0.7, 0.7], 0.05) == 0.0  # ties are not refused
    assert metrics.refused_at([], absent, 0.05) is None
    assert metrics.refused_at(present, [], 0.05) is None


def test_average_precision() -> None:
    # Ranked: hit, miss, hit -> 1/2 * 1 + 1/2 * 2/3.
    assert metrics.average_precision(truths('101'), [0.9, 0.8, 0.7]) == pytest.approx(5 / 6)
    assert metrics.average_precision(truths('10'), [0.5, 0.5]) == pytest.approx(0.5)
    assert metrics.average_precision(truths('00'), [0.5, 0.1]) is None


def test_psnr() -> None:
    truth = np.zeros((4, 4, 3), dtype=np.uint8)
    assert metrics.psnr(truth + 51, truth) == pytest.approx(-20 * math.log10(0.2))
    assert metrics.psnr(truth, truth) == 100.0
    half = np.full((4, 4, 3), 0.5)
    assert metrics.psnr(half, np.zeros((4, 4, 3))) == pytest.approx(6.0206, abs=1e-4)


def test_ssim_of_flat_pictures_and_of_noise() -> None:
    # Without variance only the luminance term is left.
    a, b = np.full((20, 20, 3), 0.2), np.full((20, 20, 3), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert metrics.ssim(a, b) == pytest.approx(expected)
    generator = np.random.default_rng(0)
    noise = generator.uniform(size=(32, 32, 3))
    assert metrics.ssim(noise, noise) == pytest.approx(1.0)
    assert abs(metrics.ssim(noise, generator.uniform(size=(32, 32, 3)))) < 0.2
    assert metrics.ssim(noise, 1 - noise) < -0.5
    with pytest.raises(ValueError, match='11x11'):
        metrics.ssim(noise[:8], noise[:8])


def test_depth_errors_and_coverage() -> None:
    depth = np.array([[1.0, 2.0], [np.nan, 4.0]])
    truth = np.array([[1.5, np.nan], [3.0, 3.0]])
    assert metrics.depth_errors(depth, truth).tolist() == [0.5, 1.0]
    accumulation = np.array([[0.9, 0.9], [0.1, 0.8]])
    assert metrics.coverage(accumulation, truth) == pytest.approx(2 / 3)
