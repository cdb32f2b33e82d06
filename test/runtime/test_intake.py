"""Keyframes on their way into the map: every one is counted, none is half taken in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.runtime.intake import Intake
from lerf_ros.runtime.streams import MOST_MISSING, MOST_STREAMS, Stream, Streams


class Queue:
    """Jobs that run when the test says so, as a worker would run them."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], Future[None]]] = []

    def submit(self, job: Callable[[], None]) -> Future[None]:
        future: Future[None] = Future()
        self.jobs.append((job, future))
        return future

    def run_all(self) -> None:
        for job, future in self.jobs:
            try:
                job()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(None)
        self.jobs.clear()


def frame() -> PosedFrame:
    camera = PinholeCamera(10.0, 10.0, 2.0, 2.0, 4, 4)
    return PosedFrame(np.zeros((4, 4, 3), np.uint8), None, camera, np.eye(4), 0)


class Recorder:
    """An intake over a queue, with what it says and what became of its frames."""

    def __init__(self, backlog: int = 2) -> None:
        self.queue, self.sentences, self.done = Queue(), [], []
        self.log: list[str] = []
        self.failing = False
        self.intake = Intake(self.queue.submit, self.jobs, backlog)
        self.intake.on_complaint = self.sentences.append
        self.intake.on_note = lambda sentence: self.sentences.append(f'note: {sentence}')
        self.intake.on_clash = lambda sentence: self.sentences.append(f'clash: {sentence}')
        self.intake.on_integrated = self.done.append

    def jobs(self, taken: PosedFrame, source: str) -> list[Callable[[], Any]]:
        def encode() -> None:
            if self.failing:
                raise RuntimeError('out of memory')
            self.log.append(f'{source} level')

        def integrate() -> str:
            self.log.append(f'{source} add')
            return source

        return [encode, integrate]

    def take(self, source: str = 'camera', index: int | None = None, run: str = '') -> None:
        self.intake.take(frame, source, index, run)

    def stream(self, name: str) -> Stream:
        return next(stream for stream in self.intake.streams() if stream.name == name)

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.intake.received, self.intake.integrated, self.intake.dropped


def test_jobs_run_in_order_and_the_keyframe_counts_at_the_end() -> None:
    recorder = Recorder()
    recorder.take()
    assert recorder.counts == (1, 0, 0)
    recorder.queue.run_all()
    assert recorder.log == ['camera level', 'camera add']
    assert recorder.done == ['camera']
    assert recorder.counts == (1, 1, 0)


def test_too_many_waiting_keyframes_are_dropped_and_said() -> None:
    recorder = Recorder(backlog=2)
    for _ in range(5):
        recorder.take()
    assert recorder.counts == (5, 0, 3)
    assert recorder.sentences[0].startswith('note: keyframe dropped: 2 are waiting')
    recorder.queue.run_all()
    assert recorder.counts == (5, 2, 3)
    recorder.take()
    recorder.queue.run_all()
    assert recorder.counts == (6, 3, 3)


def test_a_malformed_keyframe_is_dropped_with_its_sentence() -> None:
    recorder = Recorder(backlog=1)

    def broken() -> PosedFrame:
        raise ValueError('image: expected JPEG')

    for _ in range(3):
        recorder.intake.take(broken, 'camera')
    assert recorder.counts == (3, 0, 3)
    assert recorder.sentences[0] == 'image: expected JPEG'


def test_a_job_that_fails_stops_the_rest_of_its_keyframe() -> None:
    recorder = Recorder()
    recorder.take('a')
    recorder.failing = True
    recorder.queue.run_all()
    recorder.failing = False
    recorder.take('b')
    recorder.queue.run_all()
    assert recorder.log == ['b level', 'b add']
    assert recorder.counts == (2, 1, 1)
    assert recorder.done == ['b']
    assert recorder.sentences == ['keyframe dropped: out of memory']


def test_reset_counts_what_still_waits() -> None:
    recorder = Recorder()
    recorder.take()
    recorder.intake.reset()
    assert recorder.counts == (1, 0, 0)
    recorder.queue.run_all()
    assert recorder.counts == (1, 1, 0)


def test_gaps_in_the_numbers_of_a_source_count_as_dropped() -> None:
    recorder = Recorder(backlog=20)
    for source, index in (('left', 57), ('right', 0), ('left', 58), ('left', 61), ('right', 1)):
        recorder.take(source, index)
    recorder.queue.run_all()
    # The first number of a source is no gap: the stream was there before the map.
    assert recorder.counts == (5, 5, 2)
    assert recorder.sentences == ["note: 2 keyframes of 'left' were lost before number 61"]
    # A camera that starts again counts from 0.
    recorder.take('left', 0)
    recorder.take('left', 1)
    recorder.queue.run_all()
    assert recorder.counts == (7, 7, 2)


