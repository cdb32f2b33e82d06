"""Loads MuJoCo with an off-screen OpenGL that works on this machine, and owns the one context.

MuJoCo picks its OpenGL by the variable MUJOCO_GL when it is imported; so every module here gets
it from `mujoco_module`, which sets the variable first.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import sys
from types import ModuleType
from typing import Any

_LIBRARIES = {'osmesa': ('libOSMesa.so.8', 'libOSMesa.so.6'), 'egl': ('libEGL.so.1',)}
_HINT = (
    'no off-screen OpenGL for the simulator. Install the Debian package libosmesa6, or '
    'libegl1 together with libgl1-mesa-dri.'
)


def choose_backend() -> str:
    """Returns 'osmesa' or 'egl', whichever loads, osmesa first as it is the quicker.

    Raises:
        OSError: Neither loads; the sentence names the packages to install.
    """
    for backend, names in _LIBRARIES.items():
        for name in names:
            try:
                ctypes.CDLL(name)
            except OSError:
                continue
            return backend
    raise OSError(_HINT)


@functools.cache
def mujoco_module() -> ModuleType:
    """Returns the module mujoco, imported with an OpenGL that works without a screen.

    A value of MUJOCO_GL that is already set is respected.

    Raises:
        OSError: There is no off-screen OpenGL; the sentence names the packages to install.
    """
    if sys.platform == 'linux' and 'MUJOCO_GL' not in os.environ:
        os.environ['MUJOCO_GL'] = choose_backend()
    try:
        import mujoco
    except ModuleNotFoundError as error:
        raise OSError('the simulator needs the Python package mujoco') from error
    except (AttributeError, ImportError, OSError) as error:
        # PyOpenGL answers a missing library with an AttributeError on None.
        raise OSError(f'MUJOCO_GL={os.environ.get("MUJOCO_GL")}: {_HINT}') from error
    return mujoco


def _load_triton_first() -> None:
    """Imports triton, where it is installed, before a software OpenGL brings another LLVM.

    torch imports it at its first optimiser. Both bring an LLVM of their own, and the process dies
    (SIGSEGV) where Mesa's is loaded first; the other way round both work.
    """
    with contextlib.suppress(Exception):  # a broken triton is torch's to complain of
        importlib.import_module('triton')


@functools.cache
def _context() -> Any:
    _load_triton_first()
    mujoco = mujoco_module()
    backend = os.environ.get('MUJOCO_GL', '')
    try:
        if backend in _LIBRARIES:
            # Taken by name: an earlier import of mujoco may have chosen another OpenGL.
            return importlib.import_module(f'mujoco.{backend}').GLContext(64, 64)
        return mujoco.GLContext(64, 64)
    except Exception as error:  # the backends raise types of their own
        raise OSError(f'MUJOCO_GL={backend}: {_HINT}') from error


_turn: Any = None


def turn() -> Any:
    """Returns who set the state of the context last; None at first and after it has gone."""
    return _turn


def set_turn(owner: Any) -> None:
    """Notes who has set the state of the context."""
    global _turn
    _turn = owner


def make_current() -> None:
    """Makes the process's one OpenGL context current in this thread.

    Scenes share it, so they must all be built, rendered and closed by the same thread.
    """
    _context().make_current()
