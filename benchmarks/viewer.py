"""How quick the viewer is, and what it takes from training; in a real browser where there is one.

    python benchmarks/viewer.py [--points 200000] [--rounds 3] [--json FILE]

A browser without a GPU draws with the processor, and takes it from training: while training is
timed it runs under ``nice -n 19``, in place of a browser on another machine. What the server
itself spends on an idle page is printed as processor time, which other work does not change.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from browser_probe import CHROMIUM, Browser, chromium
from websockets.asyncio.server import ServerConnection

from lerf_ros.config import LerfConfig
from lerf_ros.geometry import PinholeCamera, look_at
from lerf_ros.query.request import QueryRequest
from lerf_ros.runtime.host import MapHost
from lerf_ros.simulation import TabletopScene
from lerf_ros.surface.points import SurfacePoints
from lerf_ros.viewer.chunks import ChunkedSurface
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.server import Viewer
from lerf_ros.viewer.session import Session
from lerf_ros.viewer.state import Snapshot

KEYFRAMES = 24
IDLE_S = 6.0
GROWS_S = 20.0
VOXEL_M = 0.01
Figures = dict[str, Any]


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


def seconds(work: Callable[[int], Any], count: int) -> float:
    """Returns the median time of some work."""
    times = []
    for number in range(count):
        started = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def at_the_server(access: MapAccess, names: list[str]) -> Figures:
    """Returns the seconds of answers, looks and views while the map learns."""
    camera = PinholeCamera.from_vertical_fov(320, 240, 50.0)
    pose = look_at(np.array([0.5, -0.5, 0.5]), np.zeros(3))

    def ask(number: int) -> None:
        access.ask(QueryRequest((names[number % len(names)],))).result()

    ask(0)
    return {
        'answer_s': seconds(ask, 5),
        'look_s': seconds(lambda _: access.look().result(), 5),
        'view_coarse_s': seconds(lambda _: access.draw(camera.resized(80, 60), pose).result(), 3),
        'view_320x240_s': seconds(lambda _: access.draw(camera, pose).result(), 2),
    }


def page_cpu_s() -> float:
    """Returns the processor time of every thread of this process but the map's own."""
    ours = {t.native_id for t in threading.enumerate()} - {threading.main_thread().native_id}
    ours -= {t.native_id for t in threading.enumerate() if t.name == 'lerf-worker'}
    return sum(
        entry.user_time + entry.system_time
        for entry in psutil.Process().threads()
        if entry.id in ours
    )


def latencies(viewer: Viewer, names: list[str]) -> Figures:
    """Returns what a person waits for, the map learning meanwhile."""
    first, waits = [], []
    with chromium() as browser:
        for _ in range(3):
            page = Browser(browser, viewer.url)
            first.append(page.first_points_s())
            page.page.wait_for_timeout(3000)
            waits += [page.ask_s(name) for name in names[:4]]
            page.close()
            names = names[4:] + names[:4]
    return {
        'page_to_first_points_s': [round(value, 2) for value in first],
        'enter_to_answer_s': statistics.median(waits),
        'enter_to_answer_worst_s': max(waits),
    }


def idle_cost(viewer: Viewer, host: MapHost, rounds: int) -> Figures:
    """Returns what an idle page costs: its share of training, and the server's processor time.

    By the clock that share holds on a quiet machine only; by the processor time that this process
    takes for a step it holds on any.
    """

    def pace() -> tuple[float, float]:
        """Returns steps a second, and steps a second of processor time."""
        started, steps, spent = time.perf_counter(), host.map.step_count, time.process_time()
        time.sleep(IDLE_S)
        done = host.map.step_count - steps
        return done / (time.perf_counter() - started), done / (time.process_time() - spent)

    without, with_page, cpu = [], [], []
    with chromium(nice=19) as browser:
        for _ in range(rounds):
            without.append(pace())
            page = Browser(browser, viewer.url)
            page.first_points_s()
            page.page.wait_for_timeout(4000)
            before = page_cpu_s()
            with_page.append(pace())
            cpu.append((page_cpu_s() - before) / IDLE_S)
            page.close()
            while viewer.browsers:
                time.sleep(0.05)
    share, share_by_cpu = np.median(np.array(with_page) / np.array(without), axis=0)
    return {
        'steps_per_s_without': [by_clock for by_clock, _ in without],
        'steps_per_s_with_an_idle_page': [by_clock for by_clock, _ in with_page],
        'training_share': float(share),
        'training_share_by_processor_time': float(share_by_cpu),
        'server_cpu_s_per_idle_s': statistics.median(cpu),
    }


def wavy(count: int) -> SurfacePoints:
    """Returns a large surface."""
    side = int(np.sqrt(count))
    u, v = np.meshgrid(np.arange(side), np.arange(side))
    place = np.stack([u * VOXEL_M, v * VOXEL_M, 5 * VOXEL_M * np.sin(u / 30)], -1).reshape(-1, 3)
    n = len(place)
    return SurfacePoints(
        positions=(place + VOXEL_M / 2).astype(np.float32),
        colours=np.random.default_rng(0).integers(0, 255, (n, 3), dtype=np.uint8),
        normals=np.zeros((n, 3), np.float32),
        views=np.ones(n, np.int64),
        confidence=np.ones(n, np.float32),
        visible_height_m=np.ones((n, 2), np.float32),
        seen_by=np.zeros((n, 1), np.int64),
        cameras_m=np.zeros((1, 3), np.float32),
        keys=np.arange(n),
        voxel_m=VOXEL_M,
    )


