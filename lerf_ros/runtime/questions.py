"""Work that clients wait for: bounded in number and in time, holding no thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


class BusyError(RuntimeError):
    """Too many questions wait already."""


@dataclass(eq=False)
class _Waiting(Generic[T]):
    deadline_s: float
    work: Future[T]
    answer: Future[T]


class Questions:
    """Admits questions while not too many wait, and gives up those that wait too long.

    Args:
        limit: Returns how many may wait.
        timeout_s: Returns how long one may wait.
    """

    def __init__(self, limit: Callable[[], int], timeout_s: Callable[[], float]) -> None:
        self._limit, self._timeout_s = limit, timeout_s
        self._lock = threading.Lock()
        self._waiting: set[_Waiting] = set()
        self._admitted = 0

    @property
    def waiting(self) -> int:
        """Number of questions that wait."""
        return self._admitted

    def admit(self, begin: Callable[[], Future[T]]) -> Future[T]:
        """Begins work that somebody waits for.

        Returns:
            Its result, or a TimeoutError as soon as :meth:`expire` finds that it took too long.

        Raises:
            BusyError: Too many wait already; the work is not begun.
        """
        with self._lock:
            if self._admitted >= self._limit():
                raise BusyError(f'{self._admitted} questions are waiting: ask again in a moment')
            self._admitted += 1
        try:
            work = begin()
        except BaseException:
            with self._lock:
                self._admitted -= 1
            raise
        entry = _Waiting(time.monotonic() + self._timeout_s(), work, Future())
        with self._lock:
            self._waiting.add(entry)
        work.add_done_callback(lambda _: self._finish(entry))
        return entry.answer

    def expire(self) -> None:
        """Gives up what has waited too long; to be called now and then."""
        now = time.monotonic()
        with self._lock:
            late = [entry for entry in self._waiting if entry.deadline_s < now]
        for entry in late:
            self._settle(entry, FutureTimeoutError(f'no answer within {self._timeout_s():g} s'))
            # What has not begun never will; what is being worked on ends with nobody waiting.
            entry.work.cancel()

    def _finish(self, entry: _Waiting) -> None:
        self._settle(entry, None)

    def _settle(self, entry: _Waiting, error: Exception | None) -> None:
        with self._lock:
            if entry not in self._waiting:
                return
            self._waiting.remove(entry)
            self._admitted -= 1
        if error is None and entry.work.cancelled():
            error = FutureTimeoutError('the question was given up')
        error = error or entry.work.exception()  # type: ignore[assignment]
        if error is not None:
            entry.answer.set_exception(error)
        else:
            entry.answer.set_result(entry.work.result())
