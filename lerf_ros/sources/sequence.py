"""What every stored source of frames is: a sequence that reads a frame when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import overload

from lerf_ros.frames import PosedFrame


class FrameSequence(Sequence[PosedFrame], ABC):
    """Frames by index, slice or iteration; nothing is kept in memory."""

    @abstractmethod
    def _read(self, index: int) -> PosedFrame:
        """Returns the frame of a valid index that is not negative."""

    @overload
    def __getitem__(self, index: int) -> PosedFrame: ...
    @overload
    def __getitem__(self, index: slice) -> list[PosedFrame]: ...
    def __getitem__(self, index: int | slice) -> PosedFrame | list[PosedFrame]:
        if isinstance(index, slice):
            return [self._read(i) for i in range(*index.indices(len(self)))]
        return self._read(range(len(self))[index])
