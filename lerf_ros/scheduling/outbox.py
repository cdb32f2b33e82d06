"""Numbered items that were sent and are kept until they have arrived, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar('Item')

NEVER = -float('inf')
# Somebody who has heard a later number will not hear an earlier one any more: it is sent again.
MISSED_S = 1.0
# The newest may still be on their way, for a slow link much longer.
UNHEARD_S = 5.0


@dataclass(eq=False)
class _Kept(Generic[Item]):
    item: Item
    size_bytes: int
    sent_s: float
    arrived: bool = False
    missed: bool = False


class Outbox(Generic[Item]):
    """Keeps what was sent, so that it can be sent again.

    What has arrived is kept too while there is room: the receiver may start anew and want it. When
    room is wanted, the oldest that has arrived goes first, then the oldest of the rest.

    Args:
        capacity_bytes: How much is kept; the newest item always is.

    Attributes:
        held_bytes: Size of what is kept.
        lost: Number of items that were dropped and had not arrived.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._kept: dict[int, _Kept[Item]] = {}
        self.held_bytes = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Item]:
        return (kept.item for kept in self._kept.values())

    @property
    def unheard(self) -> int:
        """Number of items of which nobody has told that they arrived."""
        return sum(not kept.arrived for kept in self._kept.values())

    def put(self, number: int, item: Item, size_bytes: int, sent_s: float) -> int:
        """Keeps an item, with a number above all before it.

        Args:
            number: Its number.
            item: The item.
            size_bytes: Its size.
            sent_s: When it was sent, on a steady clock; `NEVER` if nobody was there.

        Returns:
            How many items that had not arrived were dropped for it.
        """
        self._kept[number] = _Kept(item, size_bytes, sent_s)
        self.held_bytes += size_bytes
        lost = 0
        while self.held_bytes > self._capacity_bytes and len(self._kept) > 1:
            old = next((n for n, kept in self._kept.items() if kept.arrived), None)
            if old is None:
                old = next(iter(self._kept))
                lost += 1
            self.drop(old)
        self.lost += lost
        return lost

    def drop(self, number: int) -> None:
        """Keeps an item no longer."""
        self.held_bytes -= self._kept.pop(number).size_bytes

    def drop_arrived(self) -> None:
        """Keeps what has arrived no longer."""
        for number in [number for number, kept in self._kept.items() if kept.arrived]:
            self.drop(number)

    def hear(self, next_number: int, missing: Collection[int]) -> None:
        """Takes what the receiver tells.

        Args:
            next_number: One more than the highest number that arrived.
            missing: Numbers below it that did not.
        """
        gaps = set(missing)
        for number, kept in self._kept.items():
            kept.missed = number in gaps
            kept.arrived = number < next_number and not kept.missed

    def start_again(self) -> None:
        """Takes note that the receiver has begun anew: nothing has arrived there."""
        for kept in self._kept.values():
            kept.arrived, kept.missed, kept.sent_s = False, False, NEVER

    def due(self, now_s: float, room: int) -> list[Item]:
        """Returns what to send again, oldest first, and takes note that it is sent.

        Args:
            now_s: The time, on the clock of `put`.
            room: How many items the receiver can take, with those that are on their way.
        """
        waits = [kept for kept in self._kept.values() if not kept.arrived]
        late = [
            kept
            for kept in waits
            if now_s - kept.sent_s > (MISSED_S if kept.missed else UNHEARD_S)
        ]
        chosen = late[: max(0, room - (len(waits) - len(late)))]
        for kept in chosen:
            kept.sent_s = now_s
        return [kept.item for kept in chosen]

    def take_unsent(self, most: int) -> list[Item]:
        """Returns the oldest items that were never sent, and keeps them no longer."""
        numbers = [n for n, kept in self._kept.items() if kept.sent_s == NEVER][:most]
        items = [self._kept[number].item for number in numbers]
        for number in numbers:
            self.drop(number)
        return items
