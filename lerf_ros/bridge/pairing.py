"""Images, their camera info and their depth put together by stamp.

Written here rather than taken from message_filters: its Python form keeps a lock when a callback
raises, and stops pairing after stamps jump back, as they do when a recording starts again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

Image = TypeVar('Image')
Info = TypeVar('Info')
Depth = TypeVar('Depth')

JUMP_NS = 1_000_000_000

Kind = Literal['image', 'info', 'depth']


@dataclass(frozen=True)
class Pairing(Generic[Image, Info, Depth]):
    """What belongs together."""

    stamp_ns: int
    image: Image
    info: Info
    depth: Depth | None


@dataclass
class Pairer(Generic[Image, Info, Depth]):
    """Waits for the parts of a frame.

    Attributes:
        with_depth: Whether a frame needs a depth image.
        slop_ns: Largest time between an image and its depth; info must match exactly.
        capacity: Parts of each kind that wait; the oldest is dropped.
        unpaired: Number of images dropped because a part never came.
        jumps: Number of times the stamps went back and everything was forgotten.
    """

    with_depth: bool
    slop_ns: int
    capacity: int = 30
    unpaired: int = 0
    jumps: int = 0
    _parts: dict[str, OrderedDict[int, Any]] = field(default_factory=dict)
    _newest_ns: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._parts = {kind: OrderedDict() for kind in ('image', 'info', 'depth')}

    def _start_again(self, stamp_ns: int) -> None:
        """Forgets what is of the time before the stamps went back, and only that."""
        self.jumps += 1
        for parts in self._parts.values():
            for old in [key for key in parts if key > stamp_ns + JUMP_NS]:
                del parts[old]
        self._newest_ns = {kind: min(newest, stamp_ns) for kind, newest in self._newest_ns.items()}

    def add(
        self, kind: Kind, stamp_ns: int, part: Image | Info | Depth
    ) -> list[Pairing[Image, Info, Depth]]:
        """Adds a part; returns the frames that are now complete, oldest first."""
        if stamp_ns < self._newest_ns.get(kind, stamp_ns) - JUMP_NS:
            self._start_again(stamp_ns)
        self._newest_ns[kind] = max(stamp_ns, self._newest_ns.get(kind, stamp_ns))
        self._parts[kind][stamp_ns] = part
        while len(self._parts[kind]) > self.capacity:
            self._parts[kind].popitem(last=False)
            self.unpaired += kind == 'image'
        return self._complete()

    def _complete(self) -> list[Pairing[Image, Info, Depth]]:
        images, infos, depths = (self._parts[kind] for kind in ('image', 'info', 'depth'))
        complete = []
        for stamp_ns in sorted(images.keys() & infos.keys()):
            depth_ns = self._depth_for(stamp_ns)
            if self.with_depth and depth_ns is None:
                continue
            depth = None if depth_ns is None else depths.pop(depth_ns)
            complete.append(Pairing(stamp_ns, images.pop(stamp_ns), infos.pop(stamp_ns), depth))
        return complete

    def _depth_for(self, stamp_ns: int) -> int | None:
        """Returns the stamp of the depth of an image, if it is certain."""
        depths = self._parts['depth']
        if not self.with_depth or not depths:
            return None
        nearest = min(depths, key=lambda depth_ns: abs(depth_ns - stamp_ns))
        if abs(nearest - stamp_ns) > self.slop_ns:
            return None
        # A nearer one may still come, unless this one is exact or newer than the image.
        waits = nearest < stamp_ns and max(depths) < stamp_ns
        return None if waits else nearest
