"""Every example runs, in its order, on a folder that a simulated table is written to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.simulation import TabletopScene

EXAMPLES = Path(__file__).resolve().parent.parent / 'examples'


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RGB-D folder of the table of `4_live_without_ros.py`."""
    path = tmp_path_factory.mktemp('recording')
    with TabletopScene(seed=9003) as scene:
        (path / 'phrase').write_text(scene.objects[0].name)
        camera = scene.camera
        matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
        np.savetxt(path / 'camera-intrinsics.txt', matrix)
        for index, frame in enumerate(scene.frames('orbit', seconds=8.0, rate_hz=1.0)):
            name = path / f'frame-{index:06d}'
            cv2.imwrite(f'{name}.color.png', frame.image[..., ::-1])
            depth_mm = np.nan_to_num(frame.depth * 1000).round().astype(np.uint16)
            cv2.imwrite(f'{name}.depth.png', depth_mm)
            np.savetxt(f'{name}.pose.txt', frame.camera_to_world)
    return path


def run(name: str, *arguments: object) -> str:
    """Runs an example as a person would; returns what it prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(EXAMPLES.parent)}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=250, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_folder_is_mapped_asked_and_drawn(folder: Path, tmp_path: Path) -> None:
    file, picture = tmp_path / 'table.lerf', tmp_path / 'table.png'
    phrase = (folder / 'phrase').read_text()
    assert int(re.findall(r'(\d+) surface points', run('1_map_a_folder.py', folder, file, 40))[0])
    lines = run('2_ask.py', file, phrase, 'cup').splitlines()
    assert lines[0].startswith(f'{phrase}: there with confidence')
    assert re.search(r'relevancy 0\.\d+ at -?0\.\d+ -?0\.\d+ -?0\.\d+ m', lines[1])
    run('3_render.py', file, picture)
    image = cv2.imread(str(picture))
    assert image.shape == (240, 640, 3)
    assert image.std() > 20


def test_a_live_map_answers_without_ros(folder: Path) -> None:
    phrase = (folder / 'phrase').read_text()
    lines = run('4_live_without_ros.py', 20).splitlines()
    steps = [int(re.findall(rf'step (\d+): {phrase} at', line)[0]) for line in lines]
    assert len(steps) == 2
    assert 0 < steps[0] < steps[1]


def test_examples_are_short_and_numbered() -> None:
    names = sorted(path.name for path in EXAMPLES.glob('*.py'))
    assert [int(name.split('_')[0]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        code = (EXAMPLES / name).read_text().split('"""', 2)[2]
        lines = [line for line in code.splitlines() if line and 'import ' not in line]
        assert len(lines) <= 15, name
