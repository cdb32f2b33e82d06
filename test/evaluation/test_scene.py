"""The public protocols end to end, on a table that the simulator writes and a map of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from colour_encoder import ColourEncoder

from lerf_ros.__main__ import main
from lerf_ros.config import LerfConfig, load_variant
from lerf_ros.evaluation.scorers import map_labels
from lerf_ros.evaluation.scorers.bounds import another
from lerf_ros.evaluation.scorers.map_labels import MapLabels
from lerf_ros.evaluation.scorers.run import evaluate_scene, read_scene
from lerf_ros.evaluation.scorers.simulated import make_scene
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.submap import Submap
from lerf_ros.query.phrase import TextEmbedder, parse_phrase
from lerf_ros.query.relevancy import naive_scale_relevancy
from lerf_ros.query.scales import ScaleSearch
from lerf_ros.simulation import gl

try:
    gl.make_current()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)

SMALL_ATLAS = {
    'features.pyramid_levels': 3,
    'training.rays_per_step': 256,
    'atlas.submap_side_m': 1.0,
    'training.registration_limit_m': 0.0,
}


def made(folder: Path, config: LerfConfig, encoder: LanguageEncoder, seconds: float = 3.0) -> Path:
    make_scene(
        folder,
        9004,
        config,
        encoder,
        area_m2=0.0,
        seconds=seconds,
        steps_per_second=20.0,
        advance=lambda amount, text: None,
    )
    return folder


@pytest.fixture(scope='module')
def table_config() -> LerfConfig:
    changes = {'training.rays_per_step': 256, 'query.voxel_m': 0.015}
    return load_variant('tabletop', 'table').replace(changes)


@pytest.fixture(scope='module')
def encoder(table_config: LerfConfig) -> LanguageEncoder:
    return load_encoder(table_config.features, torch.device('cpu'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, table_config: LerfConfig, encoder: LanguageEncoder) -> Path:
    return made(tmp_path_factory.mktemp('table'), table_config, encoder)


@pytest.fixture(scope='module')
def table(folder: Path, table_config: LerfConfig, encoder: LanguageEncoder) -> Submap:
    live_map = Submap(table_config, encoder)
    live_map.load(folder / 'map.lerf')
    return live_map


def figure(row: dict[str, Any], keys: list[str]) -> float:
    for key in keys:
        row = row[key]
    assert isinstance(row, float)
    return row


def test_an_oracle_is_better_than_the_map_and_that_than_shuffled_labels(
    folder: Path, table: Submap
) -> None:
    result = evaluate_scene(table, read_scene(folder, folder))
    json.dumps(result, allow_nan=False)
    ours, oracle, shuffled = result['rows']
    assert [row['method'] for row in result['rows']] == ['field', 'oracle', 'shuffled']
    assert oracle['hovsg']['miou'] > 0.9
    assert oracle['hovsg']['pacc'] > 0.95
    assert oracle['hovsg']['top_5'] == 1
    assert oracle['openlex3d']['top_1']['synonyms'] > 0.9
    assert oracle['clio']['relaxed_accuracy'] == 1
    for protocol, *keys in (
        ('hovsg', 'macc'),
        ('openlex3d', 'top_1', 'synonyms'),
        ('openlex3d', 'top_5', 'synonyms'),
        ('openlex3d', 'ranking', 'overall'),
        ('clio', 'relaxed_accuracy'),
    ):
        best, mine, chance = (figure(row[protocol], keys) for row in (oracle, ours, shuffled))
        assert best >= mine > chance + 0.1, (protocol, keys)
    assert set(result['class_iou']) <= {
        each['name']
        for each in json.loads((folder / 'habitat/info_semantic.json').read_text())['classes']
    }


def test_scores_are_log_odds_of_relevancy_in_batches_of_any_size(
    table: Submap, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ['red mug', 'blue thing', 'wall']
    scores = MapLabels(table, labels)
    rows = np.arange(0, len(scores.positions), 97)
    whole = scores(rows)
    monkeypatch.setattr(map_labels, 'CHUNK_COSINES', 1)
    assert scores(rows[:9]) == pytest.approx(whole[:9], abs=1e-4)
    points = table.surface()
    search = ScaleSearch(table.config.query, table.config.features)
    scales_m = search.active_m(points)
    trained = search.trained(points, scales_m)[rows]
    embed = TextEmbedder(table.encoder)
    assert table.trainer.field is not None
    for column, label in enumerate(labels):
        with torch.no_grad():
            found = naive_scale_relevancy(
                table.trainer.field,
                torch.from_numpy(points.positions[rows]),
                scales_m,
                embed.object_phrase(parse_phrase(label)),
                embed.temperature,
            ).numpy()
        best = np.where(trained, found, 0).max(axis=1)
        assert 1 / (1 + np.exp(-whole[:, column])) == pytest.approx(best, abs=1e-4)


def test_labels_that_cannot_be_asked_are_refused(
    table: Submap, table_config: LerfConfig, encoder: LanguageEncoder
) -> None:
    with pytest.raises(ValueError, match='labels: expected at least one'):
        MapLabels(table, [])
    with pytest.raises(ValueError, match='labels: expected words'):
        MapLabels(table, ['mug', '--'])
    with pytest.raises(ValueError, match='a surface, got an empty one'):
        MapLabels(Submap(table_config, encoder), ['mug'])


def test_an_atlas_that_sleeps_is_read_submap_by_submap(tmp_path: Path) -> None:
    config = LerfConfig.from_flat(SMALL_ATLAS)
    folder = made(tmp_path, config, ColourEncoder(), seconds=1.5)
    atlas = Atlas(config, ColourEncoder())
    atlas.load(folder / 'map')
    assert len(atlas.nodes) > 1
    assert not atlas.nodes.awake()
    scores = MapLabels(atlas, ['red mug', 'wall'])
    assert scores.positions == pytest.approx(atlas.whole_surface().positions, abs=1e-6)
    rows = np.arange(len(scores.positions))[::-50]
    assert np.isfinite(scores(rows)).all()
    assert scores(rows)[3] == pytest.approx(scores(rows[3:4])[0], abs=1e-4)
    result = evaluate_scene(atlas, read_scene(folder, folder, ['openlex3d', 'clio']))
    assert 'hovsg' not in result['rows'][0]
    assert result['rows'][1]['openlex3d']['top_1']['synonyms'] > 0.8
    atlas.close()


@pytest.mark.parametrize('protocol', ['hovsg', 'openlex3d', 'clio'])
def test_a_map_of_elsewhere_is_told(folder: Path, table: Submap, protocol: str) -> None:
    truth = read_scene(folder, folder, [protocol])
    away = np.array([50.0, 0, 0])
    if truth.hovsg is not None:
        moved = replace(truth.hovsg, positions=truth.hovsg.positions + away)
        truth = replace(truth, hovsg=moved)
    if truth.openlex3d is not None:
        moved = replace(truth.openlex3d, positions=truth.openlex3d.positions + away)
        truth = replace(truth, openlex3d=moved)
    for boxes in (truth.clio or {}).values():
        for box in boxes:
            box.box_to_world[:3, 3] += away
    with pytest.raises(ValueError, match='are they in one frame'):
        evaluate_scene(table, truth)


def test_answers_go_to_another_label() -> None:
    for count in (2, 3, 10):
        turned = another(count, np.random.default_rng(count))
        assert sorted(turned) == list(range(count))
        assert (turned != np.arange(count)).all()
    assert another(1, np.random.default_rng(0)).tolist() == [0]


def test_bad_input_is_one_sentence(folder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / 'map.lerf').write_text('no map')
    for arguments, words in (
        ([tmp_path / 'nowhere'], 'map: expected'),
        ([tmp_path], 'expected a scene, got none'),
        ([tmp_path, '--protocol', 'hovsg'], 'mesh_semantic.ply'),
        ([tmp_path, '--protocol', 'openlex3d'], 'gt_categories.json'),
        ([tmp_path, '--protocol', 'clio'], 'expected one tasks*.yaml of Clio, got 0'),
        ([folder, '--map', tmp_path / 'map.lerf'], 'damaged or no map'),
        ([folder, '--map', tmp_path / 'other'], 'other, got neither file nor folder'),
        ([tmp_path / 'new', '--make', '1', '--area', '-3'], 'area: expected a number above 0'),
        ([tmp_path / 'new', '--make', '1', '--map', folder], 'neither --map nor --replica'),
        ([folder, '--place', 'moon'], 'place: expected one of'),
    ):
        assert main(['evaluate', 'scene', *map(str, arguments)]) == 2
        output = capsys.readouterr()
        assert output.out == ''
        assert words in output.err
        assert len(output.err.strip().splitlines()) == 1
