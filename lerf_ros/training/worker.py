"""The one thread that owns the device.

Everything that touches the field is a job. Before each training step the worker takes, in this
order: all control jobs, all queries, then intake jobs for about half as long as a step, so that
neither learning nor a fast camera starves. A query waits for one step or one intake job at most.
"""

from __future__ import annotations

import enum
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar('T')
Report = TypeVar('Report')

_log = logging.getLogger(__name__)

# Time for intake after each step, as a share of the step.
INTAKE_SHARE = 0.5


class Priority(enum.IntEnum):
    """Order of jobs; lower first."""

    CONTROL = 0
    QUERY = 1
    INGEST = 2


CONTROL, QUERY, INGEST = Priority


class WorkerStopped(RuntimeError):
    """The worker has ended or failed; the job was not run."""


class Worker(Generic[Report]):
    """Runs jobs and training steps in one thread.

    Args:
        step: Trains one step.
        ready: Tells whether there is something to train on.
        on_step: Called in the worker's thread with the report of each step.
    """

    def __init__(
        self,
        step: Callable[[], Report],
        ready: Callable[[], bool],
        on_step: Callable[[Report], None] | None = None,
    ) -> None:
        self._step, self._ready, self._on_step = step, ready, on_step
        self._jobs: queue.PriorityQueue = queue.PriorityQueue()
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._stopping = False
        self._paused = False
        self._trained = False
        self._step_s = 0.0
        self.error: BaseException | None = None
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
        return self._jobs.qsize()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ends the thread after the current job; jobs that wait get :class:`WorkerStopped`.

        Returns:
            Whether the thread ended in time.
        """
        with self._lock:
            self._stopping = True
        self._jobs.put((-1, next(self._order), None, None))
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._refuse_all(WorkerStopped('the worker has stopped'))
        return not self._thread.is_alive()

    def pause(self) -> None:
        """Stops training; jobs are still run."""
        self._paused = True

    def resume(self) -> None:
        """Goes on training."""
        self._paused = False
        self._jobs.put((-1, next(self._order), None, None))

    def submit(self, job: Callable[[], T], priority: Priority = Priority.QUERY) -> Future[T]:
        """Queues a job and returns its future result; an error of the job is the future's."""
        future: Future[T] = Future()
        with self._lock:
            if self._stopping or self.error is not None:
                future.set_exception(WorkerStopped(self._why_stopped()))
            else:
                self._jobs.put((int(priority), next(self._order), job, future))
        return future

    def _why_stopped(self) -> str:
        return f'training has failed: {self.error}' if self.error else 'the worker has stopped'

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._run_jobs()
                if self._stopping:
                    break
                if not self._paused and self._ready():
                    started = time.perf_counter()
                    report = self._step()
                    self._step_s = time.perf_counter() - started
                    self._trained = True
                    if self._on_step is not None:
                        self._on_step(report)
        except BaseException as error:
            _log.exception('the worker has failed')
            with self._lock:
                self.error = error
            self._refuse_all(WorkerStopped(self._why_stopped()))
        else:
            self._refuse_all(WorkerStopped('the worker has stopped'))

    def _run_jobs(self) -> None:
        """Runs what waits, intake for a share of a step; sleeps while there is nothing to do."""
        intake_s = 0.0
        while not self._stopping:
            idle = self._paused or not self._ready()
            try:
                # The timeout notices a source of data that became ready without a job.
                item = self._jobs.get(block=idle, timeout=0.2 if idle else None)
            except queue.Empty:
                return
            priority, _, job, future = item
            if job is None:
                continue
            started = time.perf_counter()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)
            if priority == Priority.INGEST:
                intake_s += time.perf_counter() - started
                if intake_s >= INTAKE_SHARE * self._step_s:
                    return

    def _refuse_all(self, error: Exception) -> None:
        """Answers every job that waits."""
        while True:
            try:
                _, _, job, future = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None and future.set_running_or_notify_cancel():
                future.set_exception(error)
