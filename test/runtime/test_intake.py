"""Keyframes on their way into the map: every one is counted, none is half taken in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from lerf_ros.runtime.intake import Intake


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


def make(backlog: int = 2) -> tuple[Intake, Queue, list[str], list[str]]:
    queue, sentences, done = Queue(), [], []
    intake = Intake(
        queue.submit,
        backlog,
        sentences.append,
        lambda sentence: sentences.append(f'note: {sentence}'),
        lambda keyframe: done.append(f'{keyframe} integrated'),
    )
    return intake, queue, sentences, done


def counts(intake: Intake) -> tuple[int, int, int]:
    return intake.received, intake.integrated, intake.dropped


def test_jobs_run_in_order_and_the_keyframe_counts_at_the_end() -> None:
    intake, queue, _, done = make()
    log: list[str] = []
    intake.take(lambda: 'k', lambda k: [lambda: log.append('level'), lambda: log.append('add')])
    assert counts(intake) == (1, 0, 0)
    queue.run_all()
    assert log == ['level', 'add']
    assert done == ['k integrated']
    assert counts(intake) == (1, 1, 0)


def test_too_many_waiting_keyframes_are_dropped_and_said() -> None:
    intake, queue, sentences, _ = make(backlog=2)
    for _ in range(5):
        intake.take(lambda: 'k', lambda k: [lambda: None])
    assert counts(intake) == (5, 0, 3)
    assert sentences[0].startswith('note: keyframe dropped: 2 are waiting')
    queue.run_all()
    assert counts(intake) == (5, 2, 3)
    intake.take(lambda: 'k', lambda k: [lambda: None])
    queue.run_all()
    assert counts(intake) == (6, 3, 3)


def test_a_malformed_keyframe_is_dropped_with_its_sentence() -> None:
    intake, _, sentences, _ = make(backlog=1)

    def broken() -> str:
        raise ValueError('image: expected JPEG')

    for _ in range(3):
        intake.take(broken, lambda k: [])
    assert counts(intake) == (3, 0, 3)
    assert sentences[0] == 'image: expected JPEG'


def test_a_job_that_fails_stops_the_rest_of_its_keyframe() -> None:
    intake, queue, sentences, done = make()
    log: list[str] = []

    def fails() -> None:
        raise RuntimeError('out of memory')

    intake.take(lambda: 'a', lambda k: [fails, lambda: log.append('a added')])
    intake.take(lambda: 'b', lambda k: [lambda: log.append('b added')])
    queue.run_all()
    assert log == ['b added']
    assert counts(intake) == (2, 1, 1)
    assert done == ['b integrated']
    assert sentences == ['keyframe dropped: out of memory']


def test_reset_counts_what_still_waits() -> None:
    intake, queue, _, _ = make()
    intake.take(lambda: 'k', lambda k: [lambda: None])
    intake.reset()
    assert counts(intake) == (1, 0, 0)
    queue.run_all()
    assert counts(intake) == (1, 1, 0)
