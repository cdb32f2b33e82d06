"""A map and the one thread that may touch it.

Everything that touches the map is a job of one worker: control, then questions, then intake, then
a training step. What belongs together, such as loading a map and counting anew, is one job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from lerf_ros.config import LerfConfig
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.frames import Keyframe, PosedFrame
from lerf_ros.live_options import LiveOptions
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.maps.submap import Submap
from lerf_ros.query.request import QueryRequest, QueryResult
from lerf_ros.runtime.intake import Intake
from lerf_ros.runtime.questions import Questions
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.rate import Rate
from lerf_ros.scheduling.worker import CONTROL, INGEST, QUERY, Priority, Worker
from lerf_ros.training.step_report import StepReport

T = TypeVar('T')


@dataclass(frozen=True)
class Answer:
    """What a question got, and what it rests on.

    Attributes:
        results: One for each positive.
        map_id: The map that answered.
        step: Its training step.
        stamp_ns: Stamp of its last keyframe.
        pose_epoch: How often its poses had been corrected.
    """

    results: list[QueryResult]
    map_id: str
    step: int
    stamp_ns: int
    pose_epoch: int


class MapHost:
    """Owns the map; everything that touches it is a job of its worker.

    Args:
        config: All options.
        encoder: The language encoder; loaded as the options say if None.

    Attributes:
        options: All options as they are now; a change is carried into the map.
        map: The map; to be touched in jobs only, but for plain numbers.
        intake: Takes in frames.
        questions: Admits questions.
        steps: Rate of training steps.
        keyframes: Rate of keyframes that got into the map.
        loss: Loss of the last step, NaN before the first.
        report: What the last step did; None before the first.
        surface_points: Number of surface points after the last keyframe.
        on_replaced: Called in the worker's thread when another map, or an empty one, has taken the
            place of the old one.
    """

    def __init__(self, config: LerfConfig, encoder: LanguageEncoder | None = None) -> None:
        self.options = LiveOptions(config)
        self.map: Atlas | Submap = make_map(config, encoder)
        self.intake = Intake(
            lambda job: self.submit(job, INGEST),
            self._ingest_jobs,
            config.node.keyframe_backlog,
        )
        self.questions = Questions(
            lambda: self.options.current.node.max_waiting_questions,
            lambda: self.options.current.node.query_timeout_s,
        )
        self.steps, self.keyframes = Rate(), Rate()
        self.report: StepReport | None = None
        self.surface_points = 0
        self.on_replaced: list[Callable[[], None]] = []
        # The newest corrected poses of each stream, by stamp.
        self._corrected: dict[str, dict[int, np.ndarray]] = {}
        self._worker: Worker[StepReport] = Worker(
            lambda: self.map.step(), lambda: self.map.ready(), self._on_step
        )
        self.options.on_change(self._configure)
        self._worker.start()

    def _configure(self, config: LerfConfig) -> None:
        self.submit(lambda: self.map.configure(config), CONTROL)

    def _on_step(self, report: StepReport) -> None:
        self.steps.tick()
        self.report = report

    def _ingest_jobs(self, frame: PosedFrame, source: str) -> list[Callable[[], Keyframe | None]]:
        jobs = self.map.ingest_jobs(frame, source)

        def integrate() -> Keyframe | None:
            keyframe = jobs[-1]()
            if keyframe is not None:
                self._put_right(keyframe)
            self.keyframes.tick()
            self.surface_points = self.map.surface_points
            return keyframe

        return [*jobs[:-1], integrate]

    @property
    def loss(self) -> float:
        """Loss of the last step, NaN before the first."""
        return math.nan if self.report is None else self.report.loss

    @property
    def state(self) -> str:
        """'WAITING', 'TRAINING', 'PAUSED' or 'FAILED'."""
        return self._worker.state

    @property
    def error(self) -> Exception | None:
        """What made a training step fail."""
        return self._worker.error

    @property
    def steps_per_second(self) -> float:
        """Training steps a second; 0 while none is done."""
        return self.steps.hz if self.steps.age_s < 2 else 0.0

    def ask(self, request: QueryRequest) -> Future[Answer]:
        """Asks; returns the future answer.

        An answer that takes longer than ``node.query_timeout_s`` becomes a TimeoutError, provided
        that somebody calls ``questions.expire()`` now and then.

        Raises:
            BusyError: Too many questions wait already.
        """

        def answer() -> Answer:
            results = self.map.query(request)
            now = self.map
            return Answer(results, now.id, now.step_count, now.last_stamp_ns, now.pose_epoch)

        return self.questions.admit(lambda: self.submit(answer, QUERY))

    def draw(self, pieces: Pieces[T]) -> Future[T]:
        """Does long work that somebody waits for, such as a view, piece by piece.

        Raises:
            BusyError: Too many questions wait already.
        """
        return self.questions.admit(lambda: self.start(pieces, QUERY))

    def reset(self) -> Future[None]:
        """Forgets the map; an empty one takes its place."""

        def job() -> None:
            self.map.reset()
            self._replaced()

        return self.submit(job, CONTROL)

    def _put_right(self, keyframe: Keyframe) -> None:
        """Moves a keyframe that came after the correction of its pose; in the worker's thread."""
        corrected = self._corrected.get(keyframe.id.source, {})
        pose = corrected.get(keyframe.frame.stamp_ns)
        if pose is not None and not np.allclose(pose, keyframe.frame.camera_to_world):
            self.map.update_poses([keyframe.id], pose[None])

    def correct(
        self,
        stamps_ns: Sequence[int],
        camera_to_world: Float[np.ndarray, 'n 4 4'],
        source: str | None = None,
    ) -> Future[int]:
        """Moves the keyframes of these stamps; the future is how many there were.

        Args:
            stamps_ns: The stamps.
            camera_to_world: The poses.
            source: The stream in the map that they are all of; those of its keyframes that come
                later are moved then.
        """

        def job() -> int:
            if source is not None:
                self._corrected[source] = dict(zip(stamps_ns, camera_to_world, strict=True))
            return self.map.correct(stamps_ns, camera_to_world, source)

        return self.submit(job, CONTROL)

    def save(self, path: Path) -> Future[None]:
        """Writes the map to a file, however long it takes."""
        return self.submit(lambda: self.map.save(path), CONTROL)

    def load(self, path: Path) -> Future[None]:
        """Replaces the map by a saved one, however long it takes; on an error it stays."""

        def job() -> None:
            self.map.load(path)
            self._replaced()

        return self.submit(job, CONTROL)

    def _replaced(self) -> None:
        """Forgets what was known of the map that is gone; in the worker's thread."""
        self._worker.begin_anew()
        self.intake.reset()
        self.report = None
        self.surface_points = self.map.surface_points
        for listener in self.on_replaced:
            listener()

    def submit(self, job: Callable[[], T], priority: Priority) -> Future[T]:
        """Queues a job."""
        return self._worker.submit(job, priority)

    def run(self, job: Callable[[], T], priority: Priority, timeout_s: float) -> T:
        """Runs a job in the worker and waits for it.

        Raises:
            TimeoutError: It took too long; if it still waits it is not run.
        """
        return _wait(self.submit(job, priority), timeout_s)

    def start(self, pieces: Pieces[T], priority: Priority) -> Future[T]:
        """Begins long work that is cut into pieces, each a job; returns its future result.

        A piece is queued when the one before it has ended, behind whatever waits by then: a
        question asked meanwhile waits for one piece. Cancelling the future ends the work.
        """
        done: Future[T] = Future()

        def advance() -> None:
            if done.cancelled():
                pieces.close()
                return
            try:
                next(pieces)
            except StopIteration as stop:
                _settle(done, stop.value, None)
            except Exception as error:
                _settle(done, None, error)
            else:
                queue()

        def queue() -> None:
            self.submit(advance, priority).add_done_callback(refused)

        def refused(job: Future[None]) -> None:
            # Jobs that wait when the worker ends are not run.
            if (error := job.exception()) is not None:
                _settle(done, None, error)

        queue()
        return done

    def pause(self) -> None:
        """Stops learning; jobs are still run."""
        self._worker.pause()

    def resume(self) -> None:
        """Goes on learning, also after a failure."""
        self._worker.resume()

    def stop(self, timeout_s: float) -> bool:
        """Ends the worker; futures that wait get an error. Tells whether it ended in time."""
        stopped = self._worker.stop(timeout_s)
        if stopped:
            self.map.close()
        return stopped


def _wait(future: Future[T], timeout_s: float) -> T:
    try:
        return future.result(timeout_s)
    except FutureTimeoutError:
        future.cancel()
        raise FutureTimeoutError(f'no answer within {timeout_s:g} s') from None


def _settle(future: Future[T], result: T | None, error: BaseException | None) -> None:
    """Sets a future unless it has been given up."""
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(result)  # type: ignore[arg-type]
    else:
        future.set_exception(error)
