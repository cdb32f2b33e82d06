"""Builds message packages that a ROS 2 installation has and this machine may lack."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

DEFINITIONS = Path(__file__).parent / 'packages'
_FOLDER = tempfile.TemporaryDirectory(prefix='messages_')


def with_messages(name: str, base: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of processes that can import a message package.

    Where it is not installed, it is built from the definitions in packages/, once a test run.

    Args:
        name: The package.
        base: The environment to start from.
    """
    environment = dict(base)
    if importlib.util.find_spec(name) is not None:
        return environment
    prefix = _built(name)
    packages = next(prefix.rglob(f'{name}/__init__.py')).parent.parent
    for variable, value in (
        ('PYTHONPATH', packages),
        ('LD_LIBRARY_PATH', prefix / 'lib'),
        ('AMENT_PREFIX_PATH', prefix),
    ):
        environment[variable] = f'{value}{os.pathsep}{environment.get(variable, "")}'
    return environment


@cache
def _built(name: str) -> Path:
    """Builds a package; returns where it is installed until this process ends."""
    folder = Path(_FOLDER.name) / name
    prefix, root = folder / 'install', Path(sys.prefix)
    commands: list[list[str | Path]] = [
        [
            'cmake',
            *('-S', DEFINITIONS / name, '-B', folder / 'build'),
            f'-DCMAKE_INSTALL_PREFIX={prefix}',
            f'-DPython3_EXECUTABLE={sys.executable}',
            '-DBUILD_TESTING=OFF',
        ],
        ['cmake', '--build', folder / 'build', '-j2', '--target', 'install'],
    ]
    build_environment = {
        **os.environ,
        'AMENT_PREFIX_PATH': f'{root}:{os.environ.get("AMENT_PREFIX_PATH", "")}',
        'CMAKE_PREFIX_PATH': f'{root}:{os.environ.get("CMAKE_PREFIX_PATH", "")}',
    }
    for command in commands:
        result = subprocess.run(command, env=build_environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return prefix
