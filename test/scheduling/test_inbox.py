"""Tests of lerf_ros.scheduling.inbox."""

import pytest

from lerf_ros.scheduling.inbox import Inbox


def test_items_come_out_in_their_order():
    inbox = Inbox(100)
    for item in 'abc':
        assert inbox.put(item, 30) == 0
    assert [inbox.get() for _ in range(3)] == list('abc')
    assert inbox.held_bytes == 0
    with pytest.raises(IndexError):
        inbox.get()


def test_the_oldest_are_dropped_and_counted_over_the_budget():
    inbox = Inbox(100)
    for item in range(10):
        inbox.put(item, 30)
    assert inbox.dropped == 7
    assert inbox.held_bytes == 90
    assert [inbox.get() for _ in range(len(inbox))] == [7, 8, 9]


def test_one_item_larger_than_the_budget_is_kept():
    inbox = Inbox(100)
    inbox.put('small', 10)
    assert inbox.put('large', 1000) == 1
    assert inbox.get() == 'large'
