"""Scenes in several processes, one scene and one thread in each.

One thread also where there is one process only: sums over threads differ in their last bits, and a
scene would otherwise give other numbers on another machine. A process of its own for each scene,
since even the alignment of memory, which depends on what was done before, can change a last bit.
Processes are spawned: neither OpenGL nor OpenMP survives a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

Result = TypeVar('Result')
Advance = Callable[[float, str], None]
# Does one scene: takes its seed and whom to tell of what is done.
Work = Callable[[int, Advance], Result]

# Libraries read these once, when they are loaded. OMP counts for torch and for our own library,
# LP for the OpenGL of Mesa.
ONE_THREAD = {
    'OMP_NUM_THREADS': '1',
    'OMP_WAIT_POLICY': 'PASSIVE',
    'OPENBLAS_NUM_THREADS': '1',
    'MKL_NUM_THREADS': '1',
    'OPENCV_FOR_THREADS_NUM': '1',
    'LP_NUM_THREADS': '0',
}
# How often progress is looked for.
LOOK_S = 0.1
# In the process of a scene: where progress goes.
_channel: Connection | None = None


def cores() -> int:
    """Returns the number of processor cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require_jobs(jobs: int | None) -> int:
    """Returns the number of processes, by default one a core.

    Raises:
        ValueError: The number is below 1.
    """
    if jobs is None:
        return cores()
    if jobs < 1:
        raise ValueError(f'jobs: expected at least 1, got {jobs}')
    return jobs


def each_seed_here(
    make_work: Callable[[], Work[Result]], seeds: Sequence[int], advance: Advance
) -> Generator[tuple[int, Result], None, None]:
    """Does all scenes in this process, with all of its threads; else as `each_seed`."""
    work = make_work()
    for seed in seeds:
        yield seed, work(seed, advance)


def each_seed(
    make_work: Callable[[], Work[Result]], seeds: Sequence[int], jobs: int, advance: Advance
) -> Generator[tuple[int, Result], None, None]:
    """Does all scenes; yields seeds with their results as they come, in no fixed order.

    Args:
        make_work: Called in each process; it, its results and their errors are pickled.
        seeds: Scenes.
        jobs: Number of processes at a time.
        advance: Told of what is done, in this process.

    Raises:
        ChildProcessError: A scene failed; the message names it and says why. The other processes
            are ended, as they are when the iterator is closed.
    """
    waiting = list(reversed(seeds))
    running: list[_Scene[Result]] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_Scene(make_work, waiting.pop()))
            wait([scene.future for scene in running], LOOK_S, FIRST_COMPLETED)
            for scene in list(running):
                done = scene.future.done()  # before the last of its progress is heard
                scene.hear(advance)
                if done:
                    running.remove(scene)
                    result = scene.result()
                    scene.close()
                    yield scene.seed, result
    finally:
        for scene in running:
            scene.close()


def summed_up(
    done: Generator[tuple[int, Result], None, None],
    seeds: Sequence[int],
    summary_of: Callable[[list[Result]], dict[str, Any]],
    on_scene: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[dict[str, Any], list[Result]]:
    """Sums up the results of scenes, anew after each one.

    Args:
        done: Seeds with their results as they come; closed at the end and on an error.
        seeds: All scenes.
        summary_of: Makes a summary of the results so far, given in the order of the seeds.
        on_scene: Given each summary, so that a run that is stopped leaves one.

    Returns:
        The last summary, and all results in the order of the seeds.
    """
    results: dict[int, Result] = {}
    ordered: list[Result] = []
    summary: dict[str, Any] = {}
    with contextlib.closing(done):
        for seed, result in done:
            results[seed] = result
            ordered = [results[each] for each in seeds if each in results]
            summary = summary_of(ordered)
            if on_scene is not None:
                on_scene(summary)
    return summary, ordered


class _Scene(Generic[Result]):
    """One scene in a process of its own, which ends with this object or with this process."""

    def __init__(self, make_work: Callable[[], Work[Result]], seed: int) -> None:
        self.seed = seed
        context = multiprocessing.get_context('spawn')
        # It carries progress, and its end tells the other process to end.
        self._channel, there = context.Pipe()
        # A pool of one, used once: what one process did must not change the next scene's bits.
        self._pool = ProcessPoolExecutor(1, context, _enter, (there,))
        with _environment(ONE_THREAD):
            self.future: Future[Result] = self._pool.submit(_work, make_work, seed)
        there.close()

    def hear(self, advance: Advance) -> None:
        """Passes on the progress made since."""
        with contextlib.suppress(EOFError, OSError):
            while self._channel.poll():
                advance(*self._channel.recv())

    def result(self) -> Result:
        """Returns the result.

        Raises:
            ChildProcessError: The scene failed.
        """
        try:
            return self.future.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                f'seed {self.seed}: its process was ended; is there memory for fewer --jobs only?'
            ) from error
        except Exception as error:
            raise ChildProcessError(
                f'seed {self.seed}: {type(error).__name__}: {error}'
            ) from error
        finally:
            self.close()

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self._channel.close()
        self._pool.shutdown(cancel_futures=True)


def _enter(channel: Connection) -> None:
    """Prepares the process of a scene."""
    global _channel
    _channel = channel
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(channel,), daemon=True).start()


def _end_with(channel: Connection) -> None:
    """Ends this process when the other end of a channel is closed, or its process gone."""
    with contextlib.suppress(EOFError, OSError):
        channel.recv()
    os._exit(1)


def _work(make_work: Callable[[], Work[Any]], seed: int) -> Any:
    """Does one scene, in its process."""
    assert _channel is not None
    channel = _channel
    return make_work()(seed, lambda amount, text: channel.send((amount, text)))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def peak_rss_mb() -> float:
    """Returns the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
