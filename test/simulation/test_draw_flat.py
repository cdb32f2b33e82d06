"""The pictures of a simulated flat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.simulation import gl

ROOT = Path(__file__).resolve().parents[2]

try:
    gl.make_current()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)


def test_the_tool_draws_a_flat_and_writes_its_truth(tmp_path):
    subprocess.run(
        [
            *(sys.executable, 'tools/draw_flat.py', '--area', '15', '--seconds', '20'),
            *('--top', tmp_path / 'top.png', '--sheet', tmp_path / 'sheet.png'),
            *('--truth', tmp_path / 'truth.json'),
        ],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        check=True,
    )
    truth = json.loads((tmp_path / 'truth.json').read_text(encoding='utf-8'))
    assert len(truth['rooms']) == 1
    assert truth['objects'][0]['room'] == 0
    assert cv2.imread(str(tmp_path / 'top.png')).std() > 10
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape == (4 * 240, 6 * 320, 3)
