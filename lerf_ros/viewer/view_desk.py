"""The view of one browser: its panel, the points or the rendered view, and when to draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from viser import ClientHandle

from lerf_ros.config import LerfConfig
from lerf_ros.query.request import QueryRequest
from lerf_ros.viewer.backdrop import Backdrop
from lerf_ros.viewer.cameras import intrinsics_of, pose_of
from lerf_ros.viewer.cloud_layer import CloudLayer
from lerf_ros.viewer.map_access import MapAccess
from lerf_ros.viewer.outputs import Paint, paint_view
from lerf_ros.viewer.state import Answer, Drawing
from lerf_ros.viewer.view_drawer import ViewDrawer, Wanted
from lerf_ros.viewer.view_panel import BACKGROUND, POINTS, ViewPanel

# A camera whose numbers differ by less stands still; metres, radians.
MOVED = 3e-4


class ViewDesk:
    """Shows what the view panel asks for. All but the drawing runs in the session's thread.

    Args:
        client: The browser; the current tab is filled.
        access: The map.
        config: The options.
        cloud: The browser's points.
        do: Queues a job of the session.
        repaint: Paints the points anew.
        on_rescaled: Called when relevancy is to be read at another scale.
        on_layers: Called when layers are to be shown or hidden.

    Attributes:
        panel: What a person chose.
        coat: Another number means that the points look otherwise.
    """

    def __init__(
        self,
        client: ClientHandle,
        access: MapAccess,
        config: LerfConfig,
        cloud: CloudLayer,
        do: Callable[[Callable[[], None]], None],
        *,
        repaint: Callable[[], None],
        on_rescaled: Callable[[], None],
        on_layers: Callable[[], None],
    ) -> None:
        self._client, self._cloud, self._do, self._repaint = client, cloud, do, repaint
        self._width_px = config.viewer.view_width_px
        self._voxel_m = config.query.voxel_m
        self.panel = ViewPanel(
            client.gui,
            config.query,
            lambda: do(self._change),
            lambda: do(on_rescaled),
            lambda: do(on_layers),
        )
        self.backdrop = Backdrop(client)
        self._drawer = ViewDrawer(access, self._show, self._complain)
        self._answer: Answer | None = None
        self._request: QueryRequest | None = None
        self._seen: tuple[Paint, float, str] | None = None
        self._last: tuple[Wanted, Drawing] | None = None
        self._given_away = False
        self._at = np.zeros(0)
        self.coat = 0

    @property
    def paint(self) -> Paint:
        """How the points are painted: without an answer there is no relevancy."""
        return self.panel.paint

    def moved(self) -> None:
        """Hears that the browser's camera may have moved."""
        camera = self._client.camera
        at = np.array([*camera.wxyz, *camera.position, camera.fov, camera.aspect])
        if self._at.shape != at.shape or not np.allclose(self._at, at, rtol=0, atol=MOVED):
            self._at = at
            self._look()

    def answered(self, answer: Answer, request: QueryRequest) -> None:
        """Takes a new answer: its relevancy is what is shown from now on."""
        self._answer, self._request = answer, request
        self.panel.offer(len(answer.results))
        self.coat += 1
        self._look()

    def forget(self) -> None:
        """Takes the answer away: its map is gone."""
        self._answer = self._request = None
        self.panel.offer(0)
        self.coat += 1
        self._look()

    def give_background(self, away: bool) -> None:
        """Leaves the background to a keyframe's picture, or takes it back."""
        self._given_away = away
        if not away:
            self.backdrop.clear()
        self._cloud.visible = not away and self.panel.shown_as != BACKGROUND
        self._look()

    def close(self) -> None:
        """Ends the drawing."""
        self._drawer.close()

    def _change(self) -> None:
        panel = self.panel
        seen = panel.paint, panel.point_size, panel.shown_as
        before, self._seen = self._seen, seen
        if before is None or before[1] != seen[1]:
            self._cloud.resize(panel.point_size, self._voxel_m)
        if before is None or before[2] != seen[2]:
            self.give_background(self._given_away)
            if panel.shown_as == POINTS:
                panel.show_picture(None)
        if before is None or before[0] != seen[0]:
            self.coat += 1
            self._repaint()
            if self._last is not None and self._wanted_phrase() == self._last[0].phrase:
                # The same drawing in other colours.
                self._show(*self._last)
            else:
                self._look()

    def _wanted_phrase(self) -> str:
        number, request = self.panel.paint.phrase, self._request
        if number is None or request is None or number >= len(request.positives):
            return ''
        return request.positives[number]

    def _look(self) -> None:
        """Asks for a drawing of what the browser sees now, if one is shown."""
        if self.panel.shown_as == POINTS or self._given_away:
            self._drawer.want(None)
            self._last = None
            if not self._given_away:
                self.backdrop.clear()
            return
        camera = self._client.camera
        request = self._request
        self._drawer.want(
            Wanted(
                intrinsics_of(camera, self._width_px),
                pose_of(camera),
                self._wanted_phrase(),
                () if request is None else request.negatives,
                self.panel.scale_m,
            )
        )

    def _show(self, wanted: Wanted, drawing: Drawing) -> None:
        paint = self.panel.paint
        top = None
        answer = self._answer
        if answer is not None and paint.phrase is not None and paint.phrase < len(answer.results):
            top = float(answer.results[paint.phrase].relevancy.max(initial=0))
        picture = paint_view(paint, drawing, top)
        self._last = wanted, drawing
        if self._given_away:
            return
        if self.panel.shown_as == BACKGROUND:
            self.panel.show_picture(None)
            self.backdrop.show(picture, drawing.depth_m)
        else:
            self.backdrop.clear()
            self.panel.show_picture(picture)

    def _complain(self, sentence: str) -> None:
        self._client.add_notification('No view', sentence, color='red', auto_close_seconds=4.0)
