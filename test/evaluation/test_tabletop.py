"""The benchmark end to end: a real map of a simulated table, with an encoder of colours."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from colour_encoder import ColourEncoder

from lerf_ros.__main__ import main
from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.asking import ask_baselines, ask_map
from lerf_ros.evaluation.baselines import FusionField
from lerf_ros.evaluation.report import write_json
from lerf_ros.evaluation.tabletop import (
    BASELINES,
    TabletopRun,
    evaluate_tabletop,
    worst_pictures,
)
from lerf_ros.evaluation.tabletop_camera import shots
from lerf_ros.evaluation.truth import SceneTruth
from lerf_ros.evaluation.verdicts import ANSWER_KEYS, MAP_KEYS
from lerf_ros.maps.submap import Submap
from lerf_ros.simulation import SENSORS, TabletopScene

# Timings and memory differ from run to run; all else must not.
MEASURED = ('steps_per_s', 'query_ms', 'peak_rss_mb')
CONFIG = LerfConfig.from_flat(
    {
        'features.pyramid_levels': 3,
        'features.tile_share_min': 0.1,
        'field.levels': 8,
        'field.max_resolution': 256,
        'field.table_log2': 14,
        'field.language_levels': 4,
        'field.language_table_log2': 12,
        'training.rays_per_step': 256,
        'training.language_rays_per_step': 128,
        'query.voxel_m': 0.03,
        'query.scales': 5,
    }
)
RUN = TabletopRun(seeds=(9003, 9001), seconds=(0.4, 2.0), steps_per_second=30.0, held_out_views=1)


def evaluate(run: TabletopRun = RUN, jobs: int = 1):
    done: list[float] = []
    result, reports = evaluate_tabletop(
        run,
        CONFIG,
        ColourEncoder,
        {'note': 1},
        lambda amount, text: done.append(amount),
        jobs=jobs,
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
    assert sum(done) == pytest.approx(2 * 2.0)
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
    assert {answer['question']['kind'] for answer in answers} == {
        'object',
        'part',
        'absent',
        'picture',
        'absent picture',
    }


def test_equal_seeds_give_equal_numbers_in_any_number_of_processes(
    outcome, tmp_path, capsys
) -> None:
    alone, _, _ = outcome
    together, reports, done = evaluate(jobs=2)
    assert without_timings(together) == without_timings(alone)
    assert [report.seed for report in reports] == [9003, 9001]
    assert sum(done) == pytest.approx(2 * 2.0)
    # The two results, as files, compared by the command: the same, but for timings and memory.
    for name, result in (('alone', alone), ('together', together)):
        write_json(tmp_path / f'{name}.json', result)
    files = [str(tmp_path / f'{name}.json') for name in ('alone', 'together', 'difference')]
    assert main(['evaluate', 'compare', *files[:2], '--json', files[2]]) == 0
    assert 'fusion.miou_3d' in capsys.readouterr().out
    rows = json.loads((tmp_path / 'difference.json').read_text())['rows']
    assert {row['key'] for row in rows} >= {'localisation', 'psnr', 'baselines.colour.miou_3d'}
    for row in rows:
        measured = row['key'].split('.')[-1] in MEASURED
        assert measured or row['verdict'] == 'same', row
    assert {row['scenes'] for row in rows if row['key'] == 'psnr'} == {2}


def test_the_real_clock_runs_here() -> None:
    result, (report,), _ = evaluate(
        replace(RUN, seeds=(9001,), seconds=(3.0,), realtime=True, baselines=False)
    )
    (row,) = result['rows']
    assert row['steps'] > 0
    assert row['keyframes'] >= 2
    # Within 3 s of the wall clock there are not more steps than these take.
    assert row['steps'] <= 3.5 * row['steps_per_s']
    assert row['baselines'] == {}
    assert len(report.answers[3.0]['field']) == row['questions']


def test_a_map_that_is_not_ready_found_nothing() -> None:
    encoder = ColourEncoder()
    live_map = Submap(CONFIG, encoder)
    with TabletopScene(9001) as scene:
        truth = SceneTruth(scene)
    questions = truth.questions()
    surface = live_map.surface()
    labels = truth.label(surface.positions)
    answers, query_ms, results = ask_map(live_map, truth, questions, labels)
    fusion = FusionField(encoder.embedding_size, torch.tensor([0.1, 0.2]), 0.01)
    others = ask_baselines(truth, questions, surface, labels, fusion, 10**6, CONFIG, encoder)
    assert query_ms is None
    assert results == {}
    for given in (answers, others['fusion'], others['fusion_as_large'], others['oracle']):
        assert len(given) == len(questions)
        assert not any(answer.hit or answer.said_present for answer in given)


def test_worst_answers_are_drawn_with_a_reason(outcome) -> None:
    _, reports, _ = outcome
    pictures = worst_pictures(RUN, reports)
    assert 1 <= len(pictures) <= RUN.worst
    for number, item in enumerate(pictures, start=1):
        assert item.caption.startswith(f'{number}. "')
        assert item.caption.endswith('.')
        assert item.png.startswith(b'\x89PNG')


def test_sensors_differ_only_in_what_they_do_to_a_picture() -> None:
    with TabletopScene(9001) as scene:
        walks = {name: shots(scene, 0.5, SENSORS[name]) for name in SENSORS}
        frames = {name: walk[3].read() for name, walk in walks.items()}
        again = shots(scene, 0.5, SENSORS['hard'])[3].read()
    assert {len(walk) for walk in walks.values()} == {5}
    usual, hard, colour = frames['usual'], frames['hard'], frames['colour']
    assert colour.depth is None
    assert np.array_equal(colour.image, usual.image)
    assert np.array_equal(colour.camera_to_world, usual.camera_to_world)
    assert np.isfinite(hard.depth).mean() < 0.75 < np.isfinite(usual.depth).mean()
    offset_m = np.linalg.norm((hard.camera_to_world - usual.camera_to_world)[:3, 3])
    assert 0 < offset_m < 0.03
    # Equal but for the rounding of rotations that every frame applies.
    assert np.allclose(hard.camera_to_world, walks['hard'][3].camera_to_world, atol=1e-9)
    assert np.array_equal(again.image, hard.image)
    assert np.array_equal(again.camera_to_world, hard.camera_to_world)
