"""Scenes in several processes of one thread each.

One thread in every process, also where there is only one: sums over threads differ in their last
bits, and a scene would otherwise give other numbers on another machine. Processes are spawned,
since neither OpenGL nor OpenMP survives a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

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
STOP_S = 5.0


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


def each_seed(
    make_work: Callable[[], Work[Result]], seeds: Sequence[int], jobs: int, advance: Advance
) -> Generator[tuple[int, Result], None, None]:
    """Does all scenes; yields seeds with their results as they come, in no fixed order.

    Args:
        make_work: Called once in each process; it, its results and their errors are pickled.
        seeds: Scenes.
        jobs: Number of processes.
        advance: Told of what is done, in this process.

    Raises:
        ChildProcessError: A scene failed; the message names it and says why. The other processes
            are ended, as they are when the iterator is closed.
    """
    waiting = list(reversed(seeds))
    context = multiprocessing.get_context('spawn')
    busy: dict[Connection, int] = {}
    processes: dict[Connection, Any] = {}
    try:
        with _environment(ONE_THREAD):
            for _ in range(min(jobs, len(seeds))):
                here, there = context.Pipe()
                process = context.Process(target=_serve, args=(there, make_work), daemon=True)
                process.start()
                there.close()  # so that the end of the process is the end of the pipe
                processes[here] = process
        for connection in processes:
            _give(connection, waiting, busy)
        while busy:
            ready = set(wait(list(busy)))
            for connection in [each for each in busy if each in ready]:
                seed = busy[connection]
                kind, content = _hear(connection, processes[connection], seed)
                if kind == 'done':
                    yield seed, content
                    _give(connection, waiting, busy)
                elif kind == 'advance':
                    advance(*content)
                else:
                    raise ChildProcessError(f'seed {seed}: {content}')
    finally:
        _end(processes)


def _give(connection: Connection, waiting: list[int], busy: dict[Connection, int]) -> None:
    """Hands the next scene to a process, or lets it go."""
    busy.pop(connection, None)
    if waiting:
        busy[connection] = waiting.pop()
        # A process that is gone is noticed when it is listened to.
        with contextlib.suppress(OSError):
            connection.send(busy[connection])


def _hear(connection: Connection, process: Any, seed: int) -> tuple[str, Any]:
    try:
        kind, content = connection.recv()
    except (EOFError, OSError):
        process.join(STOP_S)
        why = f'its process ended with code {process.exitcode}'
        if process.exitcode == -signal.SIGKILL:
            why += '; is there memory for fewer --jobs only?'
        return 'failed', why
    return kind, content


def _end(processes: dict[Connection, Any]) -> None:
    for connection, process in processes.items():
        process.terminate()
        connection.close()
    for process in processes.values():
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(connection: Connection, make_work: Callable[[], Work[Any]]) -> None:
    """Does scenes until there are no more; runs in a process of its own."""
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        work: Work[Any] | None = None
        while True:
            seed = connection.recv()
            try:
                work = work or make_work()
                result = work(
                    seed, lambda amount, text: connection.send(('advance', (amount, text)))
                )
                connection.send(('done', result))
            except Exception as error:
                connection.send(('failed', f'{type(error).__name__}: {error}'))


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
