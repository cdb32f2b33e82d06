"""Makes the pictures of README and docs: `make pictures`.

The demo's picture is taken from what the demo drew; those of the viewer are screenshots of its
page in Chromium, on a map of the same simulated table.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

import cv2

from lerf_ros.config import LerfConfig
from lerf_ros.runtime.host import MapHost
from lerf_ros.simulation import TabletopScene
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.server import Viewer

DOCS = Path(__file__).resolve().parent.parent / 'docs'
FLAGS = ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run']
SIZE: Any = {'width': 1180, 'height': 700}
KEYFRAMES = 60
DEMO_WIDTH_PX, VIEWER_WIDTH_PX = 1280, 960


def main() -> int:
    """Makes the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--demo', type=Path, help='folder that the demo wrote')
    parser.add_argument('--seed', type=int, default=9003, help='which simulated table (9003)')
    parser.add_argument('--steps', type=int, default=600, help='training steps (600)')
    arguments = parser.parse_args()
    if arguments.demo is not None:
        print(demo_picture(arguments.demo))
    chromium = shutil.which('chromium') or shutil.which('chromium-browser')
    if chromium is None:
        print('pictures: the viewer needs Chromium: apt install chromium', file=sys.stderr)
        return 2
    for path in viewer_pictures(chromium, arguments.seed, arguments.steps):
        print(path)
    return 0


def demo_picture(folder: Path) -> Path:
    """Shrinks the demo's picture of its first phrase for the README.

    Raises:
        ValueError: The demo has drawn none, or one that cannot be read.
    """
    drawn = sorted(folder.glob('*.png'), key=lambda path: path.stat().st_mtime)
    drawn = [path for path in drawn if path.name != 'map.png']
    if not drawn:
        raise ValueError(f'{folder}: expected the pictures of `lerf_ros demo`, got none')
    path = DOCS / 'demo.png'
    shrink(drawn[0], path, DEMO_WIDTH_PX)
    return path


def shrink(source: Path, target: Path, width: int) -> None:
    """Writes a picture in another width.

    Raises:
        ValueError: It cannot be read.
    """
    picture = cv2.imread(str(source))
    if picture is None:
        raise ValueError(f'{source}: expected a picture, got none')
    height = round(picture.shape[0] * width / picture.shape[1])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def viewer_pictures(chromium: str, seed: int, steps: int) -> list[Path]:
    """Maps a table, and takes pictures of its page as a person would see it."""
    from playwright.sync_api import sync_playwright

    with contextlib.closing(socket.socket()) as probe:
        probe.bind(('127.0.0.1', 0))
        port = int(probe.getsockname()[1])
    config = LerfConfig.from_flat({'viewer.port': port})
    host = MapHost(config)
    with TabletopScene(seed=seed) as scene:
        first, second = (obj.name for obj in scene.objects[-4:-2])
        for frame in scene.frames('orbit', 20.0, KEYFRAMES / 20):
            while host.intake.received - host.intake.integrated > 4:
                time.sleep(0.01)
            host.intake.take(lambda frame=frame: frame, 'camera')  # type: ignore[misc]
    while host.map.step_count < steps:
        time.sleep(0.1)
    host.pause()
    viewer = Viewer(MapAccess(host), config)
    paths = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(60_000)
        page.goto(viewer.url)

        def field(label: str) -> Any:
            beside = page.get_by_text(label, exact=True).first.locator('xpath=../../..')
            return beside.locator('input:not([type=hidden])').first

        def keep(name: str) -> None:
            page.wait_for_timeout(4000)
            paths.append(DOCS / f'{name}.png')
            page.screenshot(path=paths[-1])
            shrink(paths[-1], paths[-1], VIEWER_WIDTH_PX)

        page.wait_for_timeout(6000)
        for notice in page.locator('.mantine-Notification-closeButton').all():
            notice.click()
        field('Phrase').fill(f'{first}; {second}; green elephant')
        field('Phrase').press('Enter')
        page.get_by_text(f'{first}:').first.wait_for()
        keep('viewer')
        page.get_by_role('tab', name='View').click()
        field('Output').click()
        page.get_by_role('option', name='relevancy_0', exact=True).click()
        keep('viewer_relevancy')
        field('Shown as').click()
        page.get_by_role('option', name='rendered background', exact=True).click()
        field('Output').click()
        page.get_by_role('option', name='composited_0', exact=True).click()
        page.wait_for_timeout(8000)
        keep('viewer_rendered')
        browser.close()
    viewer.close()
    host.stop(5.0)
    return paths


if __name__ == '__main__':
    sys.exit(main())
