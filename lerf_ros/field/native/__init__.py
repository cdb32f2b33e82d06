"""The C++ hash grid of the CPU: where its library is found, compiled and loaded.

The library is plain C++ with a C interface, so it works with any torch. It is looked for beside
this module, where CMake and setuptools put it, then in the user's cache, where it is compiled at
first use.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch  # noqa: F401  loads the one OpenMP runtime that the library must share with it

_VERSION = 2
_SOURCE = Path(__file__).with_name('hash_grid.cpp')
# SSE2 is part of every x86-64; AVX2 brought nothing that could be measured.
_FLAGS = ('-O3', '-std=c++17', '-fPIC', '-shared', '-fopenmp', '-fno-math-errno')

_log = logging.getLogger(__name__)


class NativeUnavailable(RuntimeError):
    """The library is neither installed nor can it be compiled here."""


@functools.lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL:
    """Returns the library, compiled first if need be.

    Raises:
        NativeUnavailable: No library fits and none can be compiled; the text says why.
    """
    for path in sorted(_SOURCE.parent.glob('*hash_grid*.so')):
        try:
            return _open(path)
        except (OSError, AttributeError, NativeUnavailable) as error:
            _log.warning('%s does not fit: %s; looking further', path.name, error)
    try:
        return _open(_compile())
    except (OSError, AttributeError) as error:
        raise NativeUnavailable(f'the compiled hash grid does not load: {error}') from error


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    version = library.lerf_hash_grid_version()
    if version != _VERSION:
        raise NativeUnavailable(f'it has version {version}, expected {_VERSION}')
    return library


def _compile() -> Path:
    """Compiles the source into the user's cache, unless that was done before."""
    try:
        source = _SOURCE.read_bytes()
    except OSError as error:
        raise NativeUnavailable(f'hash_grid.cpp is not installed: {error}') from error
    digest = hashlib.sha256(source + ' '.join(_FLAGS).encode()).hexdigest()[:16]
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'lerf_ros'
    target = cache / f'hash_grid-{digest}.so'
    if target.exists():
        return target
    compiler = os.environ.get('CXX') or shutil.which('g++') or shutil.which('c++')
    if not compiler:
        raise NativeUnavailable('no C++ compiler: install g++ for a hash grid 20 times as fast')
    _log.info('compiling the hash grid into %s (once, a few seconds)', cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Several processes may compile at once: each writes its own file and renames it.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / 'hash_grid.so'
            command = [*compiler.split(), *_FLAGS, str(_SOURCE), '-o', str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            os.replace(made, target)
    except subprocess.CalledProcessError as error:
        raise NativeUnavailable(f'{compiler} failed: {error.stderr.strip()[-400:]}') from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailable(f'compiling failed: {error}') from error
    return target
