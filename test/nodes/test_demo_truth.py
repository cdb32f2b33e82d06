"""Tests of holding the demo's answers against boxes drawn in pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.geometry import PinholeCamera
from lerf_ros.nodes.demo import depth_error
from lerf_ros.nodes.demo_answers import conclude, counts, judge
from lerf_ros.nodes.demo_truth import BoxTruth
from lerf_ros.nodes.demo_world import RATE_HZ, RecordedWorld, Verdict
from lerf_ros.sources.boxes import BoxedPictures
from lerf_ros.sources.rgbd import RgbdFolder

# Two cameras look along z at a wall in 2 m; the second stands 0.5 m to the right.
FOCAL, WIDTH, HEIGHT, WALL_M = 200.0, 160, 120, 2.0
MUG = np.array([0.2, 0.1, WALL_M])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / 'recording'
    folder.mkdir()
    matrix = [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]
    np.savetxt(folder / 'camera-intrinsics.txt', matrix)
    for number, x_m in enumerate((0.0, 0.5)):
        name = f'frame-{number:06d}'
        picture = np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(folder / f'{name}.color.png'), picture)
        depth = np.full((HEIGHT, WIDTH), round(WALL_M * 1000), np.uint16)
        cv2.imwrite(str(folder / f'{name}.depth.png'), depth)
        pose = np.eye(4)
        pose[0, 3] = x_m
        np.savetxt(folder / f'{name}.pose.txt', pose)
    return folder


def box_of(x_m: float, focal: float = FOCAL) -> list[int]:
    u = focal * (MUG[0] - x_m) / WALL_M + WIDTH / 2
    v = focal * MUG[1] / WALL_M + HEIGHT / 2
    return [round(u) - 12, round(v) - 12, round(u) + 12, round(v) + 12]


def write_truth(folder: Path, focal: float = FOCAL, **more: object) -> Path:
    boxes = [
        {'image': f'frame-{n:06d}.color.png', 'name': 'mug', 'box': box_of(x_m, focal)}
        for n, x_m in enumerate((0.0, 0.5))
    ]
    path = folder.parent / 'boxes.json'
    path.write_text(json.dumps({'boxes': boxes, **more}))
    return path


def test_a_place_in_the_boxes_is_right_and_another_is_not(folder):
    truth = BoxTruth(write_truth(folder), RgbdFolder(folder), None)
    assert truth.right('mug', MUG)
    assert not truth.right('mug', MUG + np.array([0.3, 0, 0]))
    assert not truth.right('mug', MUG - np.array([0, 0, 5]))  # behind the cameras
    assert truth.nearest('mug', MUG) == pytest.approx(MUG, abs=0.01)


def test_what_a_wall_hides_is_not_seen(folder):
    truth = BoxTruth(write_truth(folder), RgbdFolder(folder), None)
    # On the same line of sight of the first camera, a metre behind the wall.
    assert not truth.right('mug', MUG * 1.5)


def test_pictures_of_another_focal_length_are_met_by_it(folder):
    path = write_truth(folder, focal=180.0)
    frames = RgbdFolder(folder, colour_focal_px=180.0)
    assert BoxTruth(path, frames, 180.0).right('mug', MUG)
    assert BoxTruth(path, frames, 180.0).nearest('mug', MUG) == pytest.approx(MUG, abs=0.01)


def test_a_recording_is_played_as_fast_as_it_was_taken(folder):
    def played_hz(rate_hz=None):
        return RecordedWorld(folder, rate_hz).player_parameters['rate_hz']

    assert played_hz() == RATE_HZ  # two frames, 1/30 s apart: no faster than that
    assert played_hz(5.0) == 5.0  # unless one says
    # Every tenth frame of a camera of 30 Hz.
    for path in folder.glob('frame-000001.*'):
        path.rename(path.with_name(path.name.replace('000001', '000010')))
    assert played_hz() == pytest.approx(3.0)


def test_phrases_and_absent_things_are_asked(folder):
    path = write_truth(folder, phrases={'mug': ['coffee mug', 'cup']}, absent=['dog'])
    questions = RecordedWorld(folder, 5.0, path, FOCAL).questions
    asked = [(question.kind, question.phrase) for question in questions]
    assert asked[0] == ('word', 'coffee mug')
    assert ('absent', 'dog') in asked
    assert sum(kind == 'picture' for kind, _ in asked) == 2


def test_answers_are_judged_and_counted(folder):
    path = write_truth(folder, absent=['dog'])
    word, picture, _, dog = RecordedWorld(folder, 5.0, path, FOCAL).questions
    assert judge(word, MUG, 0.1)[1] is True
    assert judge(picture, MUG + np.array([0.4, 0, 0]), 0.9)[1] is False
    assert judge(word, None, 0.0)[1] is False
    assert judge(dog, MUG, 0.6)[1] is False
    assert judge(dog, MUG, 0.4)[1] is True
    verdicts = [
        Verdict('mug', None, None, None, 0.0, 0.0, right, 0, 0.0, kind)
        for kind, right in [('word', True), ('picture', False), ('absent', True), ('word', None)]
    ]
    assert counts(verdicts) == {
        'words_right': 1,
        'words_asked': 1,
        'pictures_right': 0,
        'pictures_asked': 1,
        'absent_refused': 1,
        'absent_asked': 1,
    }


def test_boxes_of_other_pictures_and_broken_files_are_refused(folder, tmp_path):
    path = tmp_path / 'boxes.json'
    path.write_text('{"boxes": [{"image": "a.png", "name": "mug", "box": [9, 9, 3, 3]}]}')
    with pytest.raises(ValueError, match='expected boxes in pictures'):
        BoxedPictures.read(path)
    path.write_text('{"boxes": []}')
    with pytest.raises(ValueError, match='got none'):
        BoxedPictures.read(path)
    path.write_text('{"boxes": [{"image": "a.png", "name": "mug", "box": [1, 1, 3, 3]}]}')
    with pytest.raises(ValueError, match=r'a\.png is neither beside it'):
        BoxedPictures.read(path)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match='none of them'):
        BoxTruth(path, RgbdFolder(folder), None)


def drawn(camera: PinholeCamera, camera_to_world: np.ndarray) -> tuple:
    """A map that is a wall one centimetre too far away."""
    return None, np.full((camera.height, camera.width), WALL_M + 0.01, np.float32), None


@pytest.mark.parametrize('has_depth', [True, False])
def test_a_recording_without_depth_is_concluded_like_any_other(
    has_depth: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = RecordedWorld(folder, 2.0)
    if not has_depth:
        frames = [replace(frame, depth=None) for frame in world.views(2)]
        world.views = lambda count: frames  # type: ignore[method-assign]
    error_m = depth_error(drawn, world)
    assert error_m == (pytest.approx(0.01, abs=1e-4) if has_depth else None)
    result = {
        'phrases': [],
        **counts([]),
        'eight_of_ten_s': None,
        'depth_median_m': error_m,
        'depth_limit_m': 0.05,
        'step': 10,
        'steps_per_s': 5.0,
        'keyframes': 2,
        'keyframes_dropped': 0,
        'memory_mb': 100,
        'stop_s': {},
    }
    assert conclude(result, tmp_path)
    said = capsys.readouterr().out
    assert ('the map is right' in said) == has_depth
    assert ('no depth to compare' in said) != has_depth
    assert 'whether the answers are right is not known' in said
