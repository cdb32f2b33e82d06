"""A small map that a page shows, and the page as a person uses it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scenery import mapped

from lerf_ros.config import LerfConfig
from lerf_ros.runtime.host import MapHost
from lerf_ros.simulation import SceneObject, TabletopOptions
from lerf_ros.surface.points import SurfacePoints
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.state import Snapshot

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)
FLAGS = [
    '--headless=new',
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
]
SIZE = {'width': 800, 'height': 600}
# Left of the panel and below the notice of software rendering.
SCENE = {'x': 0, 'y': 190, 'width': 400, 'height': 400}
SCREENSHOTS = Path(__file__).resolve().parents[2] / 'report' / 'browser'
OPTIONS = TabletopOptions(
    width=160,
    height=120,
    objects=(('red', 'mug'), ('blue', 'book'), ('yellow', 'banana')),
)
SMALL = {
    'training.device': 'cpu',
    'training.rays_per_step': 512,
    'training.language_rays_per_step': 128,
    'viewer.view_width_px': 160,
    'viewer.cloud_period_s': 0.5,
}
KEYFRAMES = 12


def free_port() -> int:
    """Returns a port that nobody uses."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Table:
    """A map of a simulated table, and what lies on it."""

    host: MapHost
    access: MapAccess
    config: LerfConfig
    objects: tuple[SceneObject, ...]

    def place(self, name: str) -> np.ndarray:
        """Returns where a thing truly is."""
        return next(obj.surface_centre_world for obj in self.objects if obj.name == name)


def large_surface(count: int) -> SurfacePoints:
    """Returns a surface of about so many points: copies of a small one side by side."""
    points = mapped(views=8, noise_m=0.001).points()
    copies = range(-(-count // len(points)))
    side_m = 2 * float(np.ptp(points.positions[:, 0]))

    def many(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values for _ in copies])

    shifted = [points.positions + np.float32([side_m * copy, 0, 0]) for copy in copies]
    return replace(
        points,
        positions=np.concatenate(shifted),
        colours=many(points.colours),
        normals=many(points.normals),
        views=many(points.views),
        confidence=many(points.confidence),
        visible_height_m=many(points.visible_height_m),
        seen_by=many(points.seen_by),
        keys=np.arange(len(points) * len(copies)),
    )


class LargeMap(MapAccess):
    """A map that shows a larger surface than it has; all else is its own."""

    def __init__(self, host: MapHost, count: int) -> None:
        super().__init__(host)
        self._large = large_surface(count)

    def look(self) -> Future[Snapshot]:
        """Looks at the map."""
        look, done = super().look(), Future[Snapshot]()
        look.add_done_callback(
            lambda it: done.set_result(replace(it.result(), surface=self._large))
        )
        return done


class Page:
    """One browser window, used as a person would."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        page.set_default_timeout(20_000)
        page.goto(url)
        page.get_by_role('tab', name='Ask').wait_for()

    def tab(self, name: str) -> None:
        """Opens a tab of the panel."""
        self.page.get_by_role('tab', name=name).click()

    def field(self, label: str) -> Any:
        """Returns the input beside a label."""
        label_ = self.page.get_by_text(label, exact=True).first
        return label_.locator('xpath=../../..').locator('input:not([type=hidden]), textarea').first

    def ask(self, text: str) -> None:
        """Types a phrase and presses Enter."""
        self.tab('Ask')
        field = self.field('Phrase')
        field.fill(text)
        field.press('Enter')

    def see(self, text: str, timeout_s: float = 20.0) -> str:
        """Waits for a text in the panel; returns the block that holds it."""
        found = self.page.get_by_text(text).first
        found.wait_for(timeout=timeout_s * 1e3)
        return found.inner_text()

    def choose(self, label: str, value: str) -> None:
        """Chooses from a list."""
        self.field(label).click()
        self.page.get_by_role('option', name=value, exact=True).click()

    def press(self, name: str) -> None:
        """Presses a button."""
        self.page.get_by_role('button', name=name, exact=True).first.click()

    def scene(self) -> np.ndarray:
        """Returns the colours of the scene, without panel and notices.

        Each is of four by four pixels: viser draws coarser ones where drawing is slow.
        """
        import cv2

        raw = self.page.screenshot(clip=SCENE)
        pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        size = SCENE['width'] // 4, SCENE['height'] // 4
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)

    def keep(self, name: str) -> None:
        """Keeps a screenshot for a person."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f'{name}.png')


def threads() -> set[str]:
    """Returns the names of the viewer's own threads."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith('lerf-')}
