"""The same work in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence


def run_all(work: Callable[..., None], shares: Sequence[tuple]) -> None:
    """Runs the work once for each share of arguments, side by side, and waits.

    Raises:
        RuntimeError: One of the processes failed.
    """
    context = multiprocessing.get_context('spawn')
    processes = [context.Process(target=work, args=share) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f'{work.__name__}: a process failed; see its message above')
