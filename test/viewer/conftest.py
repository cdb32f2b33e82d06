"""A small map that a page shows, and a real browser that looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from viewer_page import (
    CHROMIUM,
    FLAGS,
    KEYFRAMES,
    OPTIONS,
    SIZE,
    SMALL,
    Page,
    Table,
    free_port,
)
from waiting import wait_until

from lerf_ros.config import LerfConfig
from lerf_ros.runtime.host import MapHost
from lerf_ros.simulation import TabletopScene
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.server import Viewer


@pytest.fixture(scope='session')
def table() -> Iterator[Table]:
    """A map that has seen the table, and learns on."""
    config = LerfConfig.from_flat({**SMALL, 'viewer.port': free_port()})
    host = MapHost(config)
    with TabletopScene(seed=9050, options=OPTIONS) as scene:
        for frame in scene.frames('orbit', 20.0, KEYFRAMES / 20):
            host.intake.take(lambda frame=frame: frame, 'camera')  # type: ignore[misc]
        objects = scene.objects
    wait_until(lambda: host.intake.integrated >= KEYFRAMES, 'the keyframes', 60)
    wait_until(lambda: host.map.step_count > 40, 'some learning', 60)
    yield Table(host, MapAccess(host), config, objects)
    host.stop(10)


@pytest.fixture
def still(table: Table) -> Iterator[None]:
    """Lets that map rest where nothing depends on its learning: it would take a whole core."""
    table.host.pause()
    yield
    table.host.resume()


@pytest.fixture(scope='session')
def viewer(table: Table) -> Iterator[Viewer]:
    """The page of that map."""
    result = Viewer(table.access, table.config)
    yield result
    result.close()


@pytest.fixture(scope='session')
def chromium() -> Iterator[Any]:
    """A real browser."""
    if CHROMIUM is None:
        pytest.skip('no Chromium: apt install chromium')
    sync_api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope='session')
def open_page(chromium: Any) -> Callable[..., Page]:
    """Opens pages, of another size where one is given."""

    def open_(url: str, width: int = SIZE['width'], height: int = SIZE['height']) -> Page:
        return Page(chromium.new_page(viewport={'width': width, 'height': height}), url)

    return open_


@pytest.fixture(scope='module')
def page(open_page: Callable[..., Page], viewer: Viewer) -> Iterator[Page]:
    """The page of the map in a browser."""
    result = open_page(viewer.url)
    yield result
    result.page.close()
