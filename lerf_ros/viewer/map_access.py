"""All that the viewer knows of the host of a map; nothing else here touches it.

A browser computes in 32 bits: what is shown is in the map's own frame (`maps.own_frame`), which is
the world's unless the map is far from its origin. Answers come in the world's as well.

What takes the map's time comes back as a future: a page never waits in the worker's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
from jaxtyping import Float

from lerf_ros.config import LerfConfig
from lerf_ros.frames import KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera, inverse_transform, transform_points
from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.maps.view import opaque_depth, rendered_pieces
from lerf_ros.query.engine import QueryRequest
from lerf_ros.query.likeness import Likeness, familiar_texts, likeness
from lerf_ros.runtime.host import MapHost
from lerf_ros.runtime.questions import BusyError
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.worker import QUERY, WorkerStopped
from lerf_ros.viewer.state import Answer, Drawing, Piece, Snapshot, Status

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
        return self._host.intake.waiting

    @property
    def familiar_texts(self) -> tuple[str, ...]:
        """What a place is compared with where nobody says."""
        return familiar_texts(self._host.map.encoder)

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

    def sight(self) -> tuple[object, ...]:
        """Returns what is another one whenever a keyframe has changed what is to be seen."""
        host, live_map = self._host, self._host.map
        counts = live_map.keyframe_count, live_map.last_stamp_ns, live_map.pose_epoch
        return (live_map.id, *counts, host.surface_points)

    def look(self) -> Future[Snapshot]:
        """Looks at the surface and the keyframes."""

        def look() -> Snapshot:
            live_map = self._host.map
            poses = {
                id_: node_pose @ store.pose(id_)
                for node_pose, store in self._stores()
                for id_ in store.ids
            }
            return Snapshot(
                live_map.id,
                live_map.own_frame.surface(live_map.surface()),
                live_map.last_camera,
                tuple(poses),
                np.array(list(poses.values())).reshape(-1, 4, 4),
                self._pieces(),
            )

        return self._host.submit(look, QUERY)

    def _stores(self) -> Iterator[tuple[Transform, KeyframeStore]]:
        """Yields the pose of each submap that is awake, and its keyframes."""
        live_map = self._host.map
        if not isinstance(live_map, Atlas):
            yield np.eye(4), live_map.trainer.store
            return
        for node in live_map.nodes.awake():
            if node.submap is not None:
                yield node.submap_to_world, node.submap.trainer.store

    def _pieces(self) -> tuple[Piece, ...]:
        live_map = self._host.map
        if not isinstance(live_map, Atlas):
            return ()
        pieces = []
        for node in live_map.nodes:
            middle = np.eye(4)
            middle[:3, 3] = node.centre_m
            pieces.append(
                Piece(node.name, node.submap_to_world @ middle, 2 * node.half_m, node.asleep)
            )
        return tuple(pieces)

    def ask(self, request: QueryRequest) -> Future[Answer]:
        """Asks the map.

        Raises:
            BusyError: Too many questions wait already.
        """

        def ask() -> Answer:
            live_map = self._host.map
            results = live_map.own_frame.results(live_map.query(request))
            return Answer(
                live_map.id,
                tuple(results),
                live_map.config.query.voxel_m,
                live_map.step_count,
                live_map.config.node.world_frame,
                live_map.own_frame,
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
        live_map = self._host.map
        pose_world = live_map.own_frame.world_poses(camera_to_world)
        view = yield from self._while_it_lasts(
            live_map.id,
            rendered_pieces(live_map.render, camera, pose_world, live_map.device),
        )
        depth_m = opaque_depth(view)
        relevancy = []
        for phrase in phrases:
            if isinstance(live_map, Atlas):
                # A submap of its own negatives and scale: an atlas reads at the best scale only.
                heat = live_map.relevancy_pieces(phrase, depth_m, camera, pose_world)
            else:
                assert live_map.trainer.readable is not None
                heat = live_map.engine.heat_map_pieces(
                    phrase,
                    field=live_map.trainer.readable,
                    surface=live_map.surface_map,
                    depth_m=depth_m,
                    camera=camera,
                    camera_to_world=camera_to_world,
                    step=live_map.step_count,
                    negatives=negatives,
                    scale_m=scale_m,
                )
            relevancy.append((yield from self._while_it_lasts(live_map.id, heat)))
        return Drawing(view.image, depth_m, view.accumulation, tuple(relevancy))

    def _while_it_lasts(self, map_id: str, pieces: Pieces[T]) -> Pieces[T]:
        """Works on pieces as long as the map is the one they were begun for."""
        while True:
            if self._host.map.id != map_id:
                raise NotReadyError(REPLACED)
            try:
                next(pieces)
            except StopIteration as stop:
                return stop.value
            yield

    def like(self, position_m: Float[np.ndarray, '3'], texts: tuple[str, ...]) -> Future[Likeness]:
        """Tells which of some texts a place of the surface is most like."""

        def compare() -> Likeness:
            live_map, place = self._submap_at(position_m)
            if live_map.trainer.readable is None:
                raise NotReadyError('the map is empty: there is nothing to compare')
            return likeness(
                place,
                texts,
                encoder=live_map.encoder,
                field=live_map.trainer.readable,
                points=live_map.surface_map.points(),
                options=live_map.config.query,
                features=live_map.config.features,
            )

        return self._host.submit(compare, QUERY)

    def _submap_at(self, position_m: Float[np.ndarray, '3']) -> tuple[Submap, np.ndarray]:
        """Returns the submap that is awake at a place, and the place in its frame."""
        live_map = self._host.map
        if not isinstance(live_map, Atlas) or not (awake := live_map.nodes.awake()):
            return live_map.current, position_m
        node = min(awake, key=lambda node: node.distance_m(position_m))
        assert node.submap is not None
        place = transform_points(inverse_transform(node.submap_to_world), position_m[None])[0]
        return node.submap, place

    def picture(self, id_: KeyframeId) -> Future[PosedFrame]:
        """Returns a keyframe with its picture."""

        def read() -> PosedFrame:
            for to_world, store in self._stores():
                if id_ in store.ids:
                    frame = store.keyframe(id_).frame
                    return replace(frame, camera_to_world=to_world @ frame.camera_to_world)
            raise ValueError(f'keyframe: {id_} is in no submap that is awake')

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
