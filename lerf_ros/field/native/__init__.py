"""The C++ code of the CPU: where its libraries are found, compiled and loaded.

A library is one source file of plain C++ with a C interface, so it works with any torch. It is
looked for beside this module, where CMake and setuptools put it, then in the user's cache, where
it is compiled at first use.
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

# Loads the one OpenMP runtime that the libraries must share with it.
from torch import Tensor

# Versions of the interfaces that this package calls.
_VERSIONS = {
    'hash_grid': 4,
    'language_head': 1,
    'language_loss': 1,
    'network': 2,
    'point_targets': 2,
    'surface_graph': 1,
}
_FOLDER = Path(__file__).parent
# Of compiler and linker; CMake and setuptools read the same file. SSE2 is part of every x86-64;
# AVX2 for whole files brought nothing that could be measured.
_FLAGS = ('-fPIC', '-shared', *(_FOLDER / 'flags.txt').read_text().split())

_log = logging.getLogger(__name__)


class NativeUnavailable(RuntimeError):
    """A library is neither installed nor can it be compiled here."""


@functools.cache
def load_library(name: str = 'hash_grid') -> ctypes.CDLL:
    """Returns a library, compiled first if need be.

    Args:
        name: Name of its source file.

    Raises:
        NativeUnavailable: No library fits and none can be compiled; the text says why.
    """
    for path in sorted(_FOLDER.glob(f'*{name}*.so')):
        try:
            return _open(path, name)
        except (OSError, AttributeError, NativeUnavailable) as error:
            _log.warning('%s does not fit: %s; looking further', path.name, error)
    try:
        return _open(_compile(name), name)
    except (OSError, AttributeError) as error:
        raise NativeUnavailable(f'the compiled {name} does not load: {error}') from error


@functools.cache
def is_available(name: str) -> bool:
    """Tells whether a library is installed or can be compiled here."""
    try:
        load_library(name)
    except NativeUnavailable:
        return False
    return True


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """Returns where the numbers of a contiguous tensor on the CPU begin."""
    return ctypes.c_void_p(tensor.data_ptr())


def _open(path: Path, name: str) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    version = getattr(library, f'lerf_{name}_version')()
    if version != _VERSIONS[name]:
        raise NativeUnavailable(f'it has version {version}, expected {_VERSIONS[name]}')
    return library


def _compile(name: str) -> Path:
    """Compiles a source into the user's cache, unless that was done before."""
    path = _FOLDER / f'{name}.cpp'
    try:
        source = path.read_bytes()
    except OSError as error:
        raise NativeUnavailable(f'{path.name} is not installed: {error}') from error
    digest = hashlib.sha256(source + ' '.join(_FLAGS).encode()).hexdigest()[:16]
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'lerf_ros'
    target = cache / f'{name}-{digest}.so'
    if target.exists():
        return target
    compiler = os.environ.get('CXX') or shutil.which('g++') or shutil.which('c++')
    if not compiler:
        raise NativeUnavailable('no C++ compiler: install g++ for a hash grid 20 times as fast')
    _log.info('compiling %s into %s (once, a few seconds)', path.name, cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Several processes may compile at once: each writes its own file and renames it.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / f'{name}.so'
            command = [*compiler.split(), *_FLAGS, str(path), '-o', str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            os.replace(made, target)
    except subprocess.CalledProcessError as error:
        raise NativeUnavailable(f'{compiler} failed: {error.stderr.strip()[-400:]}') from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailable(f'compiling failed: {error}') from error
    return target
