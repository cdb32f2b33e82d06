"""Several senders, each in turn."""

from __future__ import annotations

import pytest

from lerf_ros.scheduling.fair_queue import FairQueue


def filled(**numbers: int) -> FairQueue[str, str]:
    queue: FairQueue[str, str] = FairQueue()
    for key, count in numbers.items():
        for number in range(count):
            queue.put(key, f'{key}{number}')
    return queue


def drain(queue: FairQueue[str, str]) -> list[str]:
    return [queue.get()[1] for _ in range(len(queue))]


def test_each_sender_has_its_turn_and_keeps_its_order() -> None:
    assert drain(filled(a=4, b=1, c=2)) == ['a0', 'b0', 'c0', 'a1', 'c1', 'a2', 'a3']


def test_who_was_served_goes_behind_who_waits() -> None:
    queue = filled(a=3)
    assert queue.get() == ('a', 'a0')
    queue.put('b', 'b0')
    assert drain(queue) == ['a1', 'b0', 'a2']


def test_the_longest_lane_gives_up_its_newest() -> None:
    queue = filled(a=2, b=3, c=3)
    assert queue.longest() == 'c'
    assert queue.give_up('c') == 'c2'
    assert queue.longest() == 'b'
    assert (queue.waiting('c'), queue.waiting('nobody'), len(queue)) == (2, 0, 7)
    assert drain(queue) == ['a0', 'b0', 'c0', 'a1', 'b1', 'c1', 'b2']


def test_an_empty_queue_has_nothing() -> None:
    queue = filled()
    for ask in (queue.get, queue.longest):
        with pytest.raises(IndexError):
            ask()
    with pytest.raises(KeyError):
        queue.give_up('a')
