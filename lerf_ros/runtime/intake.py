"""Frames on their way into the map, counted; every camera has its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, runtime_checkable

from lerf_ros.frames import Keyframe, PosedFrame
from lerf_ros.runtime.streams import Arrival, Stream, Streams
from lerf_ros.scheduling.fair_queue import FairQueue
from lerf_ros.scheduling.worker import WorkerStopped

Submit = Callable[[Callable[[], Any]], 'Future[Any]']
Jobs = list[Callable[[], Any]]


@runtime_checkable
class IngestJobs(Protocol):
    """Cuts the intake of a frame into short jobs; the last one returns the keyframe."""

    def __call__(self, frame: PosedFrame, source: str) -> list[Callable[[], Any]]:
        """Returns the jobs, to be run in this order."""
        ...


class Intake:
    """Hands the short jobs of each frame to the worker and counts what became of them.

    Frames of several streams are taken in turn, and where too many wait it is the stream with most
    of them that loses one: a fast camera does not starve a slow one. What found no room counts as
    missing, and as dropped, until its node has sent it again. Whatever is sent is integrated,
    dropped, repeated, or waits: nothing goes uncounted.

    Args:
        submit: Queues a job of the worker.
        jobs: Cuts the intake of a frame into jobs.
        backlog: Frames that may wait; further ones are put off where their stream has numbers and
            a known run, or dropped.

    Attributes:
        received: Frames that came, repeated ones left out.
        integrated: Frames that are in the map.
        dropped: Frames that were refused or failed, were lost on their way here, or found no room
            and have not come again.
        repeated: Frames that came again and were passed over.
        on_complaint: Called with a sentence when a frame is malformed or its intake fails.
        on_note: Called with a sentence when frames are dropped because too many wait, or are lost.
        on_clash: Called with a sentence when two nodes send as one source.
        on_integrated: Called in the worker's thread with each keyframe that is in the map.
    """

    def __init__(self, submit: Submit, jobs: IngestJobs, backlog: int) -> None:
        self._submit, self._jobs, self._backlog = submit, jobs, backlog
        self._lock = threading.RLock()
        self._waiting: FairQueue[Stream, tuple[int | None, Jobs]] = FairQueue()
        self._busy = False
        self._streams = Streams(lambda sentence: self.on_clash(sentence))
        self.received = self.integrated = self.dropped = self.repeated = 0
        self.on_complaint: Callable[[str], None] = lambda sentence: None
        self.on_note: Callable[[str], None] = lambda sentence: None
        self.on_clash: Callable[[str], None] = lambda sentence: None
        self.on_integrated: Callable[[Keyframe], None] = lambda keyframe: None

    def reset(self) -> None:
        """Counts from zero again; frames that wait still count when they arrive."""
        with self._lock:
            self._streams.start_counting()
            self.received = self.waiting
            self.integrated = self.dropped = self.repeated = 0

    @property
    def waiting(self) -> int:
        """Frames on their way into the map."""
        with self._lock:
            return sum(stream.waiting for stream in self._streams.all())

    def streams(self) -> list[Stream]:
        """Returns copies of the streams that were heard of, by name."""
        with self._lock:
            return sorted((stream.copy() for stream in self._streams.all()), key=lambda s: s.name)

    def room(self, stream: Stream) -> int:
        """Returns how many more frames of a stream may come now without one being dropped."""
        with self._lock:
            others = sum(1 for s in self._streams.all() if s.waiting and s.name != stream.name)
            share = max(1, self._backlog // (others + 1))
        return max(0, share - stream.waiting)

    def name_of(self, source: str, run: str) -> str:
        """Returns the name in the map of a run of a source."""
        with self._lock:
            return self._streams.named(source, run)

    def take(
        self,
        make_frame: Callable[[], PosedFrame],
        source: str,
        index: int | None = None,
        run: str = '',
    ) -> None:
        """Takes one frame in, unless it came before, too many wait, or it is malformed.

        Args:
            make_frame: Decodes the frame; raises ValueError where it is malformed.
            source: Name of the camera.
            index: Running number of the frame at its source; a gap is a lost frame.
            run: Identity of this start of the source; '' where none is told.
        """
        with self._lock:
            stream = self._streams.hear(source, run)
            arrival = Arrival() if index is None else stream.number(index)
            self._count(
                stream,
                dropped=arrival.lost,
                repeated=not arrival.new,
                received=arrival.new and not arrival.put_off,
            )
            room = arrival.new and self._make_room(stream, index)
        self._tell_lost(stream, arrival, index)
        if not room:
            return
        try:
            jobs = self._jobs(make_frame(), stream.name)
        except ValueError as error:
            self._leave(stream, integrated=False)
            self.on_complaint(str(error))
            return
        with self._lock:
            self._waiting.put(stream, (index, jobs))
        self._start_next()

    def _count(
        self, stream: Stream, *, dropped: int = 0, repeated: int = 0, received: int = 0
    ) -> None:
        stream.dropped += dropped
        stream.repeated += repeated
        stream.received += received
        self.dropped += dropped
        self.repeated += repeated
        self.received += received

    def _tell_lost(self, stream: Stream, arrival: Arrival, index: int | None) -> None:
        if arrival.lost > 0:
            self.on_note(
                f'{arrival.lost} keyframes of {stream.name!r} were lost before number {index}'
            )
        if not arrival.new:
            self.on_note(f'keyframe {index} of {stream.name!r} came again and is passed over')

    def _make_room(self, stream: Stream, index: int | None) -> bool:
        """Tells whether a frame may wait; a stream with more waiting gives way to it."""
        stream.waiting += 1
        if self.waiting <= self._backlog:
            return True
        loser, lost = stream, index
        if len(self._waiting) and (longest := self._waiting.longest()).waiting > stream.waiting:
            loser = longest
            lost, _ = self._waiting.give_up(loser)
        loser.waiting -= 1
        self._turn_away(loser, lost)
        return loser is not stream

    def _turn_away(self, stream: Stream, index: int | None) -> None:
        """Counts a frame for which there is no room, and tells of it."""
        self._count(stream, dropped=1)
        waiting = f'{self._backlog} are waiting, and it is one of {stream.name!r}'
        advice = 'drive slower, or raise keyframes.min_translation_m'
        if index is not None and stream.put_off(index):
            self.on_note(
                f'keyframe put off: {waiting}; a keyframe node sends it again when there is room, '
                f'a recording does not; {advice}'
            )
        else:
            self.on_note(f'keyframe dropped: {waiting}; {advice}')

    def _start_next(self) -> None:
        """Queues the jobs of the frame whose turn it is, once the one before is done."""
        with self._lock:
            if self._busy or not len(self._waiting):
                return
            self._busy = True
            stream, (_, jobs) = self._waiting.get()
        self._queue(stream, jobs)

    def _queue(self, stream: Stream, jobs: Jobs) -> None:
        failed = threading.Event()

        def guarded(job: Callable[[], Any]) -> Callable[[], Any]:
            def run() -> Any:
                if failed.is_set():
                    return None
                try:
                    return job()
                except BaseException:
                    failed.set()
                    raise

            return run

        def last() -> None:
            self.on_integrated(jobs[-1]())

        futures = [self._submit(guarded(job)) for job in (*jobs[:-1], last)]
        for future in futures:
            future.add_done_callback(self._note_error)

        def done(future: Future[Any]) -> None:
            self._leave(stream, not failed.is_set() and future.exception() is None)
            with self._lock:
                self._busy = False
            self._start_next()

        futures[-1].add_done_callback(done)

    def _note_error(self, future: Future[Any]) -> None:
        error = future.exception()
        # A worker that stops or fails says so itself, once and not for every job.
        if error is not None and not isinstance(error, WorkerStopped):
            self.on_complaint(f'keyframe dropped: {error}')

    def _leave(self, stream: Stream, integrated: bool) -> None:
        with self._lock:
            stream.waiting -= 1
            stream.integrated += integrated
            self.integrated += integrated
            self._count(stream, dropped=not integrated)
