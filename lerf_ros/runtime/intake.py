"""Keyframe messages on their way into the map, counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from lerf_ros.frames import Keyframe
from lerf_ros.scheduling.worker import WorkerStopped

Submit = Callable[[Callable[[], None]], 'Future[None]']


class Intake:
    """Hands the short jobs of each keyframe to the worker and counts what became of them.

    Args:
        submit: Queues a job of the worker.
        backlog: Keyframes that may wait; further ones are dropped.
        complain: Called with a sentence when a keyframe is malformed or its intake fails.
        note: Called with a sentence when a keyframe is dropped because too many wait.
        on_integrated: Called in the worker's thread with each keyframe that is in the map.

    Attributes:
        received: Keyframes that came.
        integrated: Keyframes that are in the map.
        dropped: Keyframes that were refused, overtaken or failed.
    """

    def __init__(
        self,
        submit: Submit,
        backlog: int,
        complain: Callable[[str], None],
        note: Callable[[str], None],
        on_integrated: Callable[[Keyframe], None],
    ) -> None:
        self._submit, self._backlog = submit, backlog
        self._complain, self._note, self._on_integrated = complain, note, on_integrated
        self._lock = threading.Lock()
        self._waiting = 0
        self.received = self.integrated = self.dropped = 0

    def reset(self) -> None:
        """Counts from zero again; keyframes that wait still count when they arrive."""
        with self._lock:
            self.received = self._waiting
            self.integrated = self.dropped = 0

    def take(
        self, make_keyframe: Callable[[], Keyframe], jobs: Callable[[Keyframe], list[Any]]
    ) -> None:
        """Takes one keyframe in, unless too many wait or it is malformed."""
        with self._lock:
            self.received += 1
            full = self._waiting >= self._backlog
            self._waiting += not full
        if full:
            self._drop()
            self._note(
                f'keyframe dropped: {self._backlog} are waiting; drive slower, or raise '
                'keyframes.min_translation_m'
            )
            return
        try:
            keyframe = make_keyframe()
        except ValueError as error:
            self._leave()
            self._drop()
            self._complain(str(error))
            return
        self._queue(keyframe, jobs(keyframe))

    def _queue(self, keyframe: Keyframe, jobs: list[Callable[[], None]]) -> None:
        failed = threading.Event()

        def guarded(job: Callable[[], None]) -> Callable[[], None]:
            def run() -> None:
                if failed.is_set():
                    return
                try:
                    job()
                except BaseException:
                    failed.set()
                    raise

            return run

        def last() -> None:
            jobs[-1]()
            self._on_integrated(keyframe)

        futures = [self._submit(guarded(job)) for job in (*jobs[:-1], last)]
        for future in futures:
            future.add_done_callback(self._note_error)
        futures[-1].add_done_callback(lambda future: self._finish(failed, future))

    def _note_error(self, future: Future[None]) -> None:
        error = future.exception()
        # A worker that stops or fails says so itself, once and not for every job.
        if error is not None and not isinstance(error, WorkerStopped):
            self._complain(f'keyframe dropped: {error}')

    def _finish(self, failed: threading.Event, last: Future[None]) -> None:
        self._leave()
        with self._lock:
            if failed.is_set() or last.exception() is not None:
                self.dropped += 1
                return
            self.integrated += 1

    def _leave(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1
