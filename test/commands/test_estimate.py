"""Tests of `lerf_ros estimate`."""

from __future__ import annotations

import pytest

from lerf_ros.__main__ import main
from lerf_ros.commands.evaluate.map_arguments import make_config
from lerf_ros.maps.budget import estimate_area


def test_an_atlas_of_a_large_floor_takes_hardly_more_memory_than_a_small_one():
    config = make_config('tabletop', [], 'floor')
    small, large = (estimate_area(config, area_m2, 64) for area_m2 in (250.0, 1000.0))
    assert large.device == small.device
    assert large.host + large.device < 1.15 * (small.host + small.device)
    assert large.disk == pytest.approx(4 * small.disk, rel=0.1)
    assert large.submaps > 3 * small.submaps


def test_keyframes_beside_sleeping_submaps_take_disk_alone():
    config = make_config('tabletop', [], 'room')
    with_them = estimate_area(config, 300.0, 64)
    without = estimate_area(config.replace({'atlas.rehearsed_keyframes': 0}), 300.0, 64)
    asleep = (with_them.submaps - config.atlas.awake_submaps) * config.atlas.rehearsed_keyframes
    assert 0.3 * asleep < with_them.disk - without.disk < asleep  # MB
    assert (with_them.device, with_them.host) == (without.device, without.host)


def test_one_map_says_how_much_floor_it_holds(capsys):
    assert main(['estimate', '--area', '75', '--place', 'table']) == 0
    said = capsys.readouterr().out
    assert 'one map for all' in said
    assert 'atlas.submap_side_m' in said
    assert main(['estimate', '--area', '75']) == 0
    assert 'awake' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [(['--area', '0'], 'area: expected'), (['--place', 'moon'], 'place: expected one of')],
)
def test_what_makes_no_sense_is_refused(arguments, sentence, capsys):
    assert main(['estimate', *arguments]) == 2
    assert sentence in capsys.readouterr().err
