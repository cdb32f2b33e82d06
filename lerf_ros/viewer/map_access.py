"""All that the viewer knows of the host of a map; nothing else here touches it.

What takes the map's time comes back as a future: a page never waits in the worker's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
from jaxtyping import Float, Float32, UInt8

from lerf_ros.config import LerfConfig
from lerf_ros.frames import KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.submap import NotReadyError
from lerf_ros.maps.view import opaque_depth, rendered_pieces
from lerf_ros.query.engine import QueryRequest, QueryResult
from lerf_ros.query.likeness import Likeness, likeness
from lerf_ros.runtime.host import MapHost
from lerf_ros.runtime.questions import BusyError
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.worker import QUERY, WorkerStopped
from lerf_ros.surface.points import SurfacePoints

T = TypeVar('T')
Transform = Float[np.ndarray, '4 4']

# What a request may meet through no fault of ours.
EXPECTED = (
    ValueError,
    OSError,
    NotReadyError,
    BusyError,
    WorkerStopped,
    CancelledError,
    FutureTimeoutError,
)
REPLACED = 'the map was replaced meanwhile: ask again'


@dataclass(frozen=True)
class Status:
    """How the map does.

    Attributes:
        state: 'WAITING', 'TRAINING', 'PAUSED' or 'FAILED'.
        step: Training steps so far.
        steps_per_second: Of late.
        loss: Of the last step; NaN before the first.
        keyframes: Keyframes in the map.
        memory_mb: Memory of the process.
        encoder: Name of the language encoder.
        device: Where it trains.
        received: Keyframes that came.
        dropped: Keyframes that were refused, overtaken, lost or failed.
        waiting: Keyframes on their way into the map.
        error: What made training fail; empty if nothing.
        note: What else a person should know; empty if nothing.
    """

    state: str
    step: int
    steps_per_second: float
    loss: float
    keyframes: int
    memory_mb: float
    encoder: str
    device: str
    received: int
    dropped: int
    waiting: int
    error: str
    note: str


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The map as it stands.

    Attributes:
        map_id: The map's identity.
        surface: The surface cloud.
        camera: Intrinsics of a keyframe; None without one.
        ids: Names of the keyframes, oldest first.
        poses: Their `camera_to_world`, metres.
    """

    map_id: str
    surface: SurfacePoints
    camera: PinholeCamera | None
    ids: tuple[KeyframeId, ...]
    poses: Float[np.ndarray, 'n 4 4']


