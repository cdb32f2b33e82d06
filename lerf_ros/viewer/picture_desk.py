"""The keyframes of one browser: choosing one, looking from there, asking by a rectangle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from viser import ClientHandle, SceneRectSelectEvent

from lerf_ros.frames import KeyframeId, PosedFrame
from lerf_ros.query.request import Exemplar, QueryRequest
from lerf_ros.viewer.backdrop import fitted, window_camera
from lerf_ros.viewer.camera_layer import CameraLayer
from lerf_ros.viewer.cameras import look_from
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.picture_panel import PicturePanel
from lerf_ros.viewer.state import Snapshot
from lerf_ros.viewer.view_desk import ViewDesk

READ_S = 30.0


class PictureDesk:
    """Shows keyframes and asks by what is in them. Runs in the session's thread.

    Args:
        client: The browser; the current tab is filled.
        access: The map.
        cameras: The browser's cameras.
        view: The browser's view, whose background a picture takes.
        do: Queues a job of the session.
        ask: Asks by a picture.
        on_drawing: Called when a rectangle may be drawn from now on, or no more.

    Attributes:
        drawing: Whether a rectangle may be drawn now.
    """

    def __init__(
        self,
        client: ClientHandle,
        access: MapAccess,
        cameras: CameraLayer,
        view: ViewDesk,
        do: Callable[[Callable[[], None]], None],
        ask: Callable[[QueryRequest], None],
        on_drawing: Callable[[], None],
    ) -> None:
        self._client, self._access, self._cameras, self._view = client, access, cameras, view
        self._do, self._ask, self._on_drawing = do, ask, on_drawing
        self._ids: tuple[KeyframeId, ...] = ()
        self._chosen: tuple[KeyframeId, PosedFrame] | None = None
        self._corners_uv = np.zeros((2, 2))
        self.drawing = False
        self._panel = PicturePanel(
            client.gui,
            lambda number: do(lambda: self._choose(number)),
            lambda: do(self._look),
            lambda begins: do(self._begin if begins else self.leave),
        )

    def offer(self, snapshot: Snapshot) -> None:
        """Takes the keyframes of the map as it stands."""
        self._ids = snapshot.ids
        self._panel.offer(len(snapshot.ids))

    def show(self, id_: KeyframeId) -> None:
        """Shows the picture of a keyframe."""
        frame = self._access.picture(id_).result(READ_S)
        self._chosen = id_, frame
        self._cameras.choose(id_, frame.camera_to_world)
        self._panel.show(id_, frame.image)

    def forget(self) -> None:
        """Takes the picture away: its map is gone."""
        self.leave()
        self._chosen = None
        self._cameras.choose(None)
        self._panel.forget()

    def leave(self) -> None:
        """Ends the drawing of a rectangle and shows the map again."""
        if self.drawing:
            self.drawing = False
            self._client.scene.remove_rect_select_callback()
            self._panel.drawing(False)
            self._view.give_background(False)
            self._on_drawing()

    def _choose(self, number: int) -> None:
        if 0 <= number < len(self._ids):
            self.show(self._ids[number])
            if self.drawing:
                self._begin()

    def _look(self) -> None:
        if self._chosen is not None:
            # From inside, its frustum would be a frame around everything.
            self._cameras.choose(None)
            look_from(self._client, self._chosen[1].camera, self._chosen[1].camera_to_world)

    def _begin(self) -> None:
        """Shows the picture all over the scene, and waits for a rectangle in it."""
        if self._chosen is None:
            return
        frame = self._chosen[1]
        self._cameras.choose(None)
        window, self._corners_uv = fitted(frame.image, float(self._client.camera.aspect))
        look_from(
            self._client, window_camera(frame.camera, self._corners_uv), frame.camera_to_world
        )
        if not self.drawing:
            self.drawing = True
            self._client.scene.on_rect_select()(self._on_rectangle)
        self._view.give_background(True)
        self._view.backdrop.show(window)
        self._panel.drawing(True)
        self._on_drawing()

    def _on_rectangle(self, event: SceneRectSelectEvent) -> None:
        self._do(lambda: self._ask_within(event.screen_min, event.screen_max))

    def _ask_within(self, low: tuple[float, float], high: tuple[float, float]) -> None:
        if self._chosen is None:
            return
        id_, frame = self._chosen
        first, last = self._corners_uv
        u0, v0 = first + np.array(low) * (last - first)
        u1, v1 = first + np.array(high) * (last - first)
        box_uv = (float(u0), float(v0), float(u1), float(v1))
        exemplar = Exemplar(frame.image, box_uv, f'what is in keyframe {id_}')
        exemplar.check()
        self.leave()
        self._ask(QueryRequest(exemplars=(exemplar,)))
