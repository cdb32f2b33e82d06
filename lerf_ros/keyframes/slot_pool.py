"""Rows of data of many keyframes in one tensor, so that a step gathers from all at once."""

from __future__ import annotations

import torch
from torch import Tensor


class SlotPool:
    """A tensor cut into equal slots, one a keyframe; it grows as slots are used.

    Args:
        rows: Rows of a slot.
        width: Numbers in a row.
        dtype: Type of the numbers.
        device: Where the tensor lives.
    """

    def __init__(self, rows: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows, self.width = rows, width
        self.data = torch.empty(0, width, dtype=dtype, device=device)

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot."""
        return self.rows * self.width * self.data.element_size()

    def write(self, slot: int, values: Tensor, limit: int) -> None:
        """Fills the first rows of a slot.

        Args:
            slot: Number of the slot.
            values: At most ``rows`` rows.
            limit: Number of slots that will ever be used; memory is not grown beyond them.
        """
        if len(values) > self.rows:
            self._widen(len(values))
        if (slot + 1) * self.rows > len(self.data):
            slots = min(max(2 * slot, 8), max(limit, slot + 1))
            self._grow(slots)
        first = slot * self.rows
        self.data[first : first + len(values)] = values.to(self.data)

    def read(self, slot: int, count: int) -> Tensor:
        """Returns the first rows of a slot."""
        return self.data[slot * self.rows : slot * self.rows + count]

    def _grow(self, slots: int) -> None:
        data = self.data.new_empty(slots * self.rows, self.width)
        data[: len(self.data)] = self.data
        self.data = data

    def _widen(self, rows: int) -> None:
        """Gives every slot more rows, when a larger image arrives."""
        slots = len(self.data) // self.rows
        data = self.data.new_empty(slots, rows, self.width)
        data[:, : self.rows] = self.data.reshape(slots, self.rows, self.width)
        self.data, self.rows = data.reshape(-1, self.width), rows
