"""Reading one map: answers, renderings, and views drawn in short pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float32

from lerf_ros.field.readable import ReadableField
from lerf_ros.field.view import RenderedView
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.seen import SeenReader
from lerf_ros.maps.view import MapView, opaque_depth, rendered_pieces
from lerf_ros.query.engine import QueryEngine, QueryRequest, QueryResult
from lerf_ros.query.phrase import parse_phrase
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.trainer import Trainer

T = TypeVar('T')


class MapReader:
    """Reads a map until another one takes its place.

    Args:
        engine: Answers phrases; what it caches is of this map.
        trainer: Holds the field.
        surface_map: The surface.

    Attributes:
        seen: Reads what its keyframes show.
    """

    def __init__(self, engine: QueryEngine, trainer: Trainer, surface_map: SurfaceMap) -> None:
        self._engine = engine
        self._trainer = trainer
        self._surface_map = surface_map
        self.seen = SeenReader(trainer.store, surface_map)
        self._queried = False
        self._closed = False

    def close(self) -> None:
        """Ends the views that are being drawn: the map is replaced."""
        self._closed = True

    def query(self, request: QueryRequest, stamp_ns: int) -> list[QueryResult]:
        """Answers a request, one result per positive.

        Args:
            request: The question.
            stamp_ns: Stamp of the newest keyframe.

        Raises:
            ValueError: The request is malformed.
            NotReadyError: The map has not learned anything yet.
        """
        field = self._require_field()
        if self._trainer.step_count == 0:
            raise NotReadyError('the map has not learned anything yet: ask again in a moment')
        if len(self._surface_map.points().positions) == 0:
            raise NotReadyError(
                'the map has no surface yet: wait for training, or check the depth stream'
            )
        self._queried = True
        return self._engine.query(
            request,
            field=field,
            surface=self._surface_map,
            step=self._trainer.step_count,
            stamp_ns=stamp_ns,
            views=self.seen,
        )

    def refresh(self, points: int) -> None:
        """Renews the cached embeddings of some points; only a queried map pays for it."""
        if not self._queried or not points:
            return
        self._engine.refresh(
            points,
            field=self._require_field(),
            surface=self._surface_map,
            step=self._trainer.step_count,
        )

    def render(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4']
    ) -> RenderedView:
        """Renders the map from any pose; see :meth:`Submap.render`."""
        self._require_field()
        return self._trainer.render(camera, camera_to_world)

    def view_pieces(
        self,
        camera: PinholeCamera,
        camera_to_world: Float[np.ndarray, '4 4'],
        phrase: str,
        newest_ns: Callable[[], int],
    ) -> Pieces[MapView]:
        """Draws the map in short pieces; see :meth:`Submap.view_pieces`.

        Args:
            camera: Intrinsics of the view.
            camera_to_world: Its pose.
            phrase: The phrase whose relevancy is drawn; empty for none.
            newest_ns: Returns the stamp of the newest keyframe.
        """
        if phrase:
            parse_phrase(phrase, 'phrase')
        self._require_field()
        view = yield from self._while_open(
            rendered_pieces(self._trainer.render, camera, camera_to_world, self._trainer.device)
        )
        depth_m = opaque_depth(view)
        relevancy = None
        if phrase:
            relevancy = yield from self.relevancy_pieces(phrase, depth_m, camera, camera_to_world)
        return MapView(view.image, depth_m, relevancy, newest_ns())

    def relevancy_pieces(
        self,
        phrase: str,
        depth_m: Float[np.ndarray, 'height width'],
        camera: PinholeCamera,
        camera_to_world: Float[np.ndarray, '4 4'],
    ) -> Pieces[Float32[np.ndarray, 'height width']]:
        """Returns the relevancy of a view; see :meth:`Submap.relevancy_pieces`."""
        relevancy = yield from self._while_open(
            self._engine.heat_map_pieces(
                phrase,
                field=self._require_field(),
                surface=self._surface_map,
                depth_m=depth_m,
                camera=camera,
                camera_to_world=camera_to_world,
                step=self._trainer.step_count,
            )
        )
        return relevancy

    def _require_field(self) -> ReadableField:
        if self._trainer.readable is None:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        return self._trainer.readable

    def _while_open(self, pieces: Pieces[T]) -> Pieces[T]:
        """Works on pieces as long as this is the map they were begun for.

        What is read for a map that is gone must not get into the answers of the next one.
        """
        while True:
            if self._closed:
                raise NotReadyError('the map was replaced while the view was drawn: ask again')
            try:
                next(pieces)
            except StopIteration as stop:
                return stop.value
            yield
