"""The one thread of a browser's session, and what waits for it: what a person did goes first."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]

# What a person did, before what only keeps the page up to date.
PERSON, UPKEEP = 0, 1
_END = -1


class Jobs:
    """Runs jobs one after another in a thread of its own.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._waiting: queue.PriorityQueue[tuple[int, int, Job | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, urgency: int = PERSON) -> None:
        """Queues a job, which tells of its own errors; after :meth:`close` it is dropped."""
        if not self._closed:
            self._waiting.put((urgency, next(self._numbers), job))

    def close(self) -> None:
        """Ends the thread after the job that runs; those that wait are dropped."""
        self._closed = True
        self._waiting.put((_END, next(self._numbers), None))

    def _run(self) -> None:
        while True:
            job = self._waiting.get()[2]
            if job is None or self._closed:
                return
            job()
            # What it held is not to outlive it.
            del job
