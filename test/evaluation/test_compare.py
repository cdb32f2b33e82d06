"""Comparing results: what counts as a difference."""

from __future__ import annotations

import json

import pytest

from lerf_ros.evaluation.compare import compare, read_result, table


def result(values: list[float], errors: list[float] | None = None) -> dict:
    errors = errors or [0.02] * len(values)
    return {
        'rows': [
            {
                'seconds': 10,
                'localisation': sum(values) / len(values),
                'median_error_m': sum(errors) / len(errors),
                'seen': {'localisation': None},
                'keyframes': 5,
            }
        ],
        'scenes': [
            {
                'seed': seed,
                'rows': [{'seconds': 10, 'localisation': value, 'median_error_m': error}],
            }
            for seed, (value, error) in enumerate(zip(values, errors, strict=True))
        ],
    }


def test_paired_difference_and_noise() -> None:
    before = result([0.5, 0.6, 0.7, 0.4], [0.02, 0.03, 0.02, 0.03])
    after = result([0.6, 0.7, 0.8, 0.5], [0.03, 0.02, 0.03, 0.02])
    differences = {d.key: d for d in compare(before, after)}
    assert set(differences) == {'localisation', 'median_error_m'}
    better = differences['localisation']
    assert better.change == pytest.approx(0.1)
    assert better.noise == pytest.approx(0.0, abs=1e-12)
    assert better.verdict == 'better'
    # +1 cm, -1 cm, +1 cm, -1 cm: mean 0, deviation 1.1547 cm, two standard errors 1.1547 cm.
    noisy = differences['median_error_m']
    assert noisy.noise == pytest.approx(0.011547, abs=1e-6)
    assert noisy.verdict in ('same', 'within noise')
    assert len(table(list(differences.values()))) == 3


def test_more_error_is_worse() -> None:
    before = result([0.5, 0.5], [0.02, 0.03])
    after = result([0.5, 0.5], [0.05, 0.06])
    verdicts = {d.key: d.verdict for d in compare(before, after)}
    assert verdicts == {'localisation': 'same', 'median_error_m': 'worse'}


def test_one_scene_says_nothing_of_noise() -> None:
    (difference, _) = compare(result([0.5]), result([0.9]))
    assert difference.noise is None
    assert difference.verdict == 'noise unknown'


def test_no_common_rows() -> None:
    other = result([0.5])
    other['rows'][0]['seconds'] = 60
    with pytest.raises(ValueError, match='same seconds'):
        compare(result([0.5]), other)


def test_reads_only_results(tmp_path) -> None:
    path = tmp_path / 'result.json'
    for content in ('nonsense', '[]', '{"rows": 3}', '{"rows": [{"psnr": 1}]}'):
        path.write_text(content)
        with pytest.raises(ValueError, match='--json'):
            read_result(path)
    path.write_text(json.dumps(result([0.5])))
    assert read_result(path)['rows'][0]['seconds'] == 10
