"""The page: a web server, a session for each browser, and what all of them look at."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time

from viser import ClientHandle, ViserServer

from lerf_ros.config import LerfConfig
from lerf_ros.viewer.chunks import ChunkedSurface
from lerf_ros.viewer.map_access import EXPECTED, MapAccess
from lerf_ros.viewer.session import Session
from lerf_ros.viewer.state import Snapshot

_log = logging.getLogger(__name__)

# How often a page hears how the map does.
STATUS_S = 0.5
LOOK_TIMEOUT_S = 30.0
GOODBYE_S = 0.8
# A map that seems to stand still is looked at all the same after so many periods: the surface of a
# map without depth comes of learning.
LOOK_ANYWAY = 5
LABEL = 'lerf_ros'
AMBIENT = 2.5


class _LocalServer(ViserServer):
    """A server that never opens a tunnel to the outside, whatever a page asks."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refuses."""
        return None


class Viewer:
    """Shows a map on a web page.

    Args:
        access: The map.
        config: The options.

    Raises:
        OSError: The address is not one of this machine, or no port is free.

    Attributes:
        url: Where the page is.
    """

    def __init__(self, access: MapAccess, config: LerfConfig) -> None:
        self._access, self._config = access, config
        self._sessions: dict[int, Session] = {}
        self._coming = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._came = threading.Event()
        self._surface = ChunkedSurface()
        self._snapshot: Snapshot | None = None
        options = config.viewer
        with contextlib.redirect_stdout(io.StringIO()):
            self._server = _LocalServer(host=options.host, port=options.port, verbose=False)
        port = self._server.get_port()
        if port != options.port:
            _log.warning('port %d is taken: the page is on port %d', options.port, port)
        host = 'localhost' if options.host in ('127.0.0.1', '0.0.0.0') else options.host
        self.url = f'http://{host}:{port}'
        self._server.gui.set_panel_label(LABEL)
        self._server.gui.configure_theme(
            control_width='large', show_logo=False, show_share_button=False, dark_mode=True
        )
        # Beside the scene and not over it: the middle of the scene is the middle of what is seen.
        self._server.gui.main_panel.dock_right()
        # Flat colours: a browser without a GPU needs a quarter of a minute for the shader of a lit
        # surface in an environment.
        self._server.scene.configure_default_lights(False)
        self._server.scene.configure_environment_map(None)
        self._server.scene.add_light_ambient('/light', intensity=AMBIENT)
        self._server.on_client_connect(self._open)
        self._server.on_client_disconnect(self._close)
        self._thread = threading.Thread(target=self._run, name='lerf-viewer', daemon=True)
        self._thread.start()

    @property
    def browsers(self) -> int:
        """Pages that are open."""
        return len(self._sessions)

    def close(self) -> None:
        """Ends the page and all its threads."""
        self._stopping.set()
        self._came.set()
        self._thread.join(5.0)
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()
        # viser stops badly while somebody is there.
        self._server._websock_server.disconnect_all_clients()
        deadline_s = time.monotonic() + GOODBYE_S
        while self._server.get_clients() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        self._server.stop()

    def _open(self, client: ClientHandle) -> None:
        with self._lock:
            self._coming += 1
        # The map is looked at while the panels are made.
        self._came.set()
        try:
            session = Session(client, self._access, self._config)
            with self._lock:
                self._sessions[client.client_id] = session
        finally:
            with self._lock:
                self._coming -= 1
        # It may have gone before it was there.
        if client.client_id not in self._server.get_clients():
            self._close(client)
            return
        session.refresh(self._surface, self._snapshot, self._access.status())
        self._came.set()

    def _close(self, client: ClientHandle) -> None:
        with self._lock:
            session = self._sessions.pop(client.client_id, None)
        if session is not None:
            session.close()

    def _run(self) -> None:
        """Tells every page how the map does; does nothing while none is open."""
        since_look_s, sight = float('inf'), self._access.sight()
        while not self._stopping.is_set():
            if not self._sessions and not self._coming:
                # What nobody sees is not kept.
                self._surface, self._snapshot = ChunkedSurface(), None
                self._came.wait()
                self._came.clear()
                since_look_s = float('inf')
                continue
            period_s, sight_now = self._config.viewer.cloud_period_s, self._access.sight()
            if since_look_s >= (period_s if sight_now != sight else LOOK_ANYWAY * period_s):
                since_look_s, sight = 0.0, sight_now
                self._look()
            self._tell()
            self._stopping.wait(STATUS_S)
            since_look_s += STATUS_S

    def _tell(self) -> None:
        """Tells every page what is new."""
        with self._lock:
            sessions = list(self._sessions.values())
        status = self._access.status()
        for session in sessions:
            session.refresh(self._surface, self._snapshot, status)

    def _look(self) -> None:
        try:
            snapshot = self._access.look().result(LOOK_TIMEOUT_S)
        except EXPECTED as error:
            _log.warning('the viewer cannot look at the map: %s', error)
            return
        self._surface.update(snapshot.surface)
        self._snapshot = snapshot
