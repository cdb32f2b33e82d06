"""The environment of the ROS workspace, for a console script that was started without it.

Our messages are found once ``install/setup.bash`` is sourced. Libraries are looked up by the
system when a process starts, so a process that lacks them has to start itself again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_MARK = 'share/ament_index/resource_index/packages/lerf_ros'


class WorkspaceError(RuntimeError):
    """The workspace is missing; the message says how to build it."""


def is_sourced() -> bool:
    """Tells whether this process was started with the workspace's environment."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    return any(prefix and Path(prefix, PACKAGE_MARK).exists() for prefix in prefixes)


def environment() -> dict[str, str]:
    """Returns the environment that processes of this workspace need.

    Raises:
        WorkspaceError: The workspace is not built, or cannot be sourced.
    """
    if is_sourced():
        return dict(os.environ)
    script = ROOT / 'install' / 'setup.bash'
    if not script.exists():
        raise WorkspaceError(
            f'{script} is missing: run `make setup`, or source the workspace lerf_ros is built in'
        )
    command = ['bash', '-c', '. "$0" >&2 && env -0', str(script)]
    result = subprocess.run(command, capture_output=True)
    if result.returncode != 0:
        raise WorkspaceError(f'{script}: {result.stderr.decode(errors="replace").strip()}')
    pairs = (entry.split('=', 1) for entry in os.fsdecode(result.stdout).split('\0') if entry)
    return {name: value for name, value in pairs}


def enter() -> None:
    """Starts this process again inside the workspace's environment, unless it is there already.

    Raises:
        WorkspaceError: The workspace is not built, or cannot be sourced.
    """
    if not is_sourced():
        new_environment = environment()
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, new_environment)
