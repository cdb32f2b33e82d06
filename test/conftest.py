"""Leaves the tests that need ROS messages out where the workspace is not sourced, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from lerf_ros import workspace

HERE = Path(__file__).parent
NEED_ROS = ('bridge', 'nodes', 'system')


def pytest_report_header() -> str | None:
    """Says that tests are left out."""
    if workspace.is_sourced():
        return None
    return f'without a sourced workspace test/{{{",".join(NEED_ROS)}}} are left out: `make test`'


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what cannot be imported."""
    parts = collection_path.relative_to(HERE).parts if HERE in collection_path.parents else ()
    if parts and parts[0] in NEED_ROS and not workspace.is_sourced():
        return True
    return None
