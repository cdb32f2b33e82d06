"""Imports point one way. ``MAY_IMPORT`` is the architecture of the package."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'lerf_ros'

BASE = {'options', 'config', 'geometry'}
# What a map is made of, below what drives it.
PARTS = BASE | {'frames', 'scheduling', 'features', 'field', 'keyframes', 'surface', 'query'}
CORE = PARTS | {'live_options', 'training', 'maps', 'runtime', 'sources', 'simulation', 'drawing'}

# Module or subpackage -> what it may import of this package, besides itself.
MAY_IMPORT = {
    'options': set(),
    'config': {'options'},
    'geometry': set(),
    'live_options': {'options', 'config'},
    'workspace': set(),
    'frames': BASE,
    'scheduling': set(),
    'features': BASE | {'frames'},
    'field': BASE,
    'keyframes': BASE | {'frames', 'features', 'field'},
    'surface': BASE | {'frames'},
    'training': BASE | {'frames', 'features', 'field', 'keyframes', 'surface'},
    'query': BASE | {'scheduling', 'features', 'field', 'surface'},
    'maps': PARTS | {'training'},
    'runtime': PARTS | {'live_options', 'training', 'maps'},
    'sources': BASE | {'frames'},
    'simulation': BASE | {'frames'},
    'drawing': BASE | {'query'},
    'viewer': CORE,
    'evaluation': CORE,
    'commands': CORE | {'evaluation', 'viewer'},
    'bridge': PARTS | {'live_options', 'msg', 'srv'},
    'nodes': CORE | {'viewer', 'bridge', 'msg', 'srv'},
    '__main__': {'workspace', 'commands', 'nodes'},
    '__init__': set(),
}

# Only these may import ROS.
ROS_LAYERS = {'bridge', 'nodes'}
ROS_PREFIXES = ('rcl', 'ros', 'tf2_', 'ament_', 'launch', 'message_filters', 'cv_bridge')
ROS_SUFFIXES = ('_msgs', '_srvs', '_interfaces')

MAX_LINES = 350

# These run where the learning stack is not installed: on the robot.
WITHOUT_TORCH = ('lerf_ros.nodes.keyframe_node', 'lerf_ros.nodes.player_node')


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob('*.py'))


def layer_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix('.py')


def imported_by(path: Path) -> set[str]:
    """Returns every absolute module name a file imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            assert node.module is not None
            found.add(node.module)
            if node.module == 'lerf_ros':
                found |= {f'lerf_ros.{alias.name}' for alias in node.names}
    return found


def is_ros(name: str) -> bool:
    top = name.split('.')[0]
    # rosbags reads recordings without a ROS installation.
    ros = top.startswith(ROS_PREFIXES) or top.endswith(ROS_SUFFIXES)
    return (ros and top != 'rosbags') or name.startswith(('lerf_ros.msg', 'lerf_ros.srv'))


@pytest.mark.parametrize('path', modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    layer = layer_of(path)
    assert layer in MAY_IMPORT, f'{layer} has no entry in MAY_IMPORT'
    names = imported_by(path)
    own = {name.split('.')[1] for name in names if name.startswith('lerf_ros.')}
    own -= {layer, '__version__'}
    assert own <= MAY_IMPORT[layer], f'{layer} may not import {sorted(own - MAY_IMPORT[layer])}'
    if layer not in ROS_LAYERS:
        assert not {name for name in names if is_ros(name)}


def test_the_table_names_what_exists() -> None:
    assert {layer_of(path) for path in modules()} == set(MAY_IMPORT)


def test_no_cycles_in_the_table() -> None:
    order: list[str] = []
    left = dict(MAY_IMPORT)
    while left:
        free = [layer for layer, needs in left.items() if not needs & set(left)]
        assert free, f'cycle among {sorted(left)}'
        order += free
        for layer in free:
            del left[layer]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def module_graph() -> dict[str, set[str]]:
    """Returns which modules each module of this package names in its imports."""
    known = {module_of(path): path for path in modules()}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    whole = f'{node.module}.{alias.name}'
                    found.add(whole if whole in known else str(node.module))
        graph[name] = (found & set(known)) - {name}
    return graph


def circles(graph: dict[str, set[str]]) -> set[str]:
    """Returns the nodes that lead to a circle and that one leads to."""
    left = {name: set(needs) for name, needs in graph.items()}
    while True:
        needed = set().union(*left.values()) if left else set()
        free = {name for name, needs in left.items() if not needs or name not in needed}
        if not free:
            return set(left)
        left = {name: needs - free for name, needs in left.items() if name not in free}


def test_no_circle_between_modules() -> None:
    graph = module_graph()
    assert graph['lerf_ros.frames.selection'] >= {'lerf_ros.geometry', 'lerf_ros.config'}
    assert not circles(graph), 'modules that import each other'
    assert circles({'a': {'b'}, 'b': {'c'}, 'c': {'b'}, 'd': set()}) == {'b', 'c'}


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text(encoding='utf-8').splitlines()) for path in modules()}
    long = {str(path.relative_to(PACKAGE)): n for path, n in lengths.items() if n > MAX_LINES}
    assert not long, f'expected at most {MAX_LINES} lines'


def own_imports(name: str, seen: set[str]) -> None:
    """Adds to `seen` every module of this package that importing a module executes."""
    path = PACKAGE.parent.joinpath(*name.split('.'))
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    if name in seen or not path.exists():
        return
    seen.add(name)
    tree = ast.parse(path.read_text(encoding='utf-8'))
    for node in tree.body:  # what stands in functions runs later, if at all
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('lerf_ros'):
            assert node.module is not None
            own_imports(node.module, seen)
            for alias in node.names:
                own_imports(f'{node.module}.{alias.name}', seen)


@pytest.mark.parametrize('name', WITHOUT_TORCH)
def test_the_robots_nodes_need_no_torch(name: str) -> None:
    seen: set[str] = set()
    own_imports(name, seen)
    assert len(seen) > 5
    for module in seen:
        path = PACKAGE.parent.joinpath(*module.split('.'))
        path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
        tops = {found.split('.')[0] for found in imported_by(path)} - set(sys.stdlib_module_names)
        assert not tops & {'torch', 'torchvision', 'open_clip', 'timm'}, module