def test_a_fast_camera_does_not_starve_a_slow_one() -> None:
    recorder = Recorder(backlog=6)
    for number in range(40):
        recorder.take('fast', number)
        if number % 10 == 9:
            recorder.take('slow', number // 10)
    # All of the slow one waits: the fast one gave way.
    assert recorder.stream('slow').waiting == 4 - 1
    assert recorder.stream('fast').waiting == 3
    recorder.queue.run_all()
    fast, slow = recorder.stream('fast'), recorder.stream('slow')
    assert (slow.received, slow.integrated, slow.dropped) == (4, 3, 1)
    assert (fast.received, fast.integrated, fast.dropped) == (40, 3, 37)
    assert recorder.counts == (44, 6, 38)
    # In turn, though four of the fast one came first.
    assert recorder.done == ['fast', 'fast', 'slow', 'fast', 'slow', 'slow']
    assert any("one of 'fast'" in sentence for sentence in recorder.sentences)


def test_a_keyframe_that_is_sent_again_is_passed_over_or_fills_its_gap() -> None:
    recorder = Recorder(backlog=20)
    for index in (3, 4, 7, 7, 5, 1, 4):
        recorder.take('front', index, 'a')
    recorder.queue.run_all()
    stream = recorder.stream('front')
    # 6 is missing, and so are 0 and 2, which nobody counts as lost: they came before the map.
    assert (stream.received, stream.integrated, stream.dropped) == (5, 5, 1)
    assert stream.repeated == recorder.intake.repeated == 2
    assert stream.next_index == 8
    assert sorted(stream.missing) == [0, 2, 6]
    # Another map has begun: what a recording sends from the start is new to it.
    recorder.intake.reset()
    recorder.take('front', 0, 'a')
    recorder.queue.run_all()
    assert recorder.counts == (1, 1, 0)


def test_a_keyframe_without_room_is_missing_until_it_comes_again() -> None:
    recorder = Recorder(backlog=2)
    for index in range(4):
        recorder.take('fast', index, 'a')
    recorder.take('slow', 0, 'a')
    fast = recorder.stream('fast')
    # 2 and 3 were refused, and 1 gave way to the slow one, though it had been heard.
    assert sorted(fast.missing) == [1, 2, 3]
    assert (fast.received, fast.dropped, fast.waiting, recorder.intake.waiting) == (4, 3, 1, 2)
    assert recorder.sentences[0].startswith(
        "note: keyframe put off: 2 are waiting, and it is one of 'fast'; a keyframe node "
        'sends it again when there is room'
    )
    recorder.queue.run_all()
    recorder.take('fast', 3, 'a')
    recorder.take('fast', 1, 'a')
    recorder.take('fast', 2, 'a')
    assert recorder.stream('fast').missing == {2: True}, 'there was room for two'
    recorder.queue.run_all()
    recorder.take('fast', 2, 'a')
    recorder.queue.run_all()
    fast = recorder.stream('fast')
    assert (fast.received, fast.integrated, fast.dropped, fast.missing) == (4, 4, 0, {})
    assert fast.repeated == 0
    assert recorder.counts == (5, 5, 0)


def test_the_first_keyframe_of_a_stream_may_find_no_room() -> None:
    recorder = Recorder(backlog=1)
    recorder.take('slow', 0, 'a')
    recorder.take('front', 5, 'a')
    assert (recorder.counts, recorder.stream('front').missing[5]) == ((2, 0, 1), True)
    recorder.queue.run_all()
    recorder.take('front', 5, 'a')
    assert recorder.counts == (2, 1, 0)


def test_what_waited_for_the_map_before_may_give_way_in_the_next_one_and_counts_once() -> None:
    recorder = Recorder(backlog=3)
    for index in range(3):
        recorder.take('fast', index, 'a')
    recorder.intake.reset()
    recorder.take('slow', 0, 'a')
    assert (recorder.counts, recorder.stream('fast').missing) == ((4, 0, 1), {2: True})
    recorder.queue.run_all()
    # Its first number in this map is a later one.
    recorder.take('fast', 3, 'a')
    assert recorder.stream('fast').missing == {2: True, 0: False, 1: False}
    recorder.take('fast', 2, 'a')
    recorder.queue.run_all()
    assert recorder.counts == (5, 5, 0)


def test_absurd_numbers_stay_within_bounds() -> None:
    recorder = Recorder(backlog=20)
    for index in (2**32 - 5, 2**32 - 1):
        recorder.take('front', index, 'a')
    assert len(recorder.stream('front').missing) == MOST_MISSING
    for number in range(3 * MOST_STREAMS):
        recorder.take(f'camera {number}', 0, 'a')
        recorder.queue.run_all()
    assert len(recorder.intake.streams()) == MOST_STREAMS


def test_two_cameras_of_one_name_are_told_and_kept_apart() -> None:
    recorder = Recorder(backlog=20)
    for index in range(3):
        recorder.take('front', index, 'a')
    recorder.take('front', 0, 'b')
    assert not recorder.sentences, 'it may have been started again'
    recorder.take('front', 3, 'a')
    assert recorder.sentences == [
        "clash: two nodes send keyframes as 'front': they are kept apart as 'front' and "
        "'front#2'; give each a name or namespace of its own"
    ]
    recorder.queue.run_all()
    assert sorted(recorder.done) == ['front'] * 4 + ['front#2']
    assert recorder.counts == (5, 5, 0)


def test_a_camera_that_starts_again_is_no_second_camera() -> None:
    now, said = [0.0], []
    streams = Streams(said.append, lambda: now[0])
    for run in ('a', 'b', 'c'):
        for _ in range(3):
            streams.hear('front', run)
            now[0] += 1
    # A recording of all three that starts again an hour later.
    now[0] += 3600
    streams.hear('front', 'a')
    assert not said
    assert streams.named('front', 'b') == 'front#2'
    assert streams.named('rear', 'x') == 'rear'
