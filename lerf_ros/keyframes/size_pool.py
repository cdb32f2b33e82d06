"""Keyframes of one size in a few tensors, so that a step gathers from all of them at once."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from lerf_ros.frames import KeyframeId
from lerf_ros.keyframes.cold_storage import Arrays


class SizePool:
    """Equal slots, one a keyframe; every keyframe has as many pixels, tiles and cells.

    Args:
        like: Arrays of such a keyframe.
        device: Where the tensors live.

    Attributes:
        rows: Rows of a slot by name of the array.
        places: Slot of each keyframe that is here.
        known: All keyframes of this size that were ever here.
    """

    def __init__(self, like: Arrays, device: torch.device) -> None:
        self.rows = {name: len(values) for name, values in like.items()}
        self.places: dict[KeyframeId, int] = {}
        self.known: set[KeyframeId] = set()
        self._data = {
            name: torch.empty(0, values.shape[1], dtype=values.dtype, device=device)
            for name, values in like.items()
        }
        self.slot_bytes = sum(values.numel() * values.element_size() for values in like.values())
        self.capacity = 0

    @property
    def bytes(self) -> int:
        """Memory that the pool takes, used or not."""
        return self.capacity * self.slot_bytes

    @property
    def full(self) -> bool:
        """Whether every slot is taken."""
        return len(self.places) == self.capacity

    @property
    def masked(self) -> bool:
        """Whether a part of each of its pictures is hidden."""
        return 'visible' in self.rows

    def at(self, name: str, rows: Int[Tensor, ' n']) -> Tensor:
        """Returns rows; those beyond the last one, which belong to other pools, hold anything."""
        table = self._data[name]
        return table[rows.clamp(max=len(table) - 1)]

    def table(self, name: str) -> Tensor:
        """Returns all rows of an array, used or not; valid until the pool changes."""
        return self._data[name]

    def put(self, id_: KeyframeId, arrays: Arrays) -> None:
        """Fills a free slot; there must be one."""
        place = min(set(range(self.capacity)) - set(self.places.values()))
        for name, values in arrays.items():
            data = self._data[name]
            first = place * self.rows[name]
            data[first : first + self.rows[name]] = values.to(data)
        self.places[id_] = place
        self.known.add(id_)

    def read(self, id_: KeyframeId) -> Arrays:
        """Returns views of a keyframe's arrays; they are valid until the pool changes."""
        place = self.places[id_]
        return {
            name: self._data[name][place * rows : (place + 1) * rows]
            for name, rows in self.rows.items()
        }

    def remove(self, id_: KeyframeId) -> None:
        """Frees the slot of a keyframe."""
        del self.places[id_]

    def grow(self, capacity: int) -> None:
        """Takes memory for so many slots."""
        for name, data in self._data.items():
            grown = data.new_empty(capacity * self.rows[name], data.shape[1])
            grown[: len(data)] = data
            self._data[name] = grown
        self.capacity = capacity

    def shrink(self) -> None:
        """Gives back the memory of all free slots."""
        used = list(self.places)
        for name, rows in self.rows.items():
            data = self._data[name].reshape(self.capacity, rows, -1)
            index = torch.tensor(list(self.places.values()), dtype=torch.long, device=data.device)
            self._data[name] = data[index].reshape(len(used) * rows, data.shape[2])
        self.places = {id_: place for place, id_ in enumerate(used)}
        self.capacity = len(used)
