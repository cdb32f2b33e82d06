"""A slow link: a relay on the loopback that passes so many bytes a second towards the page."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

PIECE_BYTES = 2048


class SlowLink:
    """Relays connections to a server.

    Args:
        port: Of the server.

    Attributes:
        port: Of the relay.
        bytes_per_s: How fast it is towards the page; may be changed while it runs.
        passed: Bytes that went to the page.
    """

    def __init__(self, port: int, bytes_per_s: float) -> None:
        self._server_port, self.bytes_per_s = port, bytes_per_s
        self.passed = 0
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cuts it."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                page, _ = self._listener.accept()
                server = socket.socket()
                # What lies in buffers on the way is little, as on a link that is slow itself.
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE_BYTES)
                page.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PIECE_BYTES)
                server.connect(('127.0.0.1', self._server_port))
                self._sockets += [page, server]
                threading.Thread(target=self._pass, args=(server, page, True), daemon=True).start()
                threading.Thread(
                    target=self._pass, args=(page, server, False), daemon=True
                ).start()

    def _pass(self, source: socket.socket, target: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                if slow:
                    time.sleep(len(piece) / self.bytes_per_s)  # that is what it is slow by
                    self.passed += len(piece)
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def slow_link(port: int, bytes_per_s: float) -> Iterator[SlowLink]:
    """Yields a relay to a server on the loopback."""
    link = SlowLink(port, bytes_per_s)
    yield link
    link.close()
