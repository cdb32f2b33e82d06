"""Points go to a browser as it takes them in: no more on the way, the newest first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scenery import mapped
from viewer_page import free_port, large_surface
from viser import ClientHandle, ViserServer
from waiting import wait_until
from websockets.sync.client import ClientConnection, connect

from lerf_ros.viewer.chunks import Chunk, ChunkedSurface
from lerf_ros.viewer.cloud_layer import FIRST_BYTES, LEAST_BYTES, MOST_BYTES, CloudLayer


@dataclass
class Peer:
    """A page without a browser: it speaks viser's protocol, and answers when it is told to."""

    socket: ClientConnection
    client: ClientHandle
    received: int = 0

    def report(self, fov: float) -> None:
        """Reports a camera, as a page does when its field of view has been set."""
        self.socket.send(camera(fov))


def camera(fov: float) -> bytes:
    import msgspec

    return msgspec.msgpack.encode(
        {
            'type': 'ViewerCameraMessage',
            'wxyz': (1.0, 0.0, 0.0, 0.0),
            'position': (0.0, 0.0, 0.0),
            'fov': fov,
            'near': 0.01,
            'far': 100.0,
            'image_height': 600,
            'image_width': 800,
            'look_at': (0.0, 0.0, 1.0),
            'up_direction': (0.0, 0.0, 1.0),
        }
    )


@pytest.fixture
def peer() -> Iterator[Peer]:
    import viser

    server = ViserServer(host='127.0.0.1', port=free_port(), verbose=False)
    came: Future[ClientHandle] = Future()
    server.on_client_connect(came.set_result)
    url = f'ws://127.0.0.1:{server.get_port()}'
    with connect(url, subprotocols=[f'viser-v{viser.__version__}'], max_size=None) as socket:
        socket.send(camera(0.8))
        result = Peer(socket, came.result(10))

        def read() -> None:
            for message in socket:
                result.received += len(message)

        threading.Thread(target=read, daemon=True).start()
        yield result
    server.stop()


def white(chunk: Chunk) -> np.ndarray:
    return np.full((len(chunk.keys), 3), 255, np.uint8)


def test_no_more_is_on_the_way_than_a_browser_has_taken_in(peer: Peer) -> None:
    layer, surface = CloudLayer(peer.client), ChunkedSurface()
    surface.update(large_surface(400_000))
    for _ in range(20):
        # It asks again and again, as each refresh does; nothing comes back.
        layer.show(surface, lambda: white, 0)
    largest = max(len(chunk.keys) for chunk in surface.chunks.values()) * 9
    wait_until(lambda: peer.received > FIRST_BYTES / 2, 'the first points')
    assert peer.received < FIRST_BYTES + largest + 50_000
    sent = len(layer._sent)
    assert 0 < sent < len(surface.chunks)

    def taken_in() -> bool:
        peer.report(peer.client.camera.fov)
        return layer.taken_in()

    wait_until(taken_in, 'the browser has taken it in')
    layer.show(surface, lambda: white, 0)
    assert len(layer._sent) > sent


def test_the_newest_chunk_goes_first_and_nothing_twice(peer: Peer) -> None:
    layer, surface = CloudLayer(peer.client), ChunkedSurface()
    points = mapped(views=8, noise_m=0.001).points()
    surface.update(points)

    def all_of(coat: int) -> int:
        """Shows everything; returns how many chunks were coloured for it."""
        painted = []

        def paint(chunk: Chunk) -> np.ndarray:
            painted.append(chunk)
            return white(chunk)

        def complete() -> bool:
            layer.show(surface, lambda: paint, coat)
            peer.report(peer.client.camera.fov)
            layer.taken_in()
            return layer._sent == {
                cell: (chunk.version, coat) for cell, chunk in surface.chunks.items()
            }

        wait_until(complete, 'all points')
        return len(painted)

    assert all_of(0) == len(surface.chunks)
    assert all_of(0) == 0
    assert all_of(1) == len(surface.chunks)
    cell = max(surface.chunks, key=lambda cell: len(surface.chunks[cell].keys))
    colours = points.colours.copy()
    colours[surface.chunks[cell].rows] = 255 - colours[surface.chunks[cell].rows]
    surface.update(replace(points, colours=colours))
    order: list[Chunk] = []

    def note(chunk: Chunk) -> np.ndarray:
        order.append(chunk)
        return white(chunk)

    wait_until(lambda: not layer.pulse.beating or bool(layer.taken_in()), 'no pulse')
    layer.show(surface, lambda: note, 2)
    assert order[0] is surface.chunks[cell]


def paced(layer: CloudLayer, seconds_of: Callable[[int], float], times: int = 12) -> list[int]:
    """Returns how much is sent at a time where it takes so long."""
    sizes = []
    for _ in range(times):
        sent = layer._budget_bytes
        layer._underway_bytes = sent
        layer.pulse.send()
        layer.pulse._sent_s -= seconds_of(sent)
        assert layer.taken_in()
        sizes.append(sent)
    return sizes


def test_a_slow_link_gets_little_at_a_time_and_slow_drawing_does_not(peer: Peer) -> None:
    noise = np.random.default_rng(0)
    drawing = paced(CloudLayer(peer.client), lambda _: noise.uniform(0.8, 1.2))
    assert np.median(drawing[3:]) > 4 * LEAST_BYTES
    link = paced(CloudLayer(peer.client), lambda size: 0.05 + size / 50e3)
    assert max(link[3:]) == LEAST_BYTES
    quick = paced(CloudLayer(peer.client), lambda size: 0.02 + size / 1e7)
    assert quick[-1] == MOST_BYTES
