"""All that the viewer knows of the host of a map; nothing else here touches it.

What takes the map's time comes back as a future: a page never waits in the worker's queue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
from jaxtyping import Float, Float32, UInt8

from lerf_ros.frames import Keyframe, PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.submap import NotReadyError
from lerf_ros.query.engine import QueryRequest, QueryResult
from lerf_ros.query.likeness import Likeness, likeness
from lerf_ros.runtime.host import MapHost
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.worker import CONTROL, INGEST, QUERY, WorkerStopped
from lerf_ros.surface.cloud import SurfacePoints

Transform = Float[np.ndarray, '4 4']

# What a request may meet through no fault of ours.
EXPECTED = (ValueError, OSError, NotReadyError, WorkerStopped, CancelledError, FutureTimeoutError)
# Rays drawn in one piece: about as long as a training step takes.
PIECE_RAYS = 4096
# A view shows something where at least this much of the ray's light comes from the map.
OPAQUE = 0.5
REPLACED = 'the map was replaced meanwhile: ask again'


@dataclass(frozen=True)
class Feed:
    """What became of the keyframes that were sent to the map.

    Attributes:
        received: Keyframes that came.
        integrated: Keyframes that are in the map.
        dropped: Keyframes that were refused, overtaken or failed.
        note: What the map waits for or what went wrong last; empty if nothing.
    """

    received: int = 0
    integrated: int = 0
    dropped: int = 0
    note: str = ''


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
        error: What made training fail; empty if nothing.
        feed: What became of the keyframes.
    """

    state: str
    step: int
    steps_per_second: float
    loss: float
    keyframes: int
    memory_mb: float
    encoder: str
    device: str
    error: str
    feed: Feed


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The map as it stands.

    Attributes:
        generation: Another number means another map.
        surface: The surface cloud.
        camera: Intrinsics of a keyframe; None without one.
        ids: Numbers of the keyframes.
        poses: Their `camera_to_world`, metres.
    """

    generation: int
    surface: SurfacePoints
    camera: PinholeCamera | None
    ids: tuple[int, ...]
    poses: Float[np.ndarray, 'n 4 4']


@dataclass(frozen=True, eq=False)
class Answer:
    """Results, and the very surface they were computed on, row by row.

    Attributes:
        generation: The map that answered.
        results: One for each positive.
        surface: Its rows are those of the results' clouds.
        step: Training step of the map when it answered.
        frame: World frame of all positions.
    """

    generation: int
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
        feed: Tells what became of the keyframes.
    """

    def __init__(self, host: MapHost, feed: Callable[[], Feed] = Feed) -> None:
        self._host, self._feed = host, feed
        self._trainer: object = None
        self._generation = 0
        self._camera: PinholeCamera | None = None
        self._process = psutil.Process()

    def status(self) -> Status:
        """Returns how the map does, without waiting for it."""
        host, live_map = self._host, self._host.map
        return Status(
            state=host.state,
            step=live_map.trainer.step_count,
            steps_per_second=host.steps_per_second,
            loss=float(host.loss) if host.state != 'WAITING' else math.nan,
            keyframes=live_map.keyframe_count,
            memory_mb=self._process.memory_info().rss / 2**20,
            encoder=live_map.encoder.name,
            device=str(live_map.device),
            error=str(host.error) if host.error is not None else '',
            feed=self._feed(),
        )

    def look(self) -> Future[Snapshot]:
        """Looks at the surface and the keyframes."""

        def look() -> Snapshot:
            live_map = self._host.map
            store = live_map.trainer.store
            ids = tuple(store.ids)
            poses = np.array([store.pose(id_) for id_ in ids]).reshape(-1, 4, 4)
            generation = self._generation_now()
            if ids and self._camera is None:
                self._camera = store.keyframe(ids[0]).frame.camera
            return Snapshot(generation, live_map.surface(), self._camera, ids, poses)

        return self._host.submit(look, QUERY)

    def ask(self, request: QueryRequest) -> Future[Answer]:
        """Asks the map."""

        def ask() -> Answer:
            live_map = self._host.map
            results = tuple(live_map.query(request))
            return Answer(
                self._generation_now(),
                results,
                live_map.surface(),
                live_map.trainer.step_count,
                live_map.config.node.world_frame,
            )

        return self._host.submit(ask, QUERY)

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
        live_map = self._host.map
        trainer = live_map.trainer
        strips = []
        rows = max(1, PIECE_RAYS // camera.width)
        for first in range(0, camera.height, rows):
            height = min(rows, camera.height - first)
            strip = replace(camera, cy=camera.cy - first, height=height)
            self._require(trainer)
            strips.append(live_map.render(strip, camera_to_world))
            yield
        image, depth_m, accumulation = (
            np.concatenate([getattr(strip, name) for strip in strips])
            for name in ('image', 'depth_m', 'accumulation')
        )
        depth_m = np.where(accumulation > OPAQUE, depth_m, np.nan).astype(np.float32)
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
            while True:
                self._require(trainer)
                try:
                    next(heat)
                except StopIteration as stop:
                    relevancy.append(stop.value)
                    break
                yield
        return Drawing(image, depth_m, accumulation, tuple(relevancy))

    def like(self, position_m: Float[np.ndarray, '3'], texts: tuple[str, ...]) -> Future[Likeness]:
        """Tells which of some texts a place of the surface is most like."""

        def compare() -> Likeness:
            live_map = self._host.map
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

    def picture(self, id_: int) -> Future[PosedFrame]:
        """Returns a keyframe with its picture."""

        def read() -> PosedFrame:
            try:
                return self._host.map.trainer.store.keyframe(id_).frame
            except KeyError:
                raise ValueError(f'keyframe: there is no keyframe {id_} any more') from None

        return self._host.submit(read, QUERY)

    def take(self, keyframe: Keyframe) -> Future[None]:
        """Takes a keyframe into the map; the future is that of its last job."""
        jobs = self._host.map.ingest_jobs(keyframe)
        return [self._host.submit(job, INGEST) for job in jobs][-1]

    def pause(self) -> None:
        """Stops learning."""
        self._host.pause()

    def resume(self) -> None:
        """Goes on learning."""
        self._host.resume()

    def reset(self) -> Future[None]:
        """Forgets the map."""

        def reset() -> None:
            self._host.map.reset()
            self._host.revive()

        return self._host.submit(reset, CONTROL)

    def save(self, path: Path) -> Future[None]:
        """Writes the map to a file."""
        return self._host.submit(lambda: self._host.map.save(path), CONTROL)

    def load(self, path: Path) -> Future[None]:
        """Replaces the map by a saved one."""

        def load() -> None:
            self._host.map.load(path)
            self._host.revive()

        return self._host.submit(load, CONTROL)

    def _generation_now(self) -> int:
        if self._trainer is not self._host.map.trainer:
            self._trainer = self._host.map.trainer
            self._generation += 1
            self._camera = None
        return self._generation

    def _require(self, trainer: object) -> None:
        if self._host.map.trainer is not trainer:
            raise NotReadyError(REPLACED)
