"""Items of several senders that wait to be worked off, each sender in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar('Key', bound=Hashable)
Item = TypeVar('Item')


class FairQueue(Generic[Key, Item]):
    """A queue with a lane for each sender; the lanes are served in turn.

    A busy lane does not keep the others waiting: one item of each lane goes before a second one
    of any. Within a lane the order is that of arrival. Not for several threads at once.
    """

    def __init__(self) -> None:
        # The lane that is served next comes first; empty lanes are forgotten.
        self._lanes: dict[Key, deque[Item]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def waiting(self, key: Key) -> int:
        """Returns how many items of a sender wait."""
        return len(self._lanes.get(key, ()))

    def put(self, key: Key, item: Item) -> None:
        """Adds an item of a sender."""
        self._lanes.setdefault(key, deque()).append(item)

    def get(self) -> tuple[Key, Item]:
        """Returns the next item and its sender, and forgets it.

        Raises:
            IndexError: Nothing waits.
        """
        if not self._lanes:
            raise IndexError('nothing waits')
        key = next(iter(self._lanes))
        lane = self._lanes.pop(key)
        item = lane.popleft()
        if lane:
            self._lanes[key] = lane  # behind all others
        return key, item

    def longest(self) -> Key:
        """Returns the sender of whom most waits; of several the one whose turn comes last.

        Raises:
            IndexError: Nothing waits.
        """
        if not self._lanes:
            raise IndexError('nothing waits')
        most = max(map(len, self._lanes.values()))
        return [key for key, lane in self._lanes.items() if len(lane) == most][-1]

    def give_up(self, key: Key) -> Item:
        """Returns the newest item of a sender and forgets it.

        Raises:
            KeyError: Nothing of it waits.
        """
        lane = self._lanes[key]
        item = lane.pop()
        if not lane:
            del self._lanes[key]
        return item
