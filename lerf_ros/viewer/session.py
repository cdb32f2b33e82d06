"""One browser: its panels, its scene, its questions.

Whatever a person does becomes a job of this session's one thread, so that nothing here needs a
lock. Closing the page ends the thread and frees all that it held.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path

import numpy as np
from viser import ClientHandle, Icon, SceneClickEvent

from lerf_ros.config import LerfConfig
from lerf_ros.query.request import Maximum, QueryRequest
from lerf_ros.surface.ply import ply_bytes
from lerf_ros.viewer.answer_layer import AnswerLayer
from lerf_ros.viewer.ask_panel import AskPanel
from lerf_ros.viewer.camera_layer import CameraLayer
from lerf_ros.viewer.cameras import eye_for, fly, overview, picked, place, pose_of, up_of
from lerf_ros.viewer.chunks import ChunkedSurface
from lerf_ros.viewer.cloud_layer import CloudLayer
from lerf_ros.viewer.exports import answer_json
from lerf_ros.viewer.jobs import PERSON, UPKEEP, Job, Jobs
from lerf_ros.viewer.map_access import EXPECTED, MapAccess
from lerf_ros.viewer.map_panel import MapPanel
from lerf_ros.viewer.painter import Painter
from lerf_ros.viewer.picture_desk import PictureDesk
from lerf_ros.viewer.state import Answer, Snapshot, Status
from lerf_ros.viewer.submap_layer import SubmapLayer
from lerf_ros.viewer.view_desk import ViewDesk
from lerf_ros.viewer.words import likeness_html, shortened, split_list, split_phrases

_log = logging.getLogger(__name__)

# A clicked ray finds a point within so many voxels.
REACH_VOXELS = 1.5
NOTICE_S = 6.0
# What takes longer is said to be under way.
AT_ONCE_S = 0.4
# viser collects messages for a sixtieth of a second; what is flushed is gone by then.
WORDS_S = 0.02


class Session:
    """What one browser sees and does.

    Args:
        client: The browser.
        access: The map.
        config: The options.
    """

    def __init__(self, client: ClientHandle, access: MapAccess, config: LerfConfig) -> None:
        self._client, self._access = client, access
        self._timeout_s = config.node.query_timeout_s
        self._jobs = Jobs(f'lerf-browser-{client.client_id}')
        self._surface: ChunkedSurface | None = None
        self._snapshot: Snapshot | None = None
        self._map_id: str | None = None
        self._answer: Answer | None = None
        self._shown_points = self._refreshing = self._moving = False
        self._cloud = CloudLayer(client)
        self._cameras = CameraLayer(
            client,
            config.viewer.max_cameras,
            lambda id_: self.do(lambda: self._pictures.show(id_)),
        )
        self._submaps = SubmapLayer(client)
        self._answers = AnswerLayer(client, lambda place: self.do(lambda: self._fly_to(place)))
        headline = client.gui.add_html('')
        tabs = client.gui.add_tab_group()
        with tabs.add_tab('Ask', Icon.SEARCH):
            self._ask = AskPanel(
                client.gui,
                access.familiar_texts,
                lambda: self.do(self._ask_phrases),
                lambda place: self.do(lambda: self._fly_to(place)),
                lambda: self.do(self._download_answer),
            )
        with tabs.add_tab('View', Icon.EYE):
            self._view = ViewDesk(
                client,
                access,
                config,
                self._cloud,
                self.do,
                repaint=self._paint,
                on_rescaled=self._rescale,
                on_layers=self._show_layers,
            )
        with tabs.add_tab('Keyframes', Icon.CAMERA):
            self._pictures = PictureDesk(
                client,
                access,
                self._cameras,
                self._view,
                self.do,
                ask=self._put,
                on_drawing=self._show_layers,
            )
        with tabs.add_tab('Map', Icon.MAP):
            self._map = MapPanel(
                client.gui, headline, lambda lever: self.do(lambda: self._pull(lever))
            )
        client.scene.on_click()(self._on_click)
        client.camera.on_update(lambda _: self._on_camera())

    def do(self, job: Job, urgency: int = PERSON) -> None:
        """Queues a job of this session; what goes wrong is told to the person."""

        def guarded() -> None:
            try:
                job()
            except EXPECTED as error:
                self._complain(str(error) or 'the map took too long to answer')
            except Exception:
                _log.exception('the viewer has failed')
                self._complain('internal error: see the log of the viewer')

        self._jobs.submit(guarded, urgency)

    def close(self) -> None:
        """Ends this session; jobs that wait are dropped."""
        self._view.close()
        self._jobs.close()
        self._surface = self._snapshot = self._answer = None

    def refresh(self, surface: ChunkedSurface, snapshot: Snapshot | None, status: Status) -> None:
        """Shows the newest state of the map, unless the last one is being shown still."""
        if not self._refreshing:
            self._refreshing = True
            self.do(lambda: self._refresh(surface, snapshot, status), UPKEEP)

    def _on_camera(self) -> None:
        """Hears that the browser's camera has moved, or that it came to what was sent."""
        if not self._moving:
            self._moving = True
            self.do(self._moved, UPKEEP)

    def _moved(self) -> None:
        self._moving = False
        if self._cloud.taken_in():
            self._paint()
        self._answers.arrange()
        self._view.moved()

    def _refresh(self, surface: ChunkedSurface, snapshot: Snapshot | None, status: Status) -> None:
        try:
            points = 0 if surface.surface is None else len(surface.surface)
            self._map.show(status, points)
            if snapshot is None:
                return
            if self._map_id not in (None, snapshot.map_id):
                self._forget()
            self._map_id = snapshot.map_id
            self._surface, self._snapshot = surface, snapshot
            if points and not self._shown_points and surface.surface is not None:
                self._shown_points = True
                eye, target = overview(surface.surface.positions, snapshot.poses)
                place(self._client, eye, target, up_of(snapshot.poses))
            self._paint()
            self._cameras.show(snapshot)
            self._submaps.show(snapshot.submaps)
            self._pictures.offer(snapshot)
        finally:
            self._refreshing = False

    def _forget(self) -> None:
        """Takes away what belonged to a map that is gone."""
        self._answer = None
        self._shown_points = False
        self._answers.clear()
        self._ask.forget()
        self._pictures.forget()
        self._view.forget()

    def _paint(self) -> None:
        if self._surface is None:
            return
        self._answers.points_visible = self._view.paint.phrase is None
        self._cloud.show(self._surface, lambda: self._painter().chunk, self._view.coat)

    def _painter(self) -> Painter:
        return Painter(self._view.paint, self._answer, pose_of(self._client.camera))

    def _show_layers(self) -> None:
        panel, free = self._view.panel, not self._pictures.drawing
        self._cameras.visible = free and panel.shows_cameras
        self._answers.visible = free and panel.shows_answers

    def _ask_phrases(self) -> None:
        text = self._ask.phrase
        try:
            objects, parts = split_phrases(text)
            self._put(
                QueryRequest(
                    positives=objects,
                    parts=parts,
                    negatives=split_list(self._ask.negatives),
                    scale_m=self._view.panel.scale_m,
                )
            )
            self._ask.remember(text.strip())
        except EXPECTED as error:
            self._ask.refuse(str(error) or 'the map took too long to answer')

    def _rescale(self) -> None:
        """Asks again at another scale."""
        if self._answer is not None:
            self._ask_phrases()

    def _put(self, request: QueryRequest) -> None:
        started = time.perf_counter()
        future = self._access.ask(request)
        try:
            answer = future.result(AT_ONCE_S)
        except FutureTimeoutError:
            self._ask.busy()
            answer = future.result(self._timeout_s)
        self._answer = answer
        self._ask.show(answer, time.perf_counter() - started)
        # By itself: a page shows what is only words without drawing its scene before.
        self._client.flush()
        time.sleep(WORDS_S)  # until viser has sent them
        self._answers.show(answer)
        self._view.answered(answer, request)
        self._paint()

    def _fly_to(self, place: Maximum) -> None:
        self._pictures.leave()
        size_m = float(place.box_size_m.max())
        here = np.array(self._client.camera.position, np.float64)
        eye = eye_for(place.position_m, size_m, place.viewpoints, here)
        poses = np.zeros((0, 4, 4)) if self._snapshot is None else self._snapshot.poses
        fly(self._client, eye, np.asarray(place.position_m), up_of(poses))

    def _on_click(self, event: SceneClickEvent) -> None:
        self.do(lambda: self._identify(event))

    def _identify(self, event: SceneClickEvent) -> None:
        surface = self._surface.surface if self._surface is not None else None
        if not self._ask.identifies or surface is None or self._pictures.drawing:
            return
        reach_m = REACH_VOXELS * surface.voxel_m
        ray = np.array(event.ray_origin), np.array(event.ray_direction)
        if (row := picked(*ray, surface.positions, reach_m)) is None:
            return
        place = surface.positions[row].astype(np.float64)
        texts = split_list(self._ask.texts)
        found = self._access.like(place, texts).result(self._timeout_s)
        self._ask.show_likeness(likeness_html(found, place))
        self._answers.mark(place, f'{shortened(found.texts[0])} {found.shares[0]:.0%}')

    def _pull(self, lever: str) -> None:
        if lever == 'pause':
            self._access.pause()
        elif lever == 'resume':
            self._access.resume()
        elif lever == 'reset':
            self._access.reset().result(self._timeout_s)
            self._notice('The map is empty.')
        elif lever == 'ply':
            self._download_cloud()
        else:
            self._file(lever)

    def _file(self, lever: str) -> None:
        text = self._map.path
        if not text.strip() or '\0' in text:
            raise ValueError(f'file: expected the name of a file, got {text!r}')
        path = Path(text.strip()).expanduser().absolute()
        notice = self._client.add_notification(
            'Saving' if lever == 'save' else 'Loading', str(path), loading=True
        )
        try:
            work = self._access.save(path) if lever == 'save' else self._access.load(path)
            work.result(self._timeout_s)
        finally:
            notice.remove()
        self._notice(f'{"Saved to" if lever == "save" else "Loaded"} {path}')

    def _download_cloud(self) -> None:
        surface = self._surface.surface if self._surface is not None else None
        if surface is None or len(surface) == 0:
            raise ValueError('the map has no surface yet: there is nothing to download')
        content = ply_bytes(surface.positions, surface.colours)
        self._client.send_file_download('surface.ply', content, save_immediately=True)

    def _download_answer(self) -> None:
        if self._answer is not None:
            content = answer_json(self._answer)
            self._client.send_file_download('answer.json', content, save_immediately=True)

    def _notice(self, sentence: str) -> None:
        self._client.add_notification('lerf_ros', sentence, auto_close_seconds=NOTICE_S)

    def _complain(self, sentence: str) -> None:
        self._client.add_notification(
            'It did not work', sentence, color='red', auto_close_seconds=NOTICE_S
        )
