from __future__ import annotations

import argparse

import numpy as np
import pytest

from lerf_ros.commands import calibrate
from lerf_ros.commands.calibrate_evidence import Samples, read_evidence, write_evidence
from lerf_ros.features.encoder import ExistenceCalibration
from lerf_ros.query.existence import confidence
from lerf_ros.query.request import Evidence


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    return parser.parse_args(words)


def made_samples() -> Samples:
    generator = np.random.default_rng(0)
    samples = [
        (there, Evidence(*generator.normal(1.0 if there else -1.0, 0.5, 5)))
        for there in [True, False] * 50
    ]
    return {'phrases': samples, 'pictures': samples[:40]}


def test_kept_evidence_is_fitted_again(tmp_path, capsys):
    kept, output = tmp_path / 'evidence.json', tmp_path / 'existence.json'
    write_evidence(kept, 'abc', made_samples())
    assert calibrate.run(parsed('--from-evidence', str(kept), '--output', str(output))) == 0
    calibration = ExistenceCalibration.load(output)
    assert calibration.encoder_fingerprint == 'abc'
    lines = capsys.readouterr().out
    assert '50 phrases that are there, 50 that are not' in lines
    assert '20 pictures that are there, 20 that are not' in lines
    assert 'refused of those that are not: 100.0%' in lines


def test_who_is_asked_more_for_what_is_there_says_yes_sooner(tmp_path):
    kept, output = tmp_path / 'evidence.json', tmp_path / 'existence.json'
    write_evidence(kept, 'abc', made_samples())
    middling = Evidence(0, 0, 0, 0, 0)
    sure = []
    for share in ('0.3', '0.5', '0.75'):
        words = '--from-evidence', str(kept), '--output', str(output), '--present-share', share
        calibrate.run(parsed(*words))
        sure.append(confidence(middling, ExistenceCalibration.load(output).phrases))
    assert sure[0] < sure[1] < sure[2]
    assert sure[1] == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize('share', ['0', '1', '-1', 'nan'])
def test_a_share_is_between_none_and_all(tmp_path, share):
    arguments = parsed('--present-share', share, '--output', str(tmp_path / 'x.json'))
    with pytest.raises(ValueError, match='present-share: expected more than 0'):
        calibrate.run(arguments)


def test_scenes_of_the_evaluation_are_refused(tmp_path):
    arguments = parsed('--seeds', '9990-10000', '--output', str(tmp_path / 'x.json'))
    with pytest.raises(ValueError, match='for evaluation only'):
        calibrate.run(arguments)


def test_other_files_are_no_evidence(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text('[1, 2]')
    with pytest.raises(ValueError, match='expected evidence of an earlier run'):
        read_evidence(path)
    with pytest.raises(ValueError, match='expected evidence of an earlier run'):
        read_evidence(tmp_path / 'none.json')


@pytest.mark.parametrize('wrong', ['--jobs', '--seconds', '--keyframe-rate', '--steps-per-second'])
def test_numbers_below_their_least_are_refused(tmp_path, wrong):
    arguments = parsed('--seeds', '9001', wrong, '0', '--output', str(tmp_path / 'x.json'))
    with pytest.raises(ValueError, match=wrong.strip('-')):
        calibrate.run(arguments)


@pytest.mark.parametrize(('what', 'known'), [('worlds', 'clutter'), ('sensors', 'hard')])
def test_unknown_tables_and_cameras_are_refused(what, known):
    arguments = parsed(f'--{what}', f'{known},banana', '--output', 'x')
    with pytest.raises(ValueError, match=f"{what}: expected some of .*{known}.*'banana'"):
        calibrate.gather(arguments, (9001, 9002))


def test_evidence_does_not_depend_on_the_number_of_processes():
    pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')
    words = ['--seconds', '1.5', '--keyframe-rate', '3']
    for option in ('training.rays_per_step=256', 'query.voxel_m=0.02', 'query.scales=8'):
        words += ['--set', option]
    alone, both = (
        calibrate.gather(parsed(*words, '--jobs', str(len(seeds)), '--output', 'x'), seeds)
        for seeds in ((9002,), (9002, 9001))
    )
    assert alone[0] == both[0]
    for kind, least in (('phrases', 20), ('pictures', 10)):
        own = len(alone[1][kind])
        assert both[1][kind][:own] == alone[1][kind]
        assert len(both[1][kind]) > max(own, least)
