"""Tests of calibrating on a labelled recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lerf_ros.__main__ import main
from lerf_ros.commands.calibrate_recording import Labels
from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import ExistenceCalibration, ExistenceModel
from lerf_ros.features.load import load_encoder

PHRASES = [f'thing {number}' for number in range(5)]


def write(path: Path, present: list, absent: list) -> Path:
    path.write_text(json.dumps({'present': present, 'absent': absent}))
    return path


def test_labels_are_read_and_wrong_ones_refused(tmp_path):
    path = tmp_path / 'labels.json'
    others = [f'other {number}' for number in range(5)]
    assert Labels.read(write(path, PHRASES, others)).absent == tuple(others)
    with pytest.raises(ValueError, match='at least 5 phrases present'):
        Labels.read(write(path, PHRASES[:2], others))
    with pytest.raises(ValueError, match='in one list'):
        Labels.read(write(path, PHRASES, [*others, PHRASES[0]]))
    with pytest.raises(ValueError, match='expected phrases'):
        Labels.read(write(path, PHRASES, [1, 2, 3, 4, 5]))
    path.write_text('{}')
    with pytest.raises(ValueError, match='"present"'):
        Labels.read(path)


def test_labels_and_recording_belong_together(tmp_path, capsys):
    arguments = ['calibrate', '--recording', str(tmp_path), '--output', str(tmp_path / 'o')]
    assert main(arguments) == 2
    assert 'labels: expected together' in capsys.readouterr().err


def test_a_calibration_of_words_alone_is_used_for_its_own_encoder_only(tmp_path):
    encoder = load_encoder(FeatureOptions())
    model = ExistenceModel(('relevancy',), (1.0,), 0.5)
    path = tmp_path / 'own.existence.json'
    ExistenceCalibration(encoder.fingerprint, model, None).save(path)
    loaded = load_encoder(FeatureOptions(existence=str(path))).existence
    assert loaded == ExistenceCalibration(encoder.fingerprint, model, None)
    ExistenceCalibration('another', model, None).save(path)
    with pytest.raises(ValueError, match='another encoder'):
        load_encoder(FeatureOptions(existence=str(path)))
