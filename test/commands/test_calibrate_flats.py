"""Tests of calibrating on simulated flats."""

from __future__ import annotations

import argparse

import pytest

from lerf_ros.commands import calibrate
from lerf_ros.commands.calibrate_evidence import read_evidence
from lerf_ros.config import LerfConfig
from lerf_ros.features.encoder import ExistenceCalibration
from lerf_ros.features.load import load_encoder


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    return parser.parse_args(words)


def test_a_room_is_calibrated_on_flats_and_keeps_the_pictures_of_tables(tmp_path, capsys):
    pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')
    output, kept = tmp_path / 'room.json', tmp_path / 'evidence.json'
    words = '--place room --seeds 9003 --area 10 --seconds 30 --width 200 --steps-per-second 2'
    changes = ('training.rays_per_step=128', 'keyframes.min_interval_s=1.5', 'query.scales=6')
    changes += ('query.voxel_m=0.03', 'features.pyramid_levels=3', 'features.tile_share_min=0.1')
    sets = [word for change in changes for word in ('--set', change)]
    files = ('--output', str(output), '--evidence', str(kept))
    assert calibrate.run(parsed(*words.split(), *sets, *files)) == 0
    assert 'phrases that are there' in capsys.readouterr().out
    _, samples = read_evidence(kept)
    assert {there for there, _ in samples['phrases']} == {True, False}
    assert samples['pictures'] == []
    table = load_encoder(LerfConfig().features).existence
    room = ExistenceCalibration.load(output)
    of_rooms = load_encoder(LerfConfig().replace({'features.place': 'room'}).features)
    assert room.encoder_fingerprint == of_rooms.fingerprint
    assert room.pictures == table.pictures
    assert room.phrases != table.phrases


@pytest.mark.parametrize('wrong', ['--area', '--width'])
def test_numbers_below_their_least_are_refused(tmp_path, wrong):
    words = ('--place', 'room', '--seeds', '9001', wrong, '0', '--output', str(tmp_path / 'x'))
    with pytest.raises(ValueError, match=wrong.strip('-')):
        calibrate.run(parsed(*words))
