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
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
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
        make_work: Called in each process; it, its results and their errors are pickled.
        seeds: Scenes.
        jobs: Number of processes at a time.
        advance: Told of what is done, in this process.

    Raises:
        ChildProcessError: A scene failed; the message names it and says why. The other processes
            are ended, as they are when the iterator is closed.
    """
    waiting = list(reversed(seeds))
    busy: dict[Connection, tuple[int, SpawnProcess]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                seed = waiting.pop()
                connection, process = _start(make_work, seed)
                busy[connection] = seed, process
            ready = set(wait(list(busy)))
            for connection in [each for each in busy if each in ready]:
                seed, process = busy[connection]
                kind, content = _hear(connection, process)
                if kind == 'advance':
                    advance(*content)
                    continue
                del busy[connection]
                connection.close()
                process.join(STOP_S)
                _end([process])
                if kind == 'failed':
                    raise ChildProcessError(f'seed {seed}: {content}')
                yield seed, content
    finally:
        _end([process for _, process in busy.values()])


def _start(make_work: Callable[[], Work[Any]], seed: int) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(there, make_work, seed), daemon=True)
    with _environment(ONE_THREAD):
        process.start()
    there.close()  # so that the end of the process is the end of the pipe
    return here, process


def _hear(connection: Connection, process: SpawnProcess) -> tuple[str, Any]:
    try:
        kind, content = connection.recv()
    except (EOFError, OSError):
        process.join(STOP_S)
        why = f'its process ended with code {process.exitcode}'
        if process.exitcode == -signal.SIGKILL:
            why += '; is there memory for fewer --jobs only?'
        return 'failed', why
    return kind, content


def _end(processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(connection: Connection, make_work: Callable[[], Work[Any]], seed: int) -> None:
    """Does one scene; runs in a process of its own."""
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Without a reader, which is gone then, there is nobody to tell.
    with contextlib.suppress(BrokenPipeError):
        try:
            work = make_work()
            result = work(seed, lambda amount, text: connection.send(('advance', (amount, text))))
            connection.send(('done', result))
        except BrokenPipeError:
            raise
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
