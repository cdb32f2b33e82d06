from __future__ import annotations

import argparse

import numpy as np
import pytest

from lerf_ros.commands import calibrate
from lerf_ros.features.encoder import ExistenceCalibration
from lerf_ros.query.request import Evidence


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    return parser.parse_args(words)


def made_samples() -> list[tuple[bool, Evidence]]:
    generator = np.random.default_rng(0)
    return [
        (there, Evidence(*generator.normal(1.0 if there else -1.0, 0.5, 5)))
        for there in [True, False] * 50
    ]


def test_kept_evidence_is_fitted_again(tmp_path, capsys):
    kept, output = tmp_path / 'evidence.json', tmp_path / 'existence.json'
    calibrate.write_evidence(kept, 'abc', made_samples())
    assert calibrate.run(parsed('--from-evidence', str(kept), '--output', str(output))) == 0
    calibration = ExistenceCalibration.load(output)
    assert calibration.encoder_fingerprint == 'abc'
    lines = capsys.readouterr().out
    assert '50 phrases that are there, 50 that are not' in lines
    assert 'refused of those that are not: 100.0%' in lines


def test_scenes_of_the_evaluation_are_refused(tmp_path):
    arguments = parsed('--seeds', '9990-10000', '--output', str(tmp_path / 'x.json'))
    with pytest.raises(ValueError, match='for evaluation only'):
        calibrate.run(arguments)


def test_other_files_are_no_evidence(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text('[1, 2]')
    with pytest.raises(ValueError, match='expected evidence of an earlier run'):
        calibrate.read_evidence(path)
    with pytest.raises(ValueError, match='expected evidence of an earlier run'):
        calibrate.read_evidence(tmp_path / 'none.json')


def test_options_are_read_in_their_type():
    values = calibrate.parse_options(['query.scales=8', 'training.device=cpu'])
    assert values == {'query.scales': 8, 'training.device': 'cpu'}
    with pytest.raises(ValueError, match=r'GROUP\.OPTION=VALUE'):
        calibrate.parse_options(['scales=8'])
    with pytest.raises(ValueError, match='expected int for query'):
        calibrate.parse_options(['query.scales=many'])
