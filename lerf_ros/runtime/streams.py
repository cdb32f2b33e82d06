"""Streams of keyframes as a map hears them: their numbers, counts and names.

A stream is one start (`run`) of one source. Its keyframes are numbered, so a gap is a keyframe
that got lost or is late, and a number that came already is a keyframe that was sent again. Two
runs of one source that both go on are two cameras of one name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

# Numbers that are remembered as missing; older ones are lost for good.
MOST_MISSING = 1000
MOST_STREAMS = 64
# A run that goes on this soon after it was heard, though another run of its source came between,
# never ended: a node that is started again stays silent for ever.
ALIVE_S = 30.0


class Arrival(NamedTuple):
    """What the number of a keyframe says of it.

    Attributes:
        lost: How many got lost before it; -1 where it was itself counted as lost.
        new: Whether it has not been taken in.
        put_off: Whether it came before and found no room.
    """

    lost: int = 0
    new: bool = True
    put_off: bool = False


@dataclass(eq=False)
class Stream:
    """One start of one source.

    Attributes:
        source: Name that its node gives itself.
        run: Identity of the start; '' where none is told.
        name: Name in the map, unlike that of every other stream.
        received: Keyframes that came, repeated ones left out.
        integrated: Keyframes that are in the map.
        dropped: Keyframes that were refused or failed, got lost on their way, or found no room and
            have not come again.
        repeated: Keyframes that came again and were passed over.
        waiting: Keyframes on their way into the map.
        next_index: One more than the highest number that came.
        missing: Numbers below it that never came, or came and were put off, and which of the two;
            the newest of them.
        heard_s: When the last keyframe came, on the steady clock.
    """

    source: str
    run: str
    name: str
    received: int = 0
    integrated: int = 0
    dropped: int = 0
    repeated: int = 0
    waiting: int = 0
    next_index: int = 0
    missing: dict[int, bool] = field(default_factory=dict)
    heard_s: float = 0.0
    _first: int | None = None

    def number(self, index: int) -> Arrival:
        """Takes note of a number.

        Without a known run, a number that is not higher than the last means that the source has
        started again.
        """
        if self._first is None:
            self._first, self.next_index = index, index + 1
            # The map may be younger than the stream: these are no loss, but they may still come.
            self._miss(range(index) if self.run else range(0))
            return Arrival()
        if index >= self.next_index:
            gap = range(self.next_index, index)
            self.next_index = index + 1
            self._miss(gap)
            return Arrival(lost=len(gap))
        if not self.run:
            self._first, self.next_index, self.missing = index, index + 1, {}
            return Arrival()
        if index in self.missing:
            put_off = self.missing.pop(index)
            return Arrival(lost=-int(put_off or index > self._first), put_off=put_off)
        return Arrival(new=False)

    def put_off(self, index: int) -> bool:
        """Takes note that a keyframe found no room; tells whether its node can know of that."""
        if self.run:
            self._miss(range(index, index + 1), put_off=True)
        return bool(self.run)

    def _miss(self, numbers: range, *, put_off: bool = False) -> None:
        for number in numbers[-MOST_MISSING:]:
            # What was put off stays so where another map begins with a later number.
            self.missing.setdefault(number, put_off)
        for old in list(self.missing)[: max(0, len(self.missing) - MOST_MISSING)]:
            del self.missing[old]

    def copy(self) -> Stream:
        """Returns what is known now."""
        return replace(self, missing=dict(self.missing))

    def start_counting(self) -> None:
        """Counts from zero; what waits still counts when it arrives."""
        self.received = self.waiting
        self.integrated = self.dropped = self.repeated = self.next_index = 0
        self.missing, self._first = {}, None


class Streams:
    """All streams that were heard of, within bounds.

    Args:
        on_clash: Called with a sentence when two nodes use one name.
        clock: The steady clock, s.
    """

    def __init__(
        self, on_clash: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_clash, self._clock = on_clash, clock
        # The one that was heard last comes last.
        self._streams: dict[tuple[str, str], Stream] = {}
        self._runs: dict[str, int] = {}
        self._last_run: dict[str, str] = {}

    def all(self) -> list[Stream]:
        """Returns all streams, the one that was heard last at the end."""
        return list(self._streams.values())

    def named(self, source: str, run: str) -> str:
        """Returns the name in the map of a stream; its source where it was never heard of."""
        stream = self._streams.get((source, run))
        return source if stream is None else stream.name

    def hear(self, source: str, run: str) -> Stream:
        """Returns the stream of a keyframe that has come."""
        now = self._clock()
        stream = self._streams.pop((source, run), None)
        if stream is None:
            number = self._runs[source] = self._runs.get(source, 0) + 1
            # Names in the map stay unlike, though the camera was only started again.
            name = source if number == 1 else f'{source}#{number}'
            stream = Stream(source, run, name)
        elif self._last_run[source] != run and now - stream.heard_s < ALIVE_S:
            other = self._streams.get((source, self._last_run[source]))
            self._on_clash(
                f'two nodes send keyframes as {source!r}: they are kept apart as {stream.name!r} '
                f'and {other.name if other else source!r}; give each a name or namespace of its '
                'own'
            )
        stream.heard_s, self._last_run[source] = now, run
        self._streams[source, run] = stream
        self._forget_old()
        return stream

    def start_counting(self) -> None:
        """Counts from zero: another map has begun."""
        for stream in self._streams.values():
            stream.start_counting()

    def _forget_old(self) -> None:
        """Forgets the streams that were silent longest, beyond what is remembered."""
        quiet = [key for key, stream in self._streams.items() if not stream.waiting]
        for key in quiet[: max(0, len(self._streams) - MOST_STREAMS)]:
            del self._streams[key]
            source = key[0]
            if not any(other == source for other, _ in self._streams):
                self._runs.pop(source, None)
                self._last_run.pop(source, None)
