"""The choice of an off-screen OpenGL, and the sentence when there is none."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from lerf_ros.simulation import gl


def only(*present):
    def load(name):
        if name not in present:
            raise OSError(name)

    return load


@pytest.mark.parametrize(
    ('present', 'backend'),
    [
        (('libEGL.so.1',), 'egl'),
        (('libOSMesa.so.8', 'libEGL.so.1'), 'osmesa'),
        (('libOSMesa.so.6',), 'osmesa'),
    ],
)
def test_whichever_loads_is_chosen(monkeypatch, present, backend):
    monkeypatch.setattr(ctypes, 'CDLL', only(*present))
    assert gl.choose_backend() == backend


def test_the_error_names_the_packages(monkeypatch):
    monkeypatch.setattr(ctypes, 'CDLL', only())
    with pytest.raises(OSError, match=r'libosmesa6.*libegl1.*libgl1-mesa-dri'):
        gl.choose_backend()


def test_torch_trains_after_a_scene_was_drawn() -> None:
    # Where triton is installed this ended the process: see `_load_triton_first`.
    program = (
        'from lerf_ros.simulation import TabletopScene\n'
        'with TabletopScene(seed=9000) as scene:\n'
        "    next(scene.frames('orbit', seconds=1, rate_hz=1))\n"
        'import torch\n'
        'torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])\n'
        "print('alive')\n"
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stdout.strip() == 'alive', done.stderr[-400:]
