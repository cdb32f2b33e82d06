"""The benchmark end to end: a real map of a simulated table, with an encoder of colours."""

from __future__ import annotations

import json

import pytest
from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.answers import ANSWER_KEYS, MAP_KEYS
from lerf_ros.evaluation.tabletop import (
    BASELINES,
    TabletopRun,
    evaluate_tabletop,
    worst_pictures,
)

# Timings and memory differ from run to run; all else must not.
MEASURED = ('steps_per_s', 'query_ms', 'peak_rss_mb')
CONFIG = LerfConfig.from_flat(
    {'features.pyramid_levels': 3, 'features.tile_share_min': 0.1, 'training.rays_per_step': 256}
)
RUN = TabletopRun(seeds=(9001,), seconds=(0.4, 2.0), steps_per_second=30.0, held_out_views=1)


def evaluate(run: TabletopRun = RUN):
    done: list[float] = []
    result, reports = evaluate_tabletop(
        run, CONFIG, ColourEncoder(), {'note': 1}, lambda amount, text: done.append(amount)
    )
    return result, reports, done


@pytest.fixture(scope='module')
def outcome():
    return evaluate()


def without_timings(value):
    if isinstance(value, dict):
        return {k: without_timings(v) for k, v in value.items() if k not in MEASURED}
    return [without_timings(v) for v in value] if isinstance(value, list) else value


def test_rows_hold_every_figure(outcome) -> None:
    result, _, done = outcome
    assert [row['seconds'] for row in result['rows']] == [0.4, 2.0]
    assert sum(done) == pytest.approx(2.0)
    for row in result['rows']:
        assert {*ANSWER_KEYS, *MAP_KEYS} <= set(row)
        for split in ('seen', 'excluded'):
            assert {*ANSWER_KEYS, *MAP_KEYS} <= set(row[split])
        assert set(row['baselines']) == set(BASELINES)
        for figures in row['baselines'].values():
            assert {*ANSWER_KEYS, 'seen', 'excluded'} <= set(figures)
        for key in ('localisation', 'miou_3d', 'existence_recall', 'absent_refused'):
            assert 0 <= row[key] <= 1
        assert row['steps'] > 0
        assert row['query_ms'] > 0
        # A seed for training has no excluded pairs: there is nothing to score.
        assert row['excluded']['localisation'] is None
        assert row['seen']['localisation'] == row['localisation']
    json.dumps(result, allow_nan=False)


def test_the_map_gets_better_and_the_truth_is_the_scenes(outcome) -> None:
    first, last = outcome[0]['rows']
    assert last['depth_median_m'] < 0.2 < first['depth_median_m']
    assert last['psnr'] > 8
    assert first['keyframes'] < last['keyframes']
    answers = outcome[0]['answers']
    assert len(answers) == last['questions']
    assert {answer['question']['kind'] for answer in answers} == {'object', 'part', 'absent'}


def test_equal_seeds_give_equal_numbers(outcome) -> None:
    again, _, _ = evaluate()
    assert without_timings(again) == without_timings(outcome[0])


def test_worst_answers_are_drawn_with_a_reason(outcome) -> None:
    _, reports, _ = outcome
    pictures = worst_pictures(RUN, reports)
    assert 1 <= len(pictures) <= RUN.worst
    for number, item in enumerate(pictures, start=1):
        assert item.caption.startswith(f'{number}. "')
        assert item.caption.endswith('.')
        assert item.png.startswith(b'\x89PNG')
