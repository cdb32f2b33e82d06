"""Images, their camera info and their depth put together by stamp.

Written here rather than taken from message_filters: its Python form keeps a lock when a callback
raises, stops pairing after stamps jump back, as they do when a recording starts again, and says
nothing when nothing pairs.

A camera info is that of its image where the stamps agree; drivers that send it once, latched, with
another stamp or none have one that is valid until the next. Depth that never comes costs the depth
and not the image.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

Image = TypeVar('Image')
Info = TypeVar('Info')
Depth = TypeVar('Depth')

# Images and depth of one camera come in order; stamps that go back further start anew.
JUMP_NS = 50_000_000
FAR_NS = 1_000_000_000
# Some drivers round the stamps of the two differently.
INFO_SLOP_NS = 1_000_000

Kind = Literal['image', 'info', 'depth']


@dataclass(frozen=True)
class Pairing(Generic[Image, Info, Depth]):
    """What belongs together; ``depth`` is None where there is none."""

    stamp_ns: int
    image: Image
    info: Info
    depth: Depth | None


@dataclass
class Pairer(Generic[Image, Info, Depth]):
    """Waits for the parts of a frame.

    Attributes:
        with_depth: Whether a frame waits for a depth image.
        slop_ns: Largest time between an image and its depth.
        capacity: Parts of each kind that wait; the oldest is dropped.
        wait_s: How long an image waits for its parts.
        unpaired: Number of images dropped because no camera info ever came.
        without_depth: Number of images that went without the depth they waited for.
        without_depth_in_a_row: How many of them since the last image with depth.
        jumps: Number of times the stamps went back and everything was forgotten.
        depth_gap_ns: From the last image whose depth did not come to the nearest depth.
    """

    with_depth: bool
    slop_ns: int
    capacity: int = 30
    wait_s: float = 0.5
    unpaired: int = 0
    without_depth: int = 0
    without_depth_in_a_row: int = 0
    jumps: int = 0
    depth_gap_ns: int | None = None
    _parts: dict[str, OrderedDict[int, Any]] = field(default_factory=dict)
    _since_s: dict[int, float] = field(default_factory=dict)
    _newest_ns: dict[str, int] = field(default_factory=dict)
    _lost: list[int] = field(default_factory=list)
    _last_info: Info | None = None
    # Whether camera infos come with the stamps of their images.
    _infos_are_stamped: bool = True

    def __post_init__(self) -> None:
        self._parts = {kind: OrderedDict() for kind in ('image', 'info', 'depth')}

    def take_lost(self) -> list[int]:
        """Returns the stamps of the images that were dropped since it was asked last."""
        lost, self._lost = self._lost, []
        return lost

    @property
    def waiting(self) -> int:
        """Number of images that wait."""
        return len(self._parts['image'])

    def add(
        self, kind: Kind, stamp_ns: int, part: Image | Info | Depth, now_s: float = 0.0
    ) -> list[Pairing[Image, Info, Depth]]:
        """Adds a part; returns the frames that are now complete, oldest first.

        Args:
            kind: What it is.
            stamp_ns: Its stamp.
            part: The part.
            now_s: The time on any clock that runs forward; `expire` is told the same.
        """
        complete = []
        if kind != 'info':
            newest = self._newest_ns.get(kind, stamp_ns)
            if stamp_ns < newest - JUMP_NS:
                complete = self._start_again(stamp_ns)
            self._newest_ns[kind] = max(stamp_ns, self._newest_ns.get(kind, stamp_ns))
        else:
            self._last_info = part  # type: ignore[assignment]
        if kind == 'image':
            self._since_s[stamp_ns] = now_s
        parts = self._parts[kind]
        parts[stamp_ns] = part
        while len(parts) > self.capacity:
            if kind == 'image':
                complete += self._finish(next(iter(parts)))
            else:
                parts.popitem(last=False)
        return complete + self._complete()

    def expire(self, now_s: float) -> list[Pairing[Image, Info, Depth]]:
        """Returns the frames that have waited long enough for what is still missing."""
        late = [s for s in self._parts['image'] if now_s - self._since_s[s] >= self.wait_s]
        return [pairing for stamp_ns in sorted(late) for pairing in self._finish(stamp_ns)]

    def _start_again(self, stamp_ns: int) -> list[Pairing[Image, Info, Depth]]:
        """Forgets what is of the time before the stamps went back, and only that."""
        self.jumps += 1
        old = [key for key in self._parts['image'] if key > stamp_ns + JUMP_NS]
        complete = [pairing for key in sorted(old) for pairing in self._finish(key)]
        for kind in ('info', 'depth'):
            for key in [key for key in self._parts[kind] if key > stamp_ns + JUMP_NS]:
                del self._parts[kind][key]
        self._newest_ns = {kind: min(newest, stamp_ns) for kind, newest in self._newest_ns.items()}
        return complete

    def _complete(self) -> list[Pairing[Image, Info, Depth]]:
        complete = []
        for stamp_ns in sorted(self._parts['image']):
            info, sure = self._info_for(stamp_ns)
            if info is None or not sure:
                continue
            depth_ns, certain = self._depth_for(stamp_ns)
            if certain:
                complete.append(self._take(stamp_ns, info, depth_ns))
        return complete

    def _finish(self, stamp_ns: int) -> list[Pairing[Image, Info, Depth]]:
        """Gives an image up, or sends it with what there is."""
        info, sure = self._info_for(stamp_ns)
        if info is None:
            del self._parts['image'][stamp_ns]
            self._since_s.pop(stamp_ns, None)
            self.unpaired += 1
            self._lost.append(stamp_ns)
            return []
        self._infos_are_stamped = sure
        return [self._take(stamp_ns, info, self._depth_for(stamp_ns)[0])]

    def _take(
        self, stamp_ns: int, info: Info, depth_ns: int | None
    ) -> Pairing[Image, Info, Depth]:
        if depth_ns is not None:
            self.without_depth_in_a_row = 0
        elif self.with_depth:
            self.without_depth += 1
            self.without_depth_in_a_row += 1
            depths = self._parts['depth']
            gaps = [depth - stamp_ns for depth in depths]
            self.depth_gap_ns = min(gaps, key=abs, default=None)
        self._since_s.pop(stamp_ns, None)
        depth = None if depth_ns is None else self._parts['depth'].pop(depth_ns)
        return Pairing(stamp_ns, self._parts['image'].pop(stamp_ns), info, depth)

    def _info_for(self, stamp_ns: int) -> tuple[Info | None, bool]:
        """Returns the camera info of an image, and whether no better one will come."""
        infos = self._parts['info']
        near = [key for key in infos if abs(key - stamp_ns) <= INFO_SLOP_NS]
        if near:
            self._infos_are_stamped = True
            return infos[min(near, key=lambda key: abs(key - stamp_ns))], True
        return self._last_info, not self._infos_are_stamped

    def _depth_for(self, stamp_ns: int) -> tuple[int | None, bool]:
        """Returns the stamp of the depth of an image, and whether no better one will come."""
        depths = self._parts['depth']
        if not self.with_depth:
            return None, True
        if not depths:
            return None, False
        nearest = min(depths, key=lambda depth_ns: abs(depth_ns - stamp_ns))
        # A nearer one may still come, unless this one is exact or newer than the image.
        settled = nearest == stamp_ns or max(depths) >= stamp_ns
        if abs(nearest - stamp_ns) > self.slop_ns:
            # Depth that is far ahead is of a time before the stamps went back.
            return None, self.slop_ns < max(depths) - stamp_ns < FAR_NS
        return nearest, settled
