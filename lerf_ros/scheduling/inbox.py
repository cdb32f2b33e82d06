"""Items that wait to be worked off, within a budget of bytes."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Inbox(Generic[Item]):
    """A queue that drops its oldest items when those that wait hold more than a budget.

    The newest item is always kept, however large it is. Not for several threads at once.

    Args:
        capacity_bytes: How much may wait.

    Attributes:
        dropped: Number of items that were dropped.
        held_bytes: Size of what waits.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self.dropped = 0
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, size_bytes: int) -> int:
        """Adds an item of some size; returns how many older ones were dropped for it."""
        self._items.append((item, size_bytes))
        self.held_bytes += size_bytes
        dropped = 0
        while self.held_bytes > self._capacity_bytes and len(self._items) > 1:
            self.get()
            dropped += 1
        self.dropped += dropped
        return dropped

    def get(self) -> Item:
        """Returns the oldest item and forgets it.

        Raises:
            IndexError: Nothing waits.
        """
        item, size_bytes = self._items.popleft()
        self.held_bytes -= size_bytes
        return item
