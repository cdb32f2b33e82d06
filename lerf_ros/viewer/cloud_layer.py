"""The surface in one browser: one node of the scene for each chunk, sent as differences.

So much is sent at a time as the browser takes in within a moment, the next when it has: what a
person asks meanwhile is not behind a whole cloud, whatever the link. What changes again before it
was sent is sent once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from viser import ClientHandle, PointCloudHandle

from lerf_ros.viewer.chunks import Cell, Chunk, ChunkedSurface
from lerf_ros.viewer.pulse import Pulse

# What is sent at a time is what the browser takes in within so long, between these bounds.
MOMENT_S = 0.25
FIRST_BYTES, LEAST_BYTES, MOST_BYTES = 2**16, 2**15, 2**19
# Bytes of a point's position and colour, and about those of what names a chunk.
POSITION_BYTES, COLOUR_BYTES, NAME_BYTES = 6, 3, 300
# Points a little larger than their spacing close the surface.
POINT_VOXELS = 1.1

Paint = Callable[[Chunk], UInt8[np.ndarray, 'n 3']]


class CloudLayer:
    """Keeps a browser's points like the surface.

    Args:
        client: The browser.
    """

    def __init__(self, client: ClientHandle) -> None:
        self._client = client
        self._root = client.scene.add_frame('/surface', show_axes=False)
        self._nodes: dict[Cell, PointCloudHandle] = {}
        self._sent: dict[Cell, tuple[int, int]] = {}
        self._complete: tuple[dict[Cell, Chunk], int] | None = None
        self._budget_bytes = FIRST_BYTES
        self._underway_bytes = 0
        self._before = 0, 0.0
        self._byte_s = 0.0
        self.pulse = Pulse(client.camera)
        self.size = 1.0

    @property
    def visible(self) -> bool:
        """Whether the points are shown."""
        return self._root.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._root.visible = value

    def show(self, surface: ChunkedSurface, make_paint: Callable[[], Paint], coat: int) -> None:
        """Sends some of what differs from what was sent, unless the last is still on its way.

        Args:
            surface: What there is.
            make_paint: Makes what colours a chunk; called if any is sent.
            coat: Another number means that it colours differently.
        """
        chunks, points = surface.chunks, surface.surface
        if points is None or self.pulse.beating:
            return
        done = self._complete
        if done is not None and done[0] is chunks and done[1] == coat:
            return
        gone = self._nodes.keys() - chunks.keys()
        changed = [
            (cell, chunk)
            for cell, chunk in chunks.items()
            if self._sent.get(cell) != (chunk.version, coat)
        ]
        if not gone and not changed:
            self._complete = chunks, coat
            return
        # What is new is looked at: it comes before what is coloured anew, and the newest first.
        changed.sort(key=lambda entry: (self._shows(*entry), -entry[1].version))
        paint, left_bytes = make_paint(), self._budget_bytes
        point_m = self.size * POINT_VOXELS * points.voxel_m
        with self._client.atomic():
            for cell in gone:
                self._nodes.pop(cell).remove()
                del self._sent[cell]
            for cell, chunk in changed:
                if left_bytes <= 0:
                    break
                left_bytes -= self._send(cell, chunk, paint(chunk), point_m)
                self._sent[cell] = (chunk.version, coat)
        self._underway_bytes = self._budget_bytes - left_bytes
        self.pulse.send()

    def taken_in(self) -> bool:
        """Takes a report of the camera; tells whether the browser wants more."""
        if not self.pulse.came_back():
            return False
        sent_bytes, seconds = self._underway_bytes, self.pulse.seconds
        before_bytes, before_s = self._before
        if sent_bytes != before_bytes:
            # Most of the time may be that of drawing, which is the same for more: only what more
            # bytes take more is the link's.
            self._byte_s = max(0.0, (seconds - before_s) / (sent_bytes - before_bytes))
            self._before = sent_bytes, seconds
        wanted = 2.0 * self._budget_bytes
        if self._byte_s * sent_bytes > seconds / 2:
            wanted = min(wanted, MOMENT_S / self._byte_s)
        self._budget_bytes = int(np.clip(wanted, LEAST_BYTES, MOST_BYTES))
        return True

    def resize(self, size: float, voxel_m: float) -> None:
        """Draws points of another size, in times of their spacing."""
        self.size = size
        with self._client.atomic():
            for node in self._nodes.values():
                node.point_size = size * POINT_VOXELS * voxel_m

    def _shows(self, cell: Cell, chunk: Chunk) -> bool:
        """Tells whether a chunk is shown in its place already, if in other colours."""
        return self._sent.get(cell, (None,))[0] == chunk.version

    def _send(
        self, cell: Cell, chunk: Chunk, colours: UInt8[np.ndarray, 'n 3'], point_m: float
    ) -> int:
        """Sends a chunk; returns how many bytes that are."""
        node = self._nodes.get(cell)
        if node is not None and self._shows(cell, chunk):
            node.colors = colours
            return NAME_BYTES + COLOUR_BYTES * len(colours)
        # About its middle 16 bits hold a position to a tenth of a millimetre.
        local = (chunk.positions - chunk.centre_m.astype(np.float32)).astype(np.float16)
        if node is None:
            x, y, z = cell
            self._nodes[cell] = self._client.scene.add_point_cloud(
                f'/surface/{x}_{y}_{z}',
                points=local,
                colors=colours,
                point_size=point_m,
                point_shape='circle',
                point_shading='flat',
                position=chunk.centre_m,
            )
        else:
            node.points, node.colors = local, colours
        return NAME_BYTES + (POSITION_BYTES + COLOUR_BYTES) * len(colours)
