"""Fixtures of all tests; those that need ROS are left out where the workspace is not sourced."""

from __future__ import annotations

import gc
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Workers that share the cores (`make test`) take one thread each; to be said before torch loads.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')

import jaxtyping
import pytest
from jaxtyping import install_import_hook

# Before anything of the package is imported: every call checks its annotations, shapes included.
install_import_hook('lerf_ros', 'checked_shapes.checked')


class _Unchecked:
    """Imports modules as they are: Triton compiles the source of its kernels."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != 'lerf_ros.field.encoding.triton_kernels':
            return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)


sys.meta_path.insert(0, _Unchecked)  # type: ignore[arg-type]

from lerf_ros import workspace  # noqa: E402
from lerf_ros.config import LerfConfig  # noqa: E402

HERE = Path(__file__).parent
NEED_ROS = ('bridge', 'nodes', 'system')
# These take longest, so they come first: a worker that has one left at the end keeps all waiting.
FIRST = ('system', 'viewer', 'nodes', 'evaluation', 'training')
# A field that learns within seconds.
SMALL = {
    'field.levels': 8,
    'field.max_resolution': 256,
    'field.table_log2': 14,
    'field.language_levels': 4,
    'field.language_table_log2': 12,
    'training.rays_per_step': 512,
    'training.language_rays_per_step': 128,
}


@pytest.fixture(scope='session')
def config() -> LerfConfig:
    """Options of a field that learns within seconds."""
    return LerfConfig.from_flat(SMALL)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Turns the check of annotations off, as users have it: a wrong input gets its sentence."""
    jaxtyping.config.update('jaxtyping_disable', True)
    yield
    jaxtyping.config.update('jaxtyping_disable', False)


def pytest_report_header() -> str | None:
    """Says that tests are left out."""
    if workspace.is_sourced():
        return None
    return f'without a sourced workspace test/{{{",".join(NEED_ROS)}}} are left out: `make test`'


@pytest.hookimpl(trylast=True)  # after fixtures have been torn down
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Lets what rclpy leaves behind complain now: on stderr, where later tests count lines."""
    if _top(item.path) in NEED_ROS and (nextitem is None or nextitem.path != item.path):
        gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts directories whose tests take long first."""
    items.sort(key=lambda item: FIRST.index(top) if (top := _top(item.path)) in FIRST else 9)


def _top(path: Path) -> str:
    """Returns the name in this folder that a test lies in."""
    return path.relative_to(HERE).parts[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each worker whole files, and all of `system` to one: its processes fill the cores."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split('::', 1)[0]
            return 'system' if path.startswith('test/system/') else path

    return ByFile(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what cannot be imported."""
    parts = collection_path.relative_to(HERE).parts if HERE in collection_path.parents else ()
    if parts and parts[0] in NEED_ROS and not workspace.is_sourced():
        return True
    return None
