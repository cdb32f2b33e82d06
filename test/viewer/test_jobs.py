"""The thread of a session: what a person did goes first, and closing ends it."""

from __future__ import annotations

import threading
import weakref

from waiting import wait_until

from lerf_ros.viewer.jobs import UPKEEP, Jobs


def test_what_a_person_did_goes_before_upkeep() -> None:
    jobs = Jobs('test-jobs')
    begun, go, done = threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        go.wait(5)

    jobs.submit(first)
    assert begun.wait(5)
    for number in range(3):
        jobs.submit(lambda number=number: done.append(f'upkeep {number}'), UPKEEP)
    for number in range(2):
        jobs.submit(lambda number=number: done.append(f'person {number}'))
    go.set()
    wait_until(lambda: len(done) == 5, 'all jobs')
    assert done == ['person 0', 'person 1', 'upkeep 0', 'upkeep 1', 'upkeep 2']
    jobs.close()


def test_closing_ends_the_thread_and_frees_what_waited() -> None:
    class Thing:
        pass

    jobs = Jobs('test-jobs-closing')
    begun, go, done = threading.Event(), threading.Event(), []
    thing = Thing()
    gone = weakref.ref(thing)

    def first() -> None:
        begun.set()
        go.wait(5)

    jobs.submit(first)
    assert begun.wait(5)
    jobs.submit(lambda kept=thing: done.append(kept))
    del thing
    jobs.close()
    go.set()
    wait_until(
        lambda: 'test-jobs-closing' not in {thread.name for thread in threading.enumerate()},
        'the end of the thread',
    )
    jobs.submit(lambda: done.append(1))
    assert not done
    del jobs
    assert gone() is None
