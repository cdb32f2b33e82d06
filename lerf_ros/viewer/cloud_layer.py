"""The surface in one browser: one node of the scene for each chunk, sent as differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from viser import ClientHandle, PointCloudHandle

from lerf_ros.viewer.chunks import Cell, Chunk, ChunkedSurface

# Painted chunks are sent by so many at a time: a question that comes meanwhile goes first.
BATCH = 48
# Points a little larger than their spacing close the surface.
POINT_VOXELS = 1.1

Painter = Callable[[Chunk], UInt8[np.ndarray, 'n 3']]


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
        self.size = 1.0

    @property
    def visible(self) -> bool:
        """Whether the points are shown."""
        return self._root.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._root.visible = value

    def show(self, surface: ChunkedSurface, paint: Painter, coat: int) -> bool:
        """Sends what differs from what was sent.

        Args:
            surface: What there is.
            paint: Colours of a chunk.
            coat: Another number means that `paint` paints differently.

        Returns:
            Whether there is more to send.
        """
        for cell in self._nodes.keys() - surface.chunks.keys():
            self._nodes.pop(cell).remove()
            del self._sent[cell]
        if surface.surface is None:
            return False
        changed = [
            (cell, chunk)
            for cell, chunk in surface.chunks.items()
            if self._sent.get(cell) != (chunk.version, coat)
        ]
        point_m = self.size * POINT_VOXELS * surface.surface.voxel_m
        with self._client.atomic():
            for cell, chunk in changed[:BATCH]:
                self._send(cell, chunk, paint(chunk), point_m)
                self._sent[cell] = (chunk.version, coat)
        return len(changed) > BATCH

    def resize(self, size: float, voxel_m: float) -> None:
        """Draws points of another size, in times of their spacing."""
        self.size = size
        with self._client.atomic():
            for node in self._nodes.values():
                node.point_size = size * POINT_VOXELS * voxel_m

    def _send(
        self, cell: Cell, chunk: Chunk, colours: UInt8[np.ndarray, 'n 3'], point_m: float
    ) -> None:
        node, sent = self._nodes.get(cell), self._sent.get(cell)
        if node is not None and sent is not None and sent[0] == chunk.version:
            node.colors = colours
            return
        # About its middle 16 bits hold a position to a tenth of a millimetre.
        local = chunk.positions - chunk.centre_m.astype(np.float32)
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
            node.points, node.colors = local.astype(np.float16), colours
