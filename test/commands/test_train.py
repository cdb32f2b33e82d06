"""The subcommand `train` on a tiny recording."""

from __future__ import annotations

import argparse
import json
import math

import cv2
import numpy as np
import pytest

from lerf_ros.commands import train
from lerf_ros.config import LerfConfig
from lerf_ros.geometry import PinholeCamera, camera_directions, look_at, pixel_centres
from lerf_ros.maps.submap import Submap

SMALL = [
    'field.levels=4',
    'field.table_log2=12',
    'field.language_levels=2',
    'field.language_table_log2=10',
    'training.rays_per_step=128',
    'training.language_rays_per_step=32',
]


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """Six views of a coloured floor, 80x60, in the format of 7-Scenes."""
    folder = tmp_path_factory.mktemp('recording')
    camera = PinholeCamera.from_vertical_fov(80, 60, 50.0)
    matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    np.savetxt(folder / 'camera-intrinsics.txt', matrix)
    rays = camera_directions(camera, pixel_centres(camera))
    for index in range(6):
        position = np.array([0.3 * index - 0.75, -0.5, 1.0])
        pose = look_at(position, np.zeros(3))
        world = rays @ pose[:3, :3].T
        depth = -position[2] / world[..., 2]
        points = position + world * depth[..., None]
        image = (127 + 100 * np.sin(6 * points)).astype(np.uint8)
        name = str(folder / f'frame-{index:06d}')
        cv2.imwrite(f'{name}.color.png', image[..., ::-1])
        cv2.imwrite(f'{name}.depth.png', (depth * 1000).astype(np.uint16))
        np.savetxt(f'{name}.pose.txt', pose)
    return folder


def parse(*words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    settings = [word for setting in SMALL for word in ('--set', setting)]
    return parser.parse_args(['--downscale', '1', *settings, *map(str, words)])


def test_a_recording_becomes_a_map_that_loads(recording, tmp_path, capsys):
    path, figures = tmp_path / 'floor.map', tmp_path / 'figures.json'
    arguments = parse(
        recording, '--steps', 6, '--reports', 2, '--hold-out', 3, '--output', path,
        '--json', figures, '--pictures', tmp_path / 'pictures',
    )  # fmt: skip
    assert train.run(arguments) == 0
    rows = json.loads(figures.read_text())['rows']
    assert [row['steps'] for row in rows] == [3, 6]
    assert all(math.isfinite(row['psnr']) and math.isfinite(row['depth_mm']) for row in rows)
    assert 'PSNR' in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / 'pictures' / 'held_out_0.png'))
    assert picture.shape == (60, 160, 3)
    config = LerfConfig().replace({word.split('=')[0]: int(word.split('=')[1]) for word in SMALL})
    live_map = Submap(config)
    live_map.load(path)
    assert live_map.trainer.step_count == 6
    assert live_map.keyframe_count == 4


def test_training_without_held_out_frames_has_no_figures(recording, tmp_path):
    figures = tmp_path / 'figures.json'
    train.run(parse(recording, '--steps', 2, '--reports', 1, '--hold-out', 0, '--json', figures))
    (row,) = json.loads(figures.read_text())['rows']
    assert row['psnr'] is None
    assert row['depth_mm'] is None


@pytest.mark.parametrize('language_rays', [0, 16])
def test_the_share_of_language_along_rays_can_be_chosen(recording, monkeypatch, language_rays):
    reports = []
    step = Submap.step

    def listen(live_map):
        reports.append(step(live_map))
        return reports[-1]

    monkeypatch.setattr(Submap, 'step', listen)
    share = f'training.language_rays_per_step={language_rays}'
    # At surface points language is taught all the same, unless that is left out too.
    rays_only = ['--set', 'training.surface_updates=0']
    train.run(parse(recording, '--steps', 2, '--reports', 1, '--set', share, *rays_only))
    assert [('language' in report.losses) for report in reports] == [language_rays > 0] * 2


def test_pictures_are_compared_at_the_size_they_are_trained_at(recording, monkeypatch):
    sizes = []
    psnr = train.metrics.psnr

    def listen(image, truth):
        sizes.append((image.shape, truth.shape))
        return psnr(image, truth)

    monkeypatch.setattr(train.metrics, 'psnr', listen)
    train.run(parse(recording, '--steps', 1, '--reports', 1, '--hold-out', 3))
    assert sizes == [((60, 80, 3), (60, 80, 3))] * 2


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--set', 'field.levels'], 'GROUP.OPTION=VALUE'),
        (['--set', 'field.nothing=3'], 'GROUP.OPTION=VALUE'),
        (['--set', 'field.levels=many'], 'expected int'),
        (['--set', 'field.levels=99'], 'at most 32'),
    ],
)
def test_wrong_options_are_named(recording, words, message):
    with pytest.raises(ValueError, match=message):
        train.run(parse(recording, *words))


def test_what_is_no_recording_is_named(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        train.run(parse(tmp_path))
