"""The subcommand `inspect`, the recordings that other subcommands take, and where they write."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.__main__ import main
from lerf_ros.commands.evaluate import with_kind
from lerf_ros.geometry import look_at

KEYS = {
    *('kind', 'frames', 'left_out', 'width', 'height', 'fx', 'fy', 'cx', 'cy'),
    *('position_m', 'depth_median_m', 'warnings'),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photographs of which one is empty, and labels drawn at twice their size."""
    path = tmp_path / 'photographs'
    (path / 'labels').mkdir(parents=True)
    frames = []
    for index in range(3):
        cv2.imwrite(str(path / f'{index}.jpg'), np.full((24, 32, 3), 40 * index, np.uint8))
        pose = look_at(np.array([1.0, index, 1.0]), np.zeros(3)) @ np.diag([1.0, -1, -1, 1])
        frames.append({'file_path': f'{index}.jpg', 'transform_matrix': pose.tolist()})
    (path / '1.jpg').write_bytes(b'')
    numbers = {'fl_x': 30.0, 'fl_y': 31.0, 'cx': 16.0, 'cy': 12.0, 'w': 32, 'h': 24}
    (path / 'transforms.json').write_text(json.dumps({**numbers, 'frames': frames}))
    shape = {'label': 'plate', 'points': [[40, 30], [50, 44]], 'shape_type': 'rectangle'}
    labels = {'imagePath': '..\\2.jpg', 'shapes': [shape], 'imageWidth': 64, 'imageHeight': 48}
    (path / 'labels' / '2.json').write_text(json.dumps(labels))
    return path


def test_it_prints_and_writes_what_is_inside(folder: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / 'found.json'
    assert main(['inspect', str(folder), '--json', str(output)]) == 0
    figures = json.loads(output.read_text())
    assert set(figures) >= KEYS
    assert (figures['kind'], figures['frames'], figures['fx']) == ('nerfstudio', 2, 30.0)
    assert figures['left_out'] == [{'name': '1.jpg', 'reason': '1.jpg is empty'}]
    assert figures['position_m'] == pytest.approx([1.0, 0.0, 1.0])
    assert figures['depth_median_m'] is None
    assert ['64x48' in warning for warning in figures['warnings']] == [True]
    printed = capsys.readouterr().out
    assert 'nerfstudio: 2 frames' in printed
    assert 'left out 1.jpg: 1.jpg is empty' in printed


def test_labels_are_moved_to_the_size_of_their_picture(folder: Path) -> None:
    from lerf_ros.evaluation.lerf.labels import read_labels
    from lerf_ros.sources.nerfstudio import NerfstudioFolder

    told: list[str] = []
    ((frame,), _) = read_labels(folder / 'labels', NerfstudioFolder(folder), told.append)
    assert frame.labels[0].box_uv == (20.0, 15.0, 25.0, 22.0)
    path = folder / 'labels' / '2.json'
    content = json.loads(path.read_text())
    del content['imageWidth']
    path.write_text(json.dumps(content))
    read_labels(folder / 'labels', NerfstudioFolder(folder), told.append)
    assert 'outside the picture' in told[-1]


def test_a_recording_without_a_frame_gives_1_and_says_why(folder: Path, capsys) -> None:
    for index in range(3):
        (folder / f'{index}.jpg').write_bytes(b'')
    assert main(['inspect', str(folder)]) == 1
    assert 'left out 0.jpg: 0.jpg is empty' in capsys.readouterr().out


@pytest.mark.parametrize('option', ['--output', '--json'])
def test_where_it_writes_is_looked_at_before_the_work(
    folder: Path, tmp_path: Path, capsys, option: str
) -> None:
    for path, words in ((tmp_path / 'no' / 'a', 'existing folder'), (tmp_path, 'expected a file')):
        assert main(['train', str(folder), option, str(path)]) == 2
        assert words in capsys.readouterr().err


def test_evaluate_takes_a_recording_alone(folder: Path) -> None:
    assert with_kind(['evaluate', str(folder), '--json', 'a']) == [
        *('evaluate', 'recording', str(folder), '--json', 'a')
    ]
    assert with_kind(['evaluate', 'tabletop']) == ['evaluate', 'tabletop']
    assert with_kind(['evaluate', '/no/such/thing']) == ['evaluate', '/no/such/thing']
