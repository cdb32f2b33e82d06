"""The stream: which frames become keyframes, and how much training happens between them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lerf_ros.config import KeyframeOptions
from lerf_ros.evaluation.stream import Shot, Stream
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera

CAMERA = PinholeCamera(10.0, 10.0, 4.0, 4.0, 8, 8)


class CountingMap:
    """Counts what a map is told; the stream needs no more of it."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.log: list[str] = []
        self._step_s = step_s

    def ready(self) -> bool:
        return any(entry.startswith('keyframe') for entry in self.log)

    def ingest(self, frame: PosedFrame) -> Keyframe:
        self.log.append(f'keyframe {frame.stamp_ns // 10**6}')
        return Keyframe(KeyframeId('camera', len(self.log)), frame)

    def step(self) -> None:
        time.sleep(self._step_s)  # a step's work
        self.log.append('step')


def make_shots(count: int, rate_hz: float, speed_m_s: float, reads: list[int]) -> list[Shot]:
    shots = []
    for index in range(count):
        pose = np.eye(4)
        pose[0, 3] = speed_m_s * index / rate_hz
        stamp_ns = round(index / rate_hz * 1e9)

        def read(index=index, pose=pose, stamp_ns=stamp_ns) -> PosedFrame:
            reads.append(index)
            return PosedFrame(np.zeros((8, 8, 3), np.uint8), None, CAMERA, pose, stamp_ns)

        shots.append(Shot(stamp_ns, pose, read))
    return shots


OPTIONS = KeyframeOptions(min_translation_m=0.1, min_rotation_deg=90.0, min_interval_s=0.0)


def test_nominal_clock_gives_each_second_its_steps() -> None:
    reads: list[int] = []
    live_map = CountingMap()
    # 10 Hz, 0.2 m/s: a keyframe each half second.
    stream = Stream(live_map, make_shots(40, 10.0, 0.2001, reads), OPTIONS, steps_per_second=4.0)
    seen = []
    for time_s in stream.run([1.0, 2.0]):
        seen.append((time_s, stream.effort.steps, stream.effort.keyframes))
    assert seen == [(1.0, 4, 2), (2.0, 8, 4)]
    # Only keyframes are read, and the map trains between them.
    assert reads == [0, 5, 10, 15]
    assert live_map.log[:4] == ['keyframe 0', 'step', 'step', 'keyframe 500']


def test_training_goes_on_after_the_last_shot() -> None:
    live_map = CountingMap()
    stream = Stream(live_map, make_shots(1, 10.0, 1.0, []), OPTIONS, steps_per_second=10.0)
    assert list(stream.run([3.0])) == [3.0]
    assert live_map.log.count('step') == 30


def test_the_same_shots_give_the_same_log() -> None:
    logs = []
    for _ in range(2):
        live_map = CountingMap()
        stream = Stream(live_map, make_shots(30, 10.0, 0.37, []), OPTIONS, steps_per_second=7.0)
        list(stream.run([0.5, 1.7, 3.0]))
        logs.append(live_map.log)
    assert logs[0] == logs[1]


def test_real_clock_drops_what_comes_while_the_map_is_busy() -> None:
    live_map = CountingMap(step_s=0.12)
    reads: list[int] = []
    stream = Stream(live_map, make_shots(20, 50.0, 10.0, reads), OPTIONS, realtime=True)
    started = time.monotonic()
    for _ in stream.run([0.3]):
        elapsed = time.monotonic() - started
        time.sleep(0.1)  # looking at the map takes time, which counts for nothing
    assert 0.3 <= elapsed < 0.6
    assert stream.effort.dropped > 0
    assert stream.effort.keyframes == len(reads) < 15


def test_looking_costs_no_time_on_the_real_clock() -> None:
    live_map = CountingMap(step_s=0.001)
    stream = Stream(live_map, make_shots(2, 10.0, 1.0, []), OPTIONS, realtime=True)
    started = time.monotonic()
    for _ in stream.run([0.1, 0.2, 0.3]):
        time.sleep(0.2)  # looking
    assert time.monotonic() - started >= 0.3 + 3 * 0.2 - 0.01


@pytest.mark.parametrize('times', [[], [0.0], [2.0, 1.0], [1.0, 1.0]])
def test_times_must_ascend(times: list[float]) -> None:
    with pytest.raises(ValueError, match='ascending'):
        list(Stream(CountingMap(), [], OPTIONS).run(times))
