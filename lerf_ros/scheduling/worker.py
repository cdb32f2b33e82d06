"""The one thread that owns the device.

Everything that touches the field is a job. Before each training step the worker takes, in this
order: all control jobs, queries for up to four times as long as a step, intake jobs for half as
long as one, and pictures that nobody asked for singly for a quarter. So neither learning nor a
fast camera starves, however many ask, and neither do pictures behind a full backlog. A query that
comes alone waits for one step or one other job at most.
"""

from __future__ import annotations

import enum
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar('T')
Report = TypeVar('Report')

_log = logging.getLogger(__name__)


class Priority(enum.IntEnum):
    """Order of jobs; lower first."""

    CONTROL = 0
    QUERY = 1
    INGEST = 2
    PICTURE = 3


CONTROL, QUERY, INGEST, PICTURE = Priority

# Time for jobs after each step, in times of that step; one job of each kind always runs.
SHARES = {CONTROL: math.inf, QUERY: 4.0, INGEST: 0.5, PICTURE: 0.25}
# How often a worker without jobs looks whether there is something to train on.
IDLE_S = 0.2


class WorkerStopped(RuntimeError):
    """The worker has ended; the job was not run."""


class Worker(Generic[Report]):
    """Runs jobs and training steps in one thread.

    Args:
        step: Trains one step.
        ready: Tells whether there is something to train on.
        on_step: Called in the worker's thread with the report of each step.

    Attributes:
        error: What made a step fail, if one has. Jobs are run all the same.
    """

    def __init__(
        self,
        step: Callable[[], Report],
        ready: Callable[[], bool],
        on_step: Callable[[Report], None] | None = None,
    ) -> None:
        self._step, self._ready, self._on_step = step, ready, on_step
        self._jobs: dict[Priority, deque[tuple[Callable[[], object], Future]]] = {
            priority: deque() for priority in Priority
        }
        self._changed = threading.Condition()
        self._stopping = False
        self._paused = False
        self._trained = False
        self._step_s = 0.0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name='lerf-worker', daemon=True)

    @property
    def state(self) -> str:
        """'WAITING' for keyframes, 'TRAINING', 'PAUSED' or 'FAILED'."""
        if self.error is not None:
            return 'FAILED'
        if self._paused:
            return 'PAUSED'
        return 'TRAINING' if self._trained else 'WAITING'

    @property
    def pending(self) -> int:
        """Number of jobs that wait."""
        return sum(map(len, self._jobs.values()))

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ends the thread after the current job; jobs that wait get :class:`WorkerStopped`.

        Returns:
            Whether the thread ended in time.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._refuse_all(WorkerStopped('the worker has stopped'))
        return not self._thread.is_alive()

    def pause(self) -> None:
        """Stops training; jobs are still run."""
        self._paused = True

    def resume(self) -> None:
        """Goes on training, also after a failure."""
        self._paused = False
        self.revive()

    def revive(self) -> None:
        """Forgets a failure, as when it may have been mended."""
        with self._changed:
            self.error = None
            self._changed.notify()

    def begin_anew(self) -> None:
        """Forgets a failure and that anything was ever learned: the map has been replaced."""
        self._trained = False
        self.revive()

    def submit(self, job: Callable[[], T], priority: Priority = Priority.QUERY) -> Future[T]:
        """Queues a job and returns its future result; an error of the job is the future's."""
        future: Future[T] = Future()
        with self._changed:
            if self._stopping:
                future.set_exception(WorkerStopped('the worker has stopped'))
            else:
                self._jobs[priority].append((job, future))
                self._changed.notify()
        return future

    def _run(self) -> None:
        while not self._stopping:
            self._run_jobs()
            if self._stopping or self._rests():
                continue
            started = time.perf_counter()
            try:
                report = self._step()
                self._step_s = time.perf_counter() - started
                self._trained = True
                if self._on_step is not None:
                    self._on_step(report)
            except Exception as error:
                self._fail(error)
        self._refuse_all(WorkerStopped('the worker has stopped'))

    def _fail(self, error: Exception) -> None:
        _log.error('learning has failed; what was learned still answers', exc_info=error)
        self.error = error

    def _rests(self) -> bool:
        if self._paused or self.error is not None:
            return True
        try:
            return not self._ready()
        except Exception as error:
            self._fail(error)
            return True

    def _run_jobs(self) -> None:
        """Runs what waits, each kind for its share of a step; rests while nothing is to do."""
        spent_s = dict.fromkeys(Priority, 0.0)
        while not self._stopping:
            idle = self._rests()
            priority = self._next_kind({} if idle else spent_s, IDLE_S if idle else 0.0)
            if priority is None:
                return
            job, future = self._jobs[priority].popleft()
            started = time.perf_counter()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)
            spent_s[priority] += time.perf_counter() - started

    def _next_kind(self, spent_s: dict[Priority, float], patience_s: float) -> Priority | None:
        """Returns the first kind of job that waits and has not used up its share, if any."""

        def find() -> Priority | None:
            for priority, share in SHARES.items():
                spent = spent_s.get(priority, 0.0)
                if self._jobs[priority] and (spent == 0 or spent < share * self._step_s):
                    return priority
            return None

        with self._changed:
            if find() is None and not self._stopping:
                self._changed.wait(patience_s)
            return find()

    def _refuse_all(self, error: Exception) -> None:
        """Answers every job that waits."""
        with self._changed:
            waiting = [future for jobs in self._jobs.values() for _, future in jobs]
            for jobs in self._jobs.values():
                jobs.clear()
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
