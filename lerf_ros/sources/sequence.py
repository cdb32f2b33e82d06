"""What every stored source of frames is: a sequence that reads a frame when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from jaxtyping import Bool, Float

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.lens import Lens
from lerf_ros.frames.resizing import shrunk
from lerf_ros.sources.left_out import Ledger

JPEG_ENDS = (b'\xff\xd8', b'\xff\xd9')
PNG_ENDS = (b'\x89PNG', b'IEND')


class FrameSequence(Sequence[PosedFrame], ABC):
    """Frames by index, slice or iteration; nothing is kept in memory.

    An index or a slice raises ValueError at a frame that cannot be read; iteration leaves such a
    frame out, with one warning.

    Attributes:
        ledger: What was left out, and warnings.
    """

    ledger: Ledger

    @abstractmethod
    def _read(self, index: int) -> PosedFrame:
        """Returns the frame of a valid index that is not negative."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Returns the name by which people know a frame."""

    @overload
    def __getitem__(self, index: int) -> PosedFrame: ...
    @overload
    def __getitem__(self, index: slice) -> list[PosedFrame]: ...
    def __getitem__(self, index: int | slice) -> PosedFrame | list[PosedFrame]:
        if isinstance(index, slice):
            return [self._read(i) for i in range(*index.indices(len(self)))]
        return self._read(range(len(self))[index])

    def __iter__(self) -> Iterator[PosedFrame]:
        for index in range(len(self)):
            frame = self.readable(index)
            if frame is not None:
                yield frame

    def readable(self, index: int) -> PosedFrame | None:
        """Returns a frame; None, with a warning, if it cannot be read."""
        try:
            return self._read(index)
        except ValueError as error:
            self.ledger.leave_out(self.name(index), error)
            return None

    def _rectified(
        self,
        image: np.ndarray,
        depth_m: Float[np.ndarray, 'h w'] | None,
        visible: Bool[np.ndarray, 'h w'] | None,
        lens: Lens,
        pose: Float[np.ndarray, '4 4'],
        stamp_ns: int,
        downscale: int,
        index: int,
    ) -> PosedFrame:
        """Returns the frame of stored pictures; depth that does not fit is left out."""
        try:
            depth_m = None if depth_m is None else lens.depth(depth_m)
        except ValueError as error:
            self.ledger.warn(f'{self.name(index)}: depth left out: {error}')
            depth_m = None
        frame = PosedFrame(
            image=lens.image(image),
            depth=depth_m,
            camera=lens.rectified,
            camera_to_world=pose,
            stamp_ns=stamp_ns,
            frame_id='camera',
            visible=None if visible is None else lens.mask(visible),
        )
        return shrunk(frame, downscale)


class FrameStream(FrameSequence):
    """Frames of a moving camera: when each was taken is known, and where, before it is read."""

    @property
    @abstractmethod
    def stamps_ns(self) -> list[int]:
        """Stamp of each frame."""

    @property
    @abstractmethod
    def poses(self) -> list[Float[np.ndarray, '4 4']]:
        """``camera_to_world`` of each frame."""

    @property
    def numbers(self) -> list[int]:
        """Number of each frame in the recording."""
        return list(range(len(self)))


class EveryNth(FrameSequence):
    """Every n-th frame of a sequence, or all the others.

    Raises:
        ValueError: Nothing is left.
    """

    def __init__(self, frames: FrameSequence, every: int, *, held_out: bool) -> None:
        if every < 2:
            raise ValueError(f'hold-out: expected every 2nd frame or fewer, got every {every}')
        self.ledger, self._frames = frames.ledger, frames
        self._indices = [i for i in range(len(frames)) if (i % every == 0) == held_out]
        if not self._indices:
            raise ValueError(f'hold-out: expected at least 2 frames, got {len(frames)}')

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        """Returns the name of a frame."""
        return self._frames.name(self._indices[index])

    def _read(self, index: int) -> PosedFrame:
        return self._frames[self._indices[index]]


def require_picture(path: Path) -> None:
    """Raises ValueError where a picture is absent, empty or cut off; it is not unpacked."""
    try:
        with path.open('rb') as stream:
            head = stream.read(4)
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 1024))
            tail = stream.read()
    except OSError as error:
        raise ValueError(f'{path.name} does not exist' if not path.exists() else error) from error
    if not head:
        raise ValueError(f'{path.name} is empty')
    for begins, ends in (JPEG_ENDS, PNG_ENDS):
        if head.startswith(begins) and ends not in tail:
            raise ValueError(f'{path.name} is cut off: its end is missing')
