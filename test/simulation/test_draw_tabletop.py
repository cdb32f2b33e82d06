"""The contact sheet of simulated scenes."""

from __future__ import annotations

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


def test_the_sheet_has_a_row_per_scene(tmp_path):
    sheet = tmp_path / 'sheet.png'
    subprocess.run(
        [sys.executable, 'tools/draw_tabletop.py', sheet, '--scenes', '2', '--width', '160'],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        check=True,
        timeout=120,
    )
    picture = cv2.imread(str(sheet))
    assert picture.shape == (2 * 120, 4 * 160, 3)
    assert picture.std() > 20
