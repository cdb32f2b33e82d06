"""Tests of lerf_ros.config."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from option_reads import reads

from lerf_ros.config import VARIANTS, LerfConfig, flat_options, load_variant, load_yaml

ROOT = Path(__file__).parent.parent


def test_every_option_has_a_sentence_and_a_default_in_range():
    for name, info in flat_options():
        assert info.text.endswith('.'), name
        assert info.check(info.default) == info.default


def test_every_option_is_read_somewhere():
    read = set()
    for path in (ROOT / 'lerf_ros').rglob('*.py'):
        read |= reads(path.read_text(encoding='utf-8'))
    declared = {name for name, _ in flat_options()}
    assert not declared - read, 'declared and never read'
    groups = [group.name for group in dataclasses.fields(LerfConfig)]
    members = {f'{group}.{name}' for group in groups for name in dir(getattr(LerfConfig(), group))}
    assert not read - declared - members, 'read and never declared'


def test_reading_an_option_of_another_group_or_thing_does_not_count():
    assert reads(
        """
class Thing:
    near_m: float
    options: FieldOptions

    def __init__(self, options: QueryOptions, other, config: LerfConfig) -> None:
        self._options, self._node = options, config.node
        other.voxel_m
        self.near_m
        config.training.seed

    def look(self, options):
        options.scales
        self._options.max_scale_m
        self._node.world_frame
        self.options.levels
        self.options.width = 3
"""
    ) == {'training.seed', 'query.max_scale_m', 'node.world_frame', 'field.levels'}


@pytest.mark.usefixtures('unchecked')
@pytest.mark.parametrize(
    ('name', 'value', 'sentence'),
    [
        ('field.levels', 1000, 'at most'),
        ('field.levels', 'many', 'expected int'),
        ('field.levels', True, 'expected int'),
        ('field.backend', 'magic', 'expected one of'),
        ('field.half_extent_m', float('nan'), 'finite'),
        ('field.wrong', 1, 'unknown option'),
    ],
)
def test_wrong_options_are_named(name, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        LerfConfig.from_flat({name: value})


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (
            {'features.tile_share_min': 0.6},
            r'features\.tile_share_min: expected at most tile_share_max = 0\.5, got 0\.6',
        ),
        ({'field.min_resolution': 513}, 'min_resolution: expected at most max_resolution'),
        ({'field.min_resolution': 129}, 'at most proposal_max_resolution'),
        ({'field.language_min_resolution': 300}, 'at most language_max_resolution'),
        ({'field.language_split_resolution': 8}, 'less than language_split_resolution'),
        ({'field.language_split_resolution': 256}, 'less than language_max_resolution'),
        (
            {'keyframes.min_interval_s': 2.0, 'keyframes.max_interval_s': 1.0},
            'at most max_interval_s',
        ),
        ({'query.min_scale_m': 0.5}, r'query\.min_scale_m: expected less than max_scale_m'),
        ({'query.region_min_y_m': 1000.0}, 'region_min_y_m: expected less than region_max_y_m'),
        (
            {'training.replay_newest_share': 0.6},
            'replay_uniform_share: expected at most 1 together, got 0.6 and 0.5',
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused_with_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        LerfConfig.from_flat(changes)


def test_what_contradicts_may_be_changed_together():
    config = LerfConfig().replace({'query.min_scale_m': 0.6, 'query.max_scale_m': 0.9})
    with pytest.raises(ValueError, match='min_scale_m'):
        config.replace({'query.max_scale_m': 0.5})
    assert config.replace({'query.max_scale_m': 0.5, 'query.min_scale_m': 0.1}).query.scales == 16
    assert LerfConfig.from_flat({'keyframes.min_interval_s': 2.0}).keyframes.max_interval_s == 0


def test_integers_may_stand_for_floats():
    assert LerfConfig.from_flat({'field.half_extent_m': 2}).field.half_extent_m == 2.0


def test_flat_gives_the_options_back():
    config = LerfConfig.from_flat({'query.voxel_m': 0.02, 'node.world_frame': 'odom'})
    assert LerfConfig.from_flat(config.flat()) == config


@pytest.mark.parametrize('variant', VARIANTS)
def test_variants_are_found_where_the_package_is_installed(tmp_path, variant):
    packages = tmp_path / 'lib' / 'python3' / 'site-packages' / 'lerf_ros'
    shutil.copytree(ROOT / 'lerf_ros' / 'config', packages / 'config')
    for name in ('__init__.py', 'options.py'):
        shutil.copy(ROOT / 'lerf_ros' / name, packages)
    shutil.copytree(ROOT / 'config', tmp_path / 'share' / 'lerf_ros' / 'config')
    code = (
        'import lerf_ros.config as c; '
        f'print(c.__file__, c.load_variant({variant!r}, "table").features.encoder)'
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(packages.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    file, encoder = result.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert encoder == load_variant(variant).features.encoder


def test_unknown_variants_and_places_are_named():
    with pytest.raises(ValueError, match='tabletop, lite, base, big or a YAML file'):
        load_variant('huge')
    with pytest.raises(ValueError, match=r'place: expected one of .*room, table'):
        load_variant('base', 'moon')


@pytest.mark.parametrize('path', sorted((ROOT / 'config').glob('*.yaml')), ids=lambda p: p.stem)
def test_parameter_files_load(path):
    load_yaml(path)


def test_a_parameter_file_with_a_misspelt_option_is_refused(tmp_path):
    path = tmp_path / 'wrong.yaml'
    path.write_text('/**:\n  ros__parameters:\n    field: {levls: 3}\n')
    with pytest.raises(ValueError, match='levls'):
        load_yaml(path)


@pytest.mark.parametrize('text', ['', 'a: [', 'field: {levels: 3}'])
def test_what_is_no_parameter_file_is_refused(tmp_path, text):
    path = tmp_path / 'wrong.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match='parameter file'):
        load_yaml(path)


def test_foreign_parameters_are_left_alone(tmp_path):
    path = tmp_path / 'right.yaml'
    path.write_text('/**:\n  ros__parameters:\n    use_sim_time: true\n    field: {levels: 3}\n')
    assert load_yaml(path).field.levels == 3
