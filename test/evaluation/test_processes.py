"""Scenes in processes: order, progress, failure and what is left behind."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import time

import pytest
from process_work import make_failing, make_sleeping, make_squares, make_thread_counts, make_uneven

from lerf_ros.evaluation.processes import cores, each_seed, require_jobs, summed_up


def ignore(amount: float, text: str) -> None:
    """Takes progress in."""


def children() -> list:
    return multiprocessing.active_children()


@pytest.mark.parametrize('jobs', [1, 2, 5])
def test_every_seed_is_done_once(jobs: int) -> None:
    told = []
    results = list(
        each_seed(make_squares, (3, 1, 2), jobs, lambda amount, text: told.append((amount, text)))
    )
    assert sorted(seed for seed, _ in results) == [1, 2, 3]
    for seed, (square, process) in results:
        assert square == seed * seed
        assert process != os.getpid()
    assert sorted(told) == [(1.0, 'seed 1'), (1.0, 'seed 2'), (1.0, 'seed 3')]
    assert not children()


def test_processes_have_one_thread_and_this_one_keeps_its_own(monkeypatch) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    monkeypatch.delenv('LP_NUM_THREADS', raising=False)
    assert list(each_seed(make_thread_counts, (1,), 1, ignore)) == [(1, (1, 1))]
    assert os.environ['OMP_NUM_THREADS'] == '2'
    assert 'LP_NUM_THREADS' not in os.environ


@pytest.mark.parametrize(
    ('how', 'words'),
    [
        ('raise', 'seed 7: RuntimeError: nothing stands on the table'),
        ('make', 'seed .*: ValueError: no weights'),
        ('kill', 'seed 7: its process was ended; is there memory'),
        ('unpicklable', 'seed 7: .*pickle'),
    ],
)
def test_a_failing_scene_ends_the_run(how: str, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(ChildProcessError, match=words):
        list(each_seed(functools.partial(make_failing, how), (1, 7, 2, 3), 2, ignore))
    assert time.monotonic() - started < 50  # the others would sleep for a minute each
    assert not children()


def test_an_interrupt_ends_the_children() -> None:
    # A shell that starts the tests in the background lets them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(amount: float, text: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            list(each_seed(make_sleeping, (1, 2), 2, interrupt))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not children()


def test_leaving_early_ends_the_children() -> None:
    with contextlib.closing(each_seed(make_uneven, (1, 2), 2, ignore)) as results:
        assert next(results) == (1, None)
        assert len(children()) == 1
    assert not children()


def test_a_summary_follows_each_scene_in_the_order_of_the_seeds() -> None:
    closed, told = [], []

    def done():
        try:
            yield 3, 'three'
            yield 1, 'one'
        finally:
            closed.append(True)

    def summary_of(results: list[str]) -> dict[str, str]:
        return {'all': ' '.join(results)}

    last, results = summed_up(done(), (1, 2, 3), summary_of, told.append)
    assert told == [{'all': 'three'}, {'all': 'one three'}]
    assert last == told[-1]
    assert results == ['one', 'three']

    def stopped(_: dict[str, str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        summed_up(done(), (1, 3), summary_of, stopped)
    assert closed == [True, True]


def test_the_number_of_processes() -> None:
    assert require_jobs(3) == 3
    assert require_jobs(None) == cores() >= 1
    with pytest.raises(ValueError, match='jobs: expected at least 1, got 0'):
        require_jobs(0)
