"""How quick the viewer is, and what it takes from training; in a real browser where there is one.

    python benchmarks/viewer.py [--points 200000] [--json FILE]

What an idle page takes from training is the processor time of the viewer's own threads, which
other work on the machine does not change; a browser on the same machine draws on top of that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lerf_ros.config import LerfConfig
from lerf_ros.query.engine import QueryRequest
from lerf_ros.runtime.host import MapHost
from lerf_ros.simulation import TabletopScene
from lerf_ros.surface.points import SurfacePoints
from lerf_ros.viewer.chunks import ChunkedSurface
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.server import Viewer

FLAGS = ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run']
KEYFRAMES = 24
IDLE_S = 15.0


def free_port() -> int:
    """Returns a port that nobody uses."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def table(host: MapHost) -> list[str]:
    """Maps the simulated table; returns the names of what lies on it."""
    with TabletopScene(seed=9003) as scene:
        for frame in scene.frames('orbit', 20.0, KEYFRAMES / 20):
            while host.intake.received - host.intake.integrated > 4:
                time.sleep(0.01)
            host.intake.take(lambda frame=frame: frame, 'camera')  # type: ignore[misc]
        names = [obj.name for obj in scene.objects]
    while host.intake.integrated < KEYFRAMES or host.map.step_count < 40:
        time.sleep(0.05)
    return names


def at_the_server(access: MapAccess, names: list[str], config: LerfConfig) -> dict[str, float]:
    """Returns the seconds of answers and views while the map learns, medians of several."""
    from lerf_ros.geometry import PinholeCamera, look_at

    camera = PinholeCamera.from_vertical_fov(320, 240, 50.0)
    pose = look_at(np.array([0.5, -0.5, 0.5]), np.zeros(3))

    def seconds(work: Any, count: int) -> float:
        times = []
        for number in range(count):
            started = time.perf_counter()
            work(number)
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    def ask(number: int) -> None:
        access.ask(QueryRequest((names[number % len(names)],))).result()

    ask(0)
    return {
        'answer_s': seconds(ask, 5),
        'view_coarse_s': seconds(lambda _: access.draw(camera.resized(80, 60), pose).result(), 3),
        'view_320x240_s': seconds(lambda _: access.draw(camera, pose).result(), 1),
    }


def differences(count: int) -> dict[str, float]:
    """Returns what cutting and comparing a large surface takes, and how much is sent again."""
    generator = np.random.default_rng(0)
    side = int(np.sqrt(count))
    u, v = np.meshgrid(np.arange(side), np.arange(side))
    positions = np.stack([u * 0.01, v * 0.01, 0.05 * np.sin(u / 30)], -1).reshape(-1, 3)
    n = len(positions)
    points = SurfacePoints(
        positions=(positions + 0.005).astype(np.float32),
        colours=generator.integers(0, 255, (n, 3), dtype=np.uint8),
        normals=np.zeros((n, 3), np.float32),
        views=np.ones(n, np.int64),
        confidence=np.ones(n, np.float32),
        visible_height_m=np.ones((n, 2), np.float32),
        seen_by=np.zeros((n, 1), np.int64),
        cameras_m=np.zeros((1, 3), np.float32),
        keys=np.arange(n),
        voxel_m=0.01,
    )
    cut = ChunkedSurface()
    started = time.perf_counter()
    cut.update(points)
    first_s = time.perf_counter() - started
    before = dict(cut.chunks)
    from dataclasses import replace

    colours = points.colours.copy()
    seen = np.linalg.norm(points.positions[:, :2] - 1.0, axis=1) < 0.5
    colours[seen] = 255 - colours[seen]
    started = time.perf_counter()
    cut.update(replace(points, colours=colours))
    again = [cell for cell, chunk in cut.chunks.items() if before.get(cell) is not chunk]
    return {
        'points': n,
        'chunks': len(cut.chunks),
        'cut_s': first_s,
        'compare_s': time.perf_counter() - started,
        'sent_again_share': sum(len(cut.chunks[c].keys) for c in again) / n,
    }


def in_a_browser(
    host: MapHost, access: MapAccess, config: LerfConfig, names: list[str]
) -> dict[str, Any]:
    """Returns what a person with a browser waits for, and what an idle page costs training."""
    from playwright.sync_api import sync_playwright

    viewer = Viewer(access, config)
    process = psutil.Process()

    def cpu_s() -> float:
        """Returns the processor time of every thread of this process but the map's own."""
        theirs = {thread.native_id for thread in threading.enumerate() if _of_the_page(thread)}
        return sum(
            entry.user_time + entry.system_time
            for entry in process.threads()
            if entry.id in theirs
        )

    def own_threads() -> int:
        return sum(thread.name.startswith('lerf-b') for thread in threading.enumerate())

    result: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which('chromium'), args=FLAGS)
        size: Any = {'width': 640, 'height': 480}
        page = browser.new_page(viewport=size)
        started = time.perf_counter()
        page.goto(viewer.url)
        while not (viewer._sessions and next(iter(viewer._sessions.values()))._cloud._nodes):
            time.sleep(0.01)
        result['page_to_points_sent_s'] = time.perf_counter() - started
        label = page.get_by_text('Phrase', exact=True)
        field = label.locator('xpath=../../..').locator('input').first
        waits = []
        for name in names[:5]:
            field.fill(name)
            page.wait_for_timeout(500)
            started = time.perf_counter()
            field.press('Enter')
            page.get_by_text(f'{name}:').first.wait_for()
            waits.append(time.perf_counter() - started)
        result['enter_to_answer_s'] = statistics.median(waits[1:])
        page.wait_for_timeout(3000)
        before, started, steps = cpu_s(), time.perf_counter(), host.map.step_count
        time.sleep(IDLE_S)
        seconds = time.perf_counter() - started
        result['cores_of_an_idle_page'] = (cpu_s() - before) / seconds
        result['steps_per_s_meanwhile'] = (host.map.step_count - steps) / seconds
        page.close()
        while viewer.browsers or (own_threads() and time.perf_counter() - started < 60):
            time.sleep(0.05)
        result['session_threads_after_closing'] = own_threads()
        browser.close()
    viewer.close()
    return result


def _of_the_page(thread: threading.Thread) -> bool:
    """Tells whether a thread works for pages: neither this one nor the map's worker."""
    return thread.name != 'lerf-worker' and thread is not threading.main_thread()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--points', type=int, default=200_000, help='size of the large surface')
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    arguments = parser.parse_args()
    config = LerfConfig.from_flat({'viewer.port': free_port()})
    host = MapHost(config)
    names = table(host)
    access = MapAccess(host)
    result: dict[str, Any] = {'surface_points': host.map.surface_points}
    result |= at_the_server(access, names, config)
    result['large'] = differences(arguments.points)
    if shutil.which('chromium'):
        result |= in_a_browser(host, access, config, names)
    host.stop(5)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + '\n')


if __name__ == '__main__':
    main()
