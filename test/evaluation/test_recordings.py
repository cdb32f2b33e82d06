"""Targets in recordings: reading them, and what counts as found."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.recordings import (
    evaluate_nerfstudio,
    evaluate_rgbd,
    read_targets,
)
from lerf_ros.simulation import TabletopOptions, TabletopScene
from lerf_ros.sources.nerfstudio import OPTICAL_FROM_OPENGL, NerfstudioFolder
from lerf_ros.sources.rgbd import RgbdFolder

CONFIG = LerfConfig.from_flat(
    {'features.pyramid_levels': 2, 'features.tile_share_min': 0.2, 'training.rays_per_step': 256}
)
OPTIONS = TabletopOptions(
    width=160, height=120, objects=(('red', 'ball'), ('blue', 'box'), ('green', 'mug'))
)


@pytest.fixture(scope='module')
def scene():
    with TabletopScene(9002, OPTIONS) as scene:
        yield scene


@pytest.fixture(scope='module')
def rgbd(scene, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('rgbd')
    camera = scene.camera
    matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    np.savetxt(folder / 'camera-intrinsics.txt', matrix)
    for index, pose in enumerate(scene.path('orbit', 12, 1.0)):
        view = scene.render(pose)
        name = folder / f'frame-{index * 10:06d}'
        cv2.imwrite(f'{name}.color.png', view.image[..., ::-1])
        depth = np.nan_to_num(np.round(view.depth * 1000), nan=0).clip(0, 65534)
        cv2.imwrite(f'{name}.depth.png', depth.astype(np.uint16))
        np.savetxt(f'{name}.pose.txt', pose)
    return folder


def test_rgbd_folder_with_phrases(scene, rgbd: Path, tmp_path: Path) -> None:
    ball = scene.objects[0]
    entries = [
        {
            'phrase': 'red ball',
            'point_m': ball.surface_centre_world.tolist(),
            'within_m': 0.02,
        },
        {
            'phrase': 'blue box',
            'box_m': [b.tolist() for b in (scene.objects[1].box_min_world - 0.02,
                                           scene.objects[1].box_max_world + 0.02)],
        },
        {'phrase': 'orange shoe', 'absent': True},
    ]  # fmt: skip
    (tmp_path / 'phrases.json').write_text(json.dumps(entries))
    targets = read_targets(tmp_path / 'phrases.json', exemplars=False)
    result, _ = evaluate_rgbd(
        RgbdFolder(rgbd),
        CONFIG,
        ColourEncoder(),
        seconds=(2.0, 4.0),
        hold_out_every=4,
        steps_per_second=15.0,
        realtime=False,
        targets=targets,
        advance=lambda amount, text: None,
    )
    assert result['held_out'] == [20, 60, 100]
    first, last = result['rows']
    assert last['keyframes'] == 9
    assert last['steps'] == 60
    assert last['depth_median_m'] < 0.1
    assert last['depth_l1_m'] >= last['depth_median_m']
    assert 0.5 < last['coverage'] <= 1
    assert set(last['targets']) == {'red ball', 'blue box', 'orange shoe'}
    found = last['targets']['red ball']
    distance = np.linalg.norm(np.array(found['position_m']) - ball.surface_centre_world)
    assert found['error_m'] == pytest.approx(distance)
    assert found['hit'] == (distance <= 0.02)
    boxed = last['targets']['blue box']
    assert boxed['hit'] == (boxed['error_m'] == 0)
    assert last['targets']['orange shoe']['hit'] is None
    assert first['psnr'] > 5
    json.dumps(result, allow_nan=False)


def test_exemplars_are_cut_from_pictures(rgbd: Path, tmp_path: Path) -> None:
    entry = {'image': str(rgbd / 'frame-000000.color.png'), 'box': [10, 10, 60, 50]}
    path = tmp_path / 'exemplars.json'
    path.write_text(json.dumps([{**entry, 'name': 'it', 'point_m': [0, 0, 0]}]))
    (target,) = read_targets(path, exemplars=True)
    assert target.name == 'exemplar it'
    assert target.request().exemplars[0].box_px() == (10, 10, 60, 50)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('x', 'JSON list'),
        ('[]', 'got none'),
        ('[3]', 'entry 0'),
        ('[{"point_m": [0, 0, 0]}]', 'phrase'),
        ('[{"phrase": "a", "point_m": [0, 0, 0], "within_m": 0}]', 'within_m'),
        ('[{"phrase": "mug"}]', 'point_m, box_m'),
        ('[{"phrase": "mug", "point_m": [0, 0]}]', 'three finite metres'),
        ('[{"phrase": "mug", "point_m": [0, 0, NaN]}]', 'three finite metres'),
    ],
)
def test_bad_targets_say_what_is_wrong(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(ValueError, match=words):
        read_targets(tmp_path / 'a.json', exemplars=False)


def test_too_few_frames_to_hold_any_out(rgbd: Path, tmp_path: Path) -> None:
    for name in ('camera-intrinsics.txt', *(f'frame-000000.{k}' for k in ('color.png',
                 'depth.png', 'pose.txt'))):  # fmt: skip
        (tmp_path / name).write_bytes((rgbd / name).read_bytes())
    with pytest.raises(ValueError, match='hold-out'):
        evaluate_rgbd(
            RgbdFolder(tmp_path),
            CONFIG,
            ColourEncoder(),
            seconds=(1.0,),
            hold_out_every=10,
            steps_per_second=1.0,
            realtime=False,
            advance=lambda amount, text: None,
        )


def test_nerfstudio_folder_without_depth(scene, tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    frames = []
    for index, pose in enumerate(scene.path('orbit', 12, 1.0)):
        name = f'images/{index}.png'
        cv2.imwrite(str(tmp_path / name), scene.render(pose).image[..., ::-1])
        matrix = (pose @ OPTICAL_FROM_OPENGL).tolist()
        frames.append({'file_path': name, 'transform_matrix': matrix})
    camera = scene.camera
    content = {'fl_x': camera.fx, 'fl_y': camera.fy, 'w': 160, 'h': 120, 'frames': frames}
    (tmp_path / 'transforms.json').write_text(json.dumps(content))
    train, test = (
        NerfstudioFolder(tmp_path, downscale=2, split=split) for split in ('train', 'test')
    )
    result, live_map = evaluate_nerfstudio(
        train, test, CONFIG, ColourEncoder(), seconds=(0.5, 1.5), advance=lambda amount, text: None
    )
    first, last = result['rows']
    assert live_map.keyframe_count == last['keyframes'] == 10
    assert last['steps'] > first['steps'] > 0
    assert last['psnr'] > 8
    assert -1 <= last['ssim'] <= 1
    json.dumps(result, allow_nan=False)
