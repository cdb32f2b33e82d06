"""A live map and the one thread that may touch it."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from lerf_ros.config import LerfConfig
from lerf_ros.maps.submap import Submap
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.rate import Rate
from lerf_ros.scheduling.worker import Priority, Worker
from lerf_ros.training.trainer import StepReport

T = TypeVar('T')


class MapHost:
    """Owns the map; everything that touches it is a job of its worker.

    Args:
        config: All options.

    Attributes:
        map: The live map; to be touched in jobs only, but for plain numbers.
        steps: Rate of training steps.
        loss: Loss of the last step, NaN before the first.
    """

    def __init__(self, config: LerfConfig) -> None:
        self.map = Submap(config)
        self.steps = Rate()
        self.loss = math.nan
        self._worker: Worker[StepReport] = Worker(
            lambda: self.map.step(), lambda: self.map.ready(), self._on_step
        )
        self._worker.start()

    def _on_step(self, report: StepReport) -> None:
        self.steps.tick()
        self.loss = report.loss

    @property
    def state(self) -> str:
        """'WAITING', 'TRAINING', 'PAUSED' or 'FAILED'."""
        return self._worker.state

    @property
    def error(self) -> Exception | None:
        """What made a training step fail."""
        return self._worker.error

    @property
    def steps_per_second(self) -> float:
        """Training steps a second; 0 while none is done."""
        return self.steps.hz if self.steps.age_s < 2 else 0.0

    def submit(self, job: Callable[[], T], priority: Priority) -> Future[T]:
        """Queues a job."""
        return self._worker.submit(job, priority)

    def run(self, job: Callable[[], T], priority: Priority, timeout_s: float) -> T:
        """Runs a job in the worker and waits for it.

        Raises:
            TimeoutError: It took too long; if it still waits it is not run.
        """
        return _wait(self.submit(job, priority), timeout_s)

    def start(self, pieces: Pieces[T], priority: Priority) -> Future[T]:
        """Begins long work that is cut into pieces, each a job; returns its future result.

        A piece is queued when the one before it has ended, behind whatever waits by then: a
        question asked meanwhile waits for one piece. Cancelling the future ends the work.
        """
        done: Future[T] = Future()

        def advance() -> None:
            if done.cancelled():
                pieces.close()
                return
            try:
                next(pieces)
            except StopIteration as stop:
                _settle(done, stop.value, None)
            except Exception as error:
                _settle(done, None, error)
            else:
                queue()

        def queue() -> None:
            self.submit(advance, priority).add_done_callback(refused)

        def refused(job: Future[None]) -> None:
            # Jobs that wait when the worker ends are not run.
            if (error := job.exception()) is not None:
                _settle(done, None, error)

        queue()
        return done

    def run_pieces(self, pieces: Pieces[T], priority: Priority, timeout_s: float) -> T:
        """Does long work piece by piece and waits for it.

        Raises:
            TimeoutError: It took too long; it is given up.
        """
        return _wait(self.start(pieces, priority), timeout_s)

    def pause(self) -> None:
        """Stops learning; jobs are still run."""
        self._worker.pause()

    def resume(self) -> None:
        """Goes on learning."""
        self._worker.resume()

    def revive(self) -> None:
        """Forgets a failure: the map has been replaced."""
        self._worker.revive()

    def stop(self, timeout_s: float) -> bool:
        """Ends the worker; whoever waits for it gets an error. Tells whether it ended in time."""
        return self._worker.stop(timeout_s)


def _wait(future: Future[T], timeout_s: float) -> T:
    try:
        return future.result(timeout_s)
    except FutureTimeoutError:
        future.cancel()
        raise FutureTimeoutError(f'no answer within {timeout_s:g} s') from None


def _settle(future: Future[T], result: T | None, error: BaseException | None) -> None:
    """Sets a future unless it has been given up."""
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(result)  # type: ignore[arg-type]
    else:
        future.set_exception(error)
