"""Subcommand `view`: a map on a web page, without ROS.

Shows a saved map, or maps a recording or the simulated table while a person looks.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lerf_ros.commands.arguments import add_options, make_config
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.selection import KeyframeSelector

if TYPE_CHECKING:
    from lerf_ros.config import LerfConfig
    from lerf_ros.viewer.map_access import MapAccess

TABLE = 'tabletop'
STOP_S = 5.0
SAVED = 'a saved map as it was: Resume lets it learn on'
# Keyframes that wait for the map: more would only make the pictures old.
WAITING = 4
ROOM_S = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        'source',
        metavar='MAP|SOURCE',
        help="a saved map, a recorded folder, or 'tabletop' for the simulated table",
    )
    add_options(parser)
    parser.add_argument('--host', help='address of the page (viewer.host)')
    parser.add_argument('--port', type=int, help='port of the page (viewer.port)')
    parser.add_argument('--rate', type=float, default=10.0, help='camera frames a second (10)')
    parser.add_argument('--seed', type=int, default=9003, help='which simulated table (9003)')
    parser.add_argument('--downscale', type=int, default=1, help='shrink pictures N times (1)')
    parser.add_argument('--seconds', type=float, help='end after so long; default: Ctrl-C')


def run(arguments: argparse.Namespace) -> int:
    """Shows a map until it is interrupted.

    Raises:
        ValueError: The source or an option is wrong.
        OSError: A file cannot be read, or no port is free.
    """
    changes = list(arguments.set)
    for name in ('host', 'port'):
        if getattr(arguments, name) is not None:
            changes.append(f'viewer.{name}={getattr(arguments, name)}')
    config = make_config(arguments.variant, changes)
    if not 0 < arguments.rate <= 1000:
        raise ValueError(f'rate: expected 0 to 1000 frames a second, got {arguments.rate}')
    source = Path(arguments.source)
    saved = source.is_file() and source.suffix == '.safetensors'
    frames = None if saved else open_frames(arguments)
    # torch is loaded only now: --help and bad arguments answer at once.
    from lerf_ros.runtime.host import MapHost
    from lerf_ros.viewer.map_access import MapAccess
    from lerf_ros.viewer.server import Viewer

    host = MapHost(config)
    player: Player | None = None
    try:
        access = MapAccess(host, lambda: player.note if player else SAVED)
        if frames is None:
            access.load(source).result()
            access.pause()
        viewer = Viewer(access, config)
        try:
            sys.stdout.write(f'{viewer.url}  (Ctrl-C ends)\n')
            sys.stdout.flush()
            if frames is not None:
                player = Player(access, config, frames, arguments.rate)
            threading.Event().wait(arguments.seconds)
        finally:
            if player is not None:
                player.stop()
            viewer.close()
    finally:
        host.stop(STOP_S)
    return 0


def open_frames(arguments: argparse.Namespace) -> Callable[[], Iterable[PosedFrame]]:
    """Returns a function that gives the frames of a source from the beginning.

    Raises:
        ValueError: The source is of no known kind.
    """
    if arguments.source == TABLE:
        from lerf_ros.simulation import TabletopScene

        # The scene's graphics belong to the thread that draws them.
        return lambda: TabletopScene(seed=arguments.seed).frames(rate_hz=arguments.rate)
    if not Path(arguments.source).exists():
        raise ValueError(
            f'source: expected a saved map, a recorded folder or {TABLE!r}, '
            f'got {arguments.source!r}'
        )
    from lerf_ros.sources.detection import SourceOptions, open_recording

    recording = open_recording(arguments.source, SourceOptions(downscale=arguments.downscale))
    return lambda: recording


class Player:
    """Sends the frames of a source to the map, as a camera would.

    Args:
        access: The map.
        config: Which frames become keyframes.
        frames: Gives the frames from the beginning.
        rate_hz: Frames a second.

    Attributes:
        sent: Keyframes sent.
        note: What happened last that a person should know; empty if nothing.
    """

    def __init__(
        self,
        access: MapAccess,
        config: LerfConfig,
        frames: Callable[[], Iterable[PosedFrame]],
        rate_hz: float,
    ) -> None:
        self._access, self._frames, self._rate_hz = access, frames, rate_hz
        self._selector = KeyframeSelector(config.keyframes)
        self._stopping = threading.Event()
        self.sent = 0
        self.note = 'the first pictures are being read'
        self._thread = threading.Thread(target=self._run, name='lerf-player', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the stream."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            due = time.monotonic()
            for frame in self._frames():
                due = max(due + 1 / self._rate_hz, time.monotonic() - 1)
                self._stopping.wait(max(0.0, due - time.monotonic()))
                if self._stopping.is_set():
                    return
                for chosen in self._selector.choose(frame):
                    self._send(chosen)
            for last in self._selector.give_up_waiting():
                self._send(last)
            self.note = f'the recording has ended: {self.sent} keyframes were sent'
        except (ValueError, OSError, RuntimeError) as error:
            self.note = f'the recording broke off: {error}'

    def _send(self, frame: PosedFrame) -> None:
        while self._access.waiting >= WAITING:
            if self._stopping.wait(ROOM_S):
                return
        self._access.take(frame, 'camera')
        self.sent += 1
        self.note = ''
