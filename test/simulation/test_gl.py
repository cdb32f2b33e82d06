"""The choice of an off-screen OpenGL, and the sentence when there is none."""

from __future__ import annotations

import ctypes

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
