"""Frames on their way into the map, counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, runtime_checkable

from lerf_ros.frames import Keyframe, PosedFrame
from lerf_ros.scheduling.worker import WorkerStopped

Submit = Callable[[Callable[[], Any]], 'Future[Any]']


@runtime_checkable
class IngestJobs(Protocol):
    """Cuts the intake of a frame into short jobs; the last one returns the keyframe."""

    def __call__(self, frame: PosedFrame, source: str) -> list[Callable[[], Any]]:
        """Returns the jobs, to be run in this order."""
        ...


class Intake:
    """Hands the short jobs of each frame to the worker and counts what became of them.

    Whatever is sent is integrated, dropped, or waits: nothing goes uncounted.

    Args:
        submit: Queues a job of the worker.
        jobs: Cuts the intake of a frame into jobs.
        backlog: Frames that may wait; further ones are dropped.

    Attributes:
        received: Frames that came.
        integrated: Frames that are in the map.
        dropped: Frames that were refused, overtaken or failed, or were lost on their way here.
        on_complaint: Called with a sentence when a frame is malformed or its intake fails.
        on_note: Called with a sentence when frames are dropped because too many wait, or are lost.
        on_integrated: Called in the worker's thread with each keyframe that is in the map.
    """

    def __init__(self, submit: Submit, jobs: IngestJobs, backlog: int) -> None:
        self._submit, self._jobs, self._backlog = submit, jobs, backlog
        self._lock = threading.Lock()
        self._waiting = 0
        self._last_index: dict[str, int] = {}
        self.received = self.integrated = self.dropped = 0
        self.on_complaint: Callable[[str], None] = lambda sentence: None
        self.on_note: Callable[[str], None] = lambda sentence: None
        self.on_integrated: Callable[[Keyframe], None] = lambda keyframe: None

    def reset(self) -> None:
        """Counts from zero again; frames that wait still count when they arrive."""
        with self._lock:
            self.received = self._waiting
            self.integrated = self.dropped = 0

    def take(
        self, make_frame: Callable[[], PosedFrame], source: str, index: int | None = None
    ) -> None:
        """Takes one frame in, unless too many wait or it is malformed.

        Args:
            make_frame: Decodes the frame; raises ValueError where it is malformed.
            source: Name of the camera.
            index: Running number of the frame at its source; a gap is a lost frame.
        """
        if index is not None:
            self._count_lost(source, index)
        with self._lock:
            self.received += 1
            full = self._waiting >= self._backlog
            self._waiting += not full
            self.dropped += full
        if full:
            self.on_note(
                f'keyframe dropped: {self._backlog} are waiting; drive slower, or raise '
                'keyframes.min_translation_m'
            )
            return
        try:
            jobs = self._jobs(make_frame(), source)
        except ValueError as error:
            self._leave(integrated=False)
            self.on_complaint(str(error))
            return
        self._queue(jobs)

    def _count_lost(self, source: str, index: int) -> None:
        """Counts what is missing before a frame; a source that starts again has lost nothing."""
        with self._lock:
            last = self._last_index.get(source)
            self._last_index[source] = index
            lost = 0 if last is None else max(0, index - last - 1)
            self.dropped += lost
        if lost:
            self.on_note(f'{lost} keyframes of {source!r} were lost before number {index}')

    def _queue(self, jobs: list[Callable[[], Any]]) -> None:
        failed = threading.Event()

        def guarded(job: Callable[[], Any]) -> Callable[[], Any]:
            def run() -> Any:
                if failed.is_set():
                    return None
                try:
                    return job()
                except BaseException:
                    failed.set()
                    raise

            return run

        def last() -> None:
            self.on_integrated(jobs[-1]())

        futures = [self._submit(guarded(job)) for job in (*jobs[:-1], last)]
        for future in futures:
            future.add_done_callback(self._note_error)
        futures[-1].add_done_callback(
            lambda future: self._leave(not failed.is_set() and future.exception() is None)
        )

    def _note_error(self, future: Future[Any]) -> None:
        error = future.exception()
        # A worker that stops or fails says so itself, once and not for every job.
        if error is not None and not isinstance(error, WorkerStopped):
            self.on_complaint(f'keyframe dropped: {error}')

    def _leave(self, integrated: bool) -> None:
        with self._lock:
            self._waiting -= 1
            self.integrated += integrated
            self.dropped += not integrated
