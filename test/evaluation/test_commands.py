"""The command line: bad input is answered with one sentence and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lerf_ros.__main__ import main
from lerf_ros.commands.arguments import make_config


def test_options_are_typed_and_checked() -> None:
    config = make_config('tabletop', ['training.seed=3', 'query.voxel_m=0.02'])
    assert config.training.seed == 3
    assert config.query.voxel_m == 0.02
    for change in ('training.seed', 'nothing=1', 'training.seed=a', 'query.voxel_m=-1'):
        with pytest.raises(ValueError, match=r'set|query\.voxel_m|voxel_m'):
            make_config('tabletop', [change])
    with pytest.raises(ValueError, match='variant'):
        make_config('huge', [])


def rgbd_without_poses(folder: Path) -> None:
    import cv2

    np.savetxt(folder / 'camera-intrinsics.txt', np.diag([30.0, 30, 1]))
    cv2.imwrite(str(folder / 'frame-000000.color.png'), np.zeros((24, 32, 3), np.uint8))


def labels_of_no_frame(folder: Path) -> None:
    import cv2

    (folder / 'labels').mkdir()
    cv2.imwrite(str(folder / 'a.png'), np.zeros((24, 32, 3), np.uint8))
    frame = {'file_path': 'a.png', 'transform_matrix': np.eye(4).tolist()}
    size = {'fl_x': 30.0, 'w': 32, 'h': 24}
    (folder / 'transforms.json').write_text(json.dumps({**size, 'frames': [frame]}))
    labels = {'shapes': [], 'imagePath': 'b.png'}
    (folder / 'labels' / 'b.json').write_text(json.dumps(labels))


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['tabletop', '--seeds', '9005-9001'], 'from low to high'),
        (['tabletop', '--seconds', '30,10'], 'ascending times'),
        (['tabletop', '--steps-per-second', '0'], 'steps-per-second'),
        (['tabletop', '--variant', 'huge'], 'variant'),
        (['tabletop', '--sensor', 'perfect'], 'sensor: expected one of usual'),
        (['tabletop', '--jobs', '0'], 'jobs: expected at least 1'),
        (['tabletop', '--jobs', '2', '--realtime'], 'jobs: expected 1 with --realtime'),
        (['flat', '--jobs', '2', '--realtime'], 'jobs: expected 1 with --realtime'),
        (['tabletop', '--seeds', 'none'], 'seeds: expected numbers'),
        (['rgbd', 'EMPTY'], 'expected pictures'),
        (['rgbd', 'NOWHERE'], 'expected a folder'),
        (['rgbd', 'POSELESS'], 'no frame can be used'),
        (['nerfstudio', 'EMPTY'], 'expected a transforms.json'),
        (['lerf', 'EMPTY'], 'expected a transforms.json'),
        (['lerf', 'MISLABELLED'], "labels the frame 'b.png', which the folder does not have"),
        (['compare', 'NOWHERE', 'NOWHERE'], 'expected a result'),
        (['tabletop', '--report', 'FILE'], 'can be written'),
        (['tabletop', '--json', 'FILE/a.json'], 'can be written'),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys, arguments: list[str], words: str
) -> None:
    (tmp_path / 'empty').mkdir()
    for name in ('poseless', 'mislabelled'):
        (tmp_path / name).mkdir()
    (tmp_path / 'file').write_text('')
    rgbd_without_poses(tmp_path / 'poseless')
    labels_of_no_frame(tmp_path / 'mislabelled')
    for name in ('EMPTY', 'NOWHERE', 'POSELESS', 'MISLABELLED', 'FILE'):
        arguments = [text.replace(name, str(tmp_path / name.lower())) for text in arguments]
    assert main(['evaluate', *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ''
    assert words in output.err
    assert len(output.err.strip().splitlines()) == 1


def test_compare_prints_and_writes(tmp_path: Path, capsys) -> None:
    for name, value in (('a', 0.5), ('b', 0.75)):
        rows = [{'seconds': 10.0, 'localisation': value}]
        scenes = [{'seed': seed, 'rows': rows} for seed in (1, 2)]
        (tmp_path / f'{name}.json').write_text(json.dumps({'rows': rows, 'scenes': scenes}))
    files = [str(tmp_path / f'{name}.json') for name in 'ab']
    assert main(['evaluate', 'compare', *files, '--json', str(tmp_path / 'c.json')]) == 0
    assert 'localisation' in capsys.readouterr().out
    (row,) = json.loads((tmp_path / 'c.json').read_text())['rows']
    assert row['verdict'] == 'better'
    assert row['change'] == 0.25