@dataclass(frozen=True, eq=False)
class Answer:
    """Results, and the very surface they were computed on, row by row.

    Attributes:
        map_id: The map that answered.
        results: One for each positive.
        surface: Its rows are those of the results' clouds.
        step: Training step of the map when it answered.
        frame: World frame of all positions.
    """

    map_id: str
    results: tuple[QueryResult, ...]
    surface: SurfacePoints
    step: int
    frame: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a camera would see of the map.

    Attributes:
        image: RGB picture.
        depth_m: Depth along the optical axis, NaN where the map holds nothing.
        accumulation: Opacity in [0, 1].
        relevancy: Of each phrase, NaN where the map holds nothing.
    """

    image: UInt8[np.ndarray, 'height width 3']
    depth_m: Float32[np.ndarray, 'height width']
    accumulation: Float[np.ndarray, 'height width']
    relevancy: tuple[Float32[np.ndarray, 'height width'], ...]


class MapAccess:
    """A host, as the viewer sees it. Every method may be called from any thread.

    Args:
        host: The map's host.
        note: Returns what a person should know besides; empty if nothing.
    """

    def __init__(self, host: MapHost, note: Callable[[], str] = str) -> None:
        self._host, self._note = host, note
        self._process = psutil.Process()

    @property
    def config(self) -> LerfConfig:
        """All options as they are now."""
        return self._host.options.current

    @property
    def waiting(self) -> int:
        """Keyframes on their way into the map."""
        intake = self._host.intake
        return max(0, intake.received - intake.dropped - intake.integrated)

    def status(self) -> Status:
        """Returns how the map does, without waiting for it."""
        host, live_map, intake = self._host, self._host.map, self._host.intake
        return Status(
            state=host.state,
            step=live_map.step_count,
            steps_per_second=host.steps_per_second,
            loss=float(host.loss),
            keyframes=live_map.keyframe_count,
            memory_mb=self._process.memory_info().rss / 2**20,
            encoder=live_map.encoder.name,
            device=str(live_map.device),
            received=intake.received,
            dropped=intake.dropped,
            waiting=self.waiting,
            error=str(host.error) if host.error is not None else '',
            note=self._note(),
        )

    def look(self) -> Future[Snapshot]:
        """Looks at the surface and the keyframes."""

        def look() -> Snapshot:
            live_map = self._host.map
            store = live_map.current.trainer.store
            ids = tuple(store.ids)
            poses = np.array([store.pose(id_) for id_ in ids]).reshape(-1, 4, 4)
            return Snapshot(live_map.id, live_map.surface(), live_map.last_camera, ids, poses)

        return self._host.submit(look, QUERY)

    def ask(self, request: QueryRequest) -> Future[Answer]:
        """Asks the map.

        Raises:
            BusyError: Too many questions wait already.
        """

        def ask() -> Answer:
            live_map = self._host.map
            results = tuple(live_map.query(request))
            return Answer(
                live_map.id,
                results,
                live_map.surface(),
                live_map.step_count,
                live_map.config.node.world_frame,
            )

        return self._host.questions.admit(lambda: self._host.submit(ask, QUERY))

    def draw(
        self,
        camera: PinholeCamera,
        camera_to_world: Transform,
        phrases: Iterable[str] = (),
        *,
        negatives: tuple[str, ...] = (),
        scale_m: float | None = None,
    ) -> Future[Drawing]:
        """Draws the map from a pose; cancelling the future ends the work.

        Args:
            camera: Intrinsics of the view.
            camera_to_world: Its pose.
            phrases: What its relevancy is wanted for.
            negatives: What they are compared with; LERF's four words if empty.
            scale_m: The scale at which relevancy is read; the best one if None.
        """
        pieces = self._drawing(camera, camera_to_world, tuple(phrases), negatives, scale_m)
        return self._host.start(pieces, QUERY)

    def _drawing(
        self,
        camera: PinholeCamera,
        camera_to_world: Transform,
        phrases: tuple[str, ...],
        negatives: tuple[str, ...],
        scale_m: float | None,
    ) -> Pieces[Drawing]:
        live_map = self._host.map.current
        trainer = live_map.trainer
        view = yield from self._while_it_lasts(
            trainer, rendered_pieces(live_map.render, camera, camera_to_world)
        )
        depth_m = opaque_depth(view)
        relevancy = []
        for phrase in phrases:
            assert trainer.field is not None
            heat = live_map.engine.heat_map_pieces(
                phrase,
                field=trainer.field,
                surface=live_map.surface_map,
                depth_m=depth_m,
                camera=camera,
                camera_to_world=camera_to_world,
                step=trainer.step_count,
                negatives=negatives,
                scale_m=scale_m,
            )
            relevancy.append((yield from self._while_it_lasts(trainer, heat)))
        return Drawing(view.image, depth_m, view.accumulation, tuple(relevancy))

    def _while_it_lasts(self, trainer: object, pieces: Pieces[T]) -> Pieces[T]:
        """Works on pieces as long as the map is the one they were begun for."""
        while True:
            if self._host.map.current.trainer is not trainer:
                raise NotReadyError(REPLACED)
            try:
                next(pieces)
            except StopIteration as stop:
                return stop.value
            yield

    def like(self, position_m: Float[np.ndarray, '3'], texts: tuple[str, ...]) -> Future[Likeness]:
        """Tells which of some texts a place of the surface is most like."""

        def compare() -> Likeness:
            live_map = self._host.map.current
            if live_map.trainer.field is None:
                raise NotReadyError('the map is empty: there is nothing to compare')
            return likeness(
                position_m,
                texts,
                encoder=live_map.encoder,
                field=live_map.trainer.field,
                points=live_map.surface(),
                options=live_map.config.query,
                features=live_map.config.features,
            )

        return self._host.submit(compare, QUERY)

    def picture(self, id_: KeyframeId) -> Future[PosedFrame]:
        """Returns a keyframe with its picture."""

        def read() -> PosedFrame:
            try:
                return self._host.map.current.trainer.store.keyframe(id_).frame
            except KeyError:
                raise ValueError(f'keyframe: there is no keyframe {id_} any more') from None

        return self._host.submit(read, QUERY)

    def take(self, frame: PosedFrame, source: str) -> None:
        """Takes a frame into the map, unless too many wait."""
        self._host.intake.take(lambda: frame, source)

    def pause(self) -> None:
        """Stops learning."""
        self._host.pause()

    def resume(self) -> None:
        """Goes on learning."""
        self._host.resume()

    def reset(self) -> Future[None]:
        """Forgets the map."""
        return self._host.reset()

    def save(self, path: Path) -> Future[None]:
        """Writes the map to a file."""
        return self._host.save(path)

    def load(self, path: Path) -> Future[None]:
        """Replaces the map by a saved one."""
        return self._host.load(path)
