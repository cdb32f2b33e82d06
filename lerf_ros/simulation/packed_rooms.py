"""Objects of rooms with their meshes, packed while nobody looks into the room.

A floor of a thousand square metres has some 1250 objects of 60 kB each, of which a camera sees
those of a few rooms at a time.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Sequence

from lerf_ros.simulation.layout import Item

IndexedItem = tuple[int, Item]


class PackedRooms:
    """Objects by the room that they are in."""

    def __init__(self) -> None:
        self._packed: dict[int, bytes] = {}

    def pack(self, room: int, items: Sequence[IndexedItem]) -> None:
        """Takes the objects of a room.

        Args:
            room: The room.
            items: (index, object at rest), in the order of their indices.
        """
        self._packed[room] = zlib.compress(pickle.dumps(list(items), protocol=5), 1)

    def unpack(self, rooms: Iterable[int]) -> list[IndexedItem]:
        """Returns the objects of some rooms in the order of their indices, equal to the bit."""
        found: list[IndexedItem] = []
        for room in rooms:
            found += pickle.loads(zlib.decompress(self._packed[room]))
        return sorted(found, key=lambda each: each[0])
