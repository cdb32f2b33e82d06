"""What has to be said in several files is said alike."""

from __future__ import annotations

import ast
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

import lerf_ros
from lerf_ros.config import LerfConfig, load_yaml
from lerf_ros.features.photo import packages
from lerf_ros.field import native

ROOT = Path(__file__).resolve().parent.parent
PHOTO_REQUIREMENTS = ROOT / 'requirements-photo.txt'
MANIFEST = ET.parse(ROOT / 'package.xml').getroot()
CMAKE = (ROOT / 'CMakeLists.txt').read_text()
NODES = ('keyframe_node', 'field_node', 'player_node', 'query')


def pinned(name: str) -> dict[str, list[str]]:
    """Returns the lines of a requirements file by package."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        line = line.split('#')[0].strip()
        if line and not line.startswith('--hash'):
            package = re.split(r'[=<>\[; ]', line)[0].lower().replace('_', '-')
            found.setdefault(package, []).append(line)
    return found


def test_the_licence_is_the_same_everywhere() -> None:
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()
    assert MANIFEST.findtext('license') == 'Apache-2.0'
    assert "license='Apache-2.0'" in (ROOT / 'setup.py').read_text()


def test_the_version_is_the_same_everywhere() -> None:
    assert MANIFEST.findtext('version') == lerf_ros.__version__
    command = [sys.executable, 'setup.py', '--version']
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.split()[-1] == lerf_ros.__version__


@pytest.mark.skipif(shutil.which('g++') is None, reason='needs g++')
def test_setuptools_builds_the_native_libraries(tmp_path: Path) -> None:
    places = ['--build-lib', str(tmp_path), '--build-temp', str(tmp_path / 'objects')]
    subprocess.run(
        [sys.executable, 'setup.py', 'build_ext', *places],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    folder = tmp_path / 'lerf_ros/field/native'
    for source in (ROOT / 'lerf_ros/field/native').glob('*.cpp'):
        (built,) = folder.glob(f'{source.stem}*.so')
        version = getattr(ctypes.CDLL(str(built)), f'lerf_{source.stem}_version')
        assert version() == native._VERSIONS[source.stem]


def test_set_up_says_in_words_how_far_it_is() -> None:
    specification = importlib.util.spec_from_file_location('set_up', ROOT / 'scripts/set_up.py')
    assert specification is not None
    assert specification.loader is not None
    set_up = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(set_up)
    log = (
        'Collecting ros-rclpy[fastrtps]==7.1.6 (from -r x)\nCollecting ros-rcl\nCollecting torch\n'
    )
    assert set_up.packages_so_far(log, set()) == 'looking up: ROS wheels 2, other packages 1'
    log += 'Installing collected packages: ros-rcl, ros-rclpy, PyYAML, torch, typing_extensions\n'
    assert (
        set_up.packages_so_far(log, {'ros-rcl', 'pyyaml', 'typing-extensions', 'numpy'})
        == 'ROS wheels 1 of 2, other packages 2 of 3'
    )


def test_every_interface_is_built() -> None:
    for path in [*ROOT.glob('msg/*'), *ROOT.glob('srv/*')]:
        assert str(path.relative_to(ROOT)) in CMAKE


def test_every_field_of_an_interface_is_documented() -> None:
    for path in [*ROOT.glob('msg/*'), *ROOT.glob('srv/*')]:
        for block in re.split(r'\n\s*\n|---', path.read_text()):
            fields = [line for line in block.splitlines() if line and not line.startswith('#')]
            comments = [line for line in block.splitlines() if '#' in line]
            assert comments or not fields, f'{path.name}: {fields}'


@pytest.mark.parametrize('node', NODES)
def test_every_node_can_be_run(node: str) -> None:
    script = ROOT / 'scripts' / node
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith('#!/usr/bin/env python3\n')
    assert re.search(rf'foreach\(node [^)]*\b{node}\b', CMAKE)
    tree = ast.parse((ROOT / 'lerf_ros' / 'nodes' / f'{node}.py').read_text())
    assert 'main' in {item.name for item in tree.body if isinstance(item, ast.FunctionDef)}


def test_every_requirement_is_pinned_and_named_in_setup() -> None:
    learning, ros = pinned('requirements.txt'), pinned('requirements-ros.txt')
    photo = pinned('requirements-photo.txt')
    assert not set(learning) & set(photo)
    for lines in [*learning.values(), *ros.values(), *photo.values()]:
        assert all('==' in line for line in lines), lines
    learning |= photo
    needed = re.findall(r"'([\w-]+)'", (ROOT / 'setup.py').read_text())
    needed = {name.lower().replace('_', '-') for name in needed}
    assert set(learning) - {'setuptools'} <= needed


def test_the_encoder_for_photographs_is_pinned_to_what_it_was_measured_with() -> None:
    lines = pinned('requirements-photo.txt')
    for file in packages.FILES:
        assert lines[file.package] == [f'{file.package}=={file.version} \\']
    hashes = re.findall(r'--hash=sha256:([0-9a-f]{64})', PHOTO_REQUIREMENTS.read_text())
    assert len(hashes) == len(lines)
    assert PHOTO_REQUIREMENTS.name in packages.COMMAND
    assert packages.COMMAND in PHOTO_REQUIREMENTS.read_text()


def test_every_ros_package_that_is_imported_is_declared() -> None:
    declared = {element.text for element in MANIFEST.iter() if element.tag.endswith('depend')}
    folders = ('lerf_ros/bridge', 'lerf_ros/nodes', 'launch')
    for path in [path for folder in folders for path in (ROOT / folder).glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or '']
            for top in {name.split('.')[0] for name in names}:
                ros = top.startswith(('rcl', 'launch', 'tf2', 'cv_bridge', 'ament_index'))
                if (ros or top.endswith(('_msgs', '_srvs'))) and top != 'rcl_interfaces':
                    assert top in declared, f'{path.name} imports {top}'


@pytest.mark.parametrize('path', sorted(ROOT.glob('config/**/*.yaml')), ids=lambda path: path.name)
def test_parameter_files_hold_known_options(path: Path) -> None:
    assert isinstance(load_yaml(path), LerfConfig)
    assert list(yaml.safe_load(path.read_text())) == ['/**']


def launch_arguments(path: Path) -> list[str]:
    """Returns the names in a file's table of launch arguments."""
    table = next(
        node.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'ARGUMENTS'
    )
    assert isinstance(table, ast.Tuple)
    return [row.elts[0].value for row in table.elts]  # type: ignore[attr-defined]


@pytest.mark.parametrize('path', sorted(ROOT.glob('launch/*.py')), ids=lambda path: path.name)
def test_every_launch_argument_is_declared_and_used(path: Path) -> None:
    names = launch_arguments(path)
    assert len(set(names)) == len(names)
    body = path.read_text().split('\n)\n', 1)[1]
    for name in names:
        assert f"'{name}'" in body, f'{name} is declared and never used'


def test_what_played_maps_share_is_known_to_the_map_and_to_no_player() -> None:
    shared = launch_arguments(ROOT / 'lerf_ros' / 'nodes' / 'launching.py')
    assert set(shared) <= set(launch_arguments(ROOT / 'launch' / 'lerf.launch.py'))
    for name in ('demo', 'replay'):
        assert not set(shared) & set(launch_arguments(ROOT / 'launch' / f'{name}.launch.py'))


def test_the_makefile_offers_what_the_readme_names() -> None:
    targets = re.findall(r'^(\w+):.*##', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    assert {'setup', 'demo', 'test', 'lint', 'clean', 'help'} <= set(targets)


def test_continuous_integration_runs_the_tests() -> None:
    script = ROOT / '.ci' / 'run'
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith('make test')