def part(points: SurfacePoints, count: int) -> SurfacePoints:
    """Returns the first points of a surface."""
    each = {entry.name: getattr(points, entry.name) for entry in fields(points)}
    rows: dict[str, Any] = {
        name: value[:count]
        for name, value in each.items()
        if isinstance(value, np.ndarray) and len(value) == len(points)
    }
    return replace(points, **rows)


class Growing(MapAccess):
    """A map whose surface grows over time into a large one; all else is the map's own."""

    def __init__(self, host: MapHost, whole: SurfacePoints) -> None:
        super().__init__(host)
        self._whole, self._started_s = whole, float('inf')
        self.shown = 0

    def begin(self) -> None:
        """Lets it grow from now on."""
        self._started_s = time.perf_counter()

    def look(self) -> Future[Snapshot]:
        """Looks at the map, with the surface as far as it has grown."""
        age_s = max(0.0, time.perf_counter() - self._started_s)
        self.shown = int(len(self._whole) * min(1.0, 0.1 + 0.9 * age_s / GROWS_S))
        look, done = super().look(), Future[Snapshot]()
        grown = part(self._whole, self.shown)
        look.add_done_callback(lambda it: done.set_result(replace(it.result(), surface=grown)))
        return done


@contextlib.contextmanager
def counted_bytes() -> Iterator[list[int]]:
    """Counts what the server sends to pages."""
    sizes: list[int] = []
    send = ServerConnection.send

    async def counting(self: ServerConnection, message: Any, *args: Any, **kwargs: Any) -> None:
        sizes.append(len(message))
        await send(self, message, *args, **kwargs)

    ServerConnection.send = counting  # type: ignore[method-assign, assignment]
    try:
        yield sizes
    finally:
        ServerConnection.send = send  # type: ignore[method-assign]


def cutting(points: SurfacePoints) -> Figures:
    """Returns what cutting and comparing a large surface takes."""
    cut = ChunkedSurface()
    first_s = seconds(lambda _: cut.update(points), 1)
    return {
        'chunks': len(cut.chunks),
        'cut_s': first_s,
        'compare_s': seconds(lambda _: cut.update(replace(points)), 3),
    }


def left_over() -> Figures:
    """Returns what is alive of pages."""
    gc.collect()
    return {
        'sessions': sum(type(thing) is Session for thing in gc.get_objects()),
        'threads': threading.active_count(),
        'memory_mb': round(psutil.Process().memory_info().rss / 2**20, 1),
    }


def large(host: MapHost, config: LerfConfig, count: int) -> Figures:
    """Returns what a large surface that grows sends, how the page halts, and what is freed."""
    whole = wavy(count)
    access = Growing(host, whole)
    viewer = Viewer(access, config)
    result: Figures = {'points': len(whole), **cutting(whole)}
    with counted_bytes() as sizes, chromium() as browser:
        # What is loaded once for all pages is no page's.
        warm = Browser(browser, viewer.url)
        warm.first_points_s()
        warm.close()
        time.sleep(2.0)
        result['before'] = left_over()
        page = Browser(browser, viewer.url)
        page.first_points_s()
        page.page.wait_for_timeout(3000)
        page.halts_ms()
        sizes.clear()
        access.begin()
        while access.shown < len(whole):
            page.page.wait_for_timeout(500)
        page.page.wait_for_timeout(5000)
        halts = page.halts_ms()
        result['mb_sent_while_growing'] = sum(sizes) / 2**20
        result['mb_of_the_points_alone'] = 0.9 * len(whole) * 9 / 2**20
        result['halts_over_50_ms'] = len(halts)
        result['longest_halt_ms'] = max(halts, default=0.0)
        sizes.clear()
        page.page.wait_for_timeout(5000)
        result['kb_per_s_when_grown'] = sum(sizes) / 5 / 1024
        result['open'] = left_over()
        page.close()
        for _ in range(3):
            page = Browser(browser, viewer.url)
            page.first_points_s()
            page.page.wait_for_timeout(2000)
            page.close()
        while viewer.browsers:
            time.sleep(0.05)
        time.sleep(2.0)
        result['after_four_pages'] = left_over()
    viewer.close()
    return result


def rounded(value: Any) -> Any:
    """Returns figures with three digits."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return float(f'{value:.3g}') if isinstance(value, float) else value


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--points', type=int, default=200_000, help='size of the large surface')
    parser.add_argument('--rounds', type=int, default=4, help='how often training is timed')
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    arguments = parser.parse_args()
    config = LerfConfig.from_flat({'viewer.port': free_port()})
    host = MapHost(config)
    names = table(host)
    access = MapAccess(host)
    result: Figures = {'surface_points': host.map.surface_points}

    def told(title: str, figures: Figures) -> None:
        result[title] = rounded(figures)
        print(title, json.dumps(result[title], indent=1), flush=True)

    told('server', at_the_server(access, names))
    if CHROMIUM is None:
        print('no Chromium: apt install chromium')
    else:
        viewer = Viewer(access, config)
        told('person', latencies(viewer, names))
        told('idle', idle_cost(viewer, host, arguments.rounds))
        viewer.close()
        told('large', large(host, config, arguments.points))
    host.stop(5)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
