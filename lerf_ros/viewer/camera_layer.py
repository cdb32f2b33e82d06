"""The keyframes' cameras in one browser: where each picture was taken, and the way between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from viser import CameraFrustumHandle, ClientHandle, LineSegmentsHandle

from lerf_ros.frames import KeyframeId
from lerf_ros.viewer.cameras import vertical_fov, wxyz_of
from lerf_ros.viewer.state import Snapshot

CAMERA_COLOUR = (70, 170, 230)
CHOSEN_COLOUR = (250, 170, 40)
PATH_COLOUR = (230, 190, 60)
FRUSTUM_M = 0.04


class CameraLayer:
    """Keeps a browser's cameras like the map's keyframes.

    Args:
        client: The browser.
        limit: Most cameras drawn.
        on_click: Called with the name of a keyframe that was clicked.
    """

    def __init__(
        self, client: ClientHandle, limit: int, on_click: Callable[[KeyframeId], None]
    ) -> None:
        self._client, self._limit, self._on_click = client, limit, on_click
        self._root = client.scene.add_frame('/keyframes', show_axes=False)
        self._nodes: dict[KeyframeId, CameraFrustumHandle] = {}
        self._poses: dict[KeyframeId, np.ndarray] = {}
        self._path: LineSegmentsHandle | None = None
        self._drawn = np.zeros((0, 4, 4))
        self._chosen: KeyframeId | None = None

    @property
    def visible(self) -> bool:
        """Whether the cameras are shown."""
        return self._root.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._root.visible = value

    def show(self, snapshot: Snapshot) -> None:
        """Draws the cameras of a map, and moves those whose pose was corrected."""
        camera = snapshot.camera
        if np.array_equal(self._drawn, snapshot.poses) and len(self._nodes) > 0:
            return
        self._drawn = snapshot.poses
        stride = max(1, -(-len(snapshot.ids) // self._limit))
        wanted = dict(zip(snapshot.ids[::stride], snapshot.poses[::stride], strict=True))
        for id_ in self._nodes.keys() - wanted.keys():
            self._nodes.pop(id_).remove()
            self._poses.pop(id_)
        if camera is None:
            wanted = {}
        for id_, pose in wanted.items():
            if id_ in self._nodes and np.array_equal(self._poses[id_], pose):
                continue
            if id_ in self._nodes:
                self._nodes[id_].position, self._nodes[id_].wxyz = pose[:3, 3], wxyz_of(pose)
            else:
                assert camera is not None
                node = self._client.scene.add_camera_frustum(
                    f'/keyframes/{id_.source}_{id_.index}',
                    fov=vertical_fov(camera),
                    aspect=camera.width / camera.height,
                    scale=FRUSTUM_M,
                    thickness=1.5,
                    thickness_units='screen',
                    color=CAMERA_COLOUR,
                    wxyz=wxyz_of(pose),
                    position=pose[:3, 3],
                )
                node.on_click(lambda _, id_=id_: self._on_click(id_))
                self._nodes[id_] = node
            self._poses[id_] = pose
        self._draw_path(snapshot.poses[:, :3, 3])

    def choose(self, id_: KeyframeId | None) -> None:
        """Colours one camera."""
        for number, colour in ((self._chosen, CAMERA_COLOUR), (id_, CHOSEN_COLOUR)):
            if number is not None and number in self._nodes:
                self._nodes[number].color = colour
        self._chosen = id_

    def _draw_path(self, centres_m: np.ndarray) -> None:
        if self._path is not None:
            self._path.remove()
            self._path = None
        if len(centres_m) > 1:
            self._path = self._client.scene.add_line_segments(
                '/keyframes/path',
                points=np.stack([centres_m[:-1], centres_m[1:]], axis=1).astype(np.float32),
                colors=PATH_COLOUR,
                thickness=1.5,
                thickness_units='screen',
            )
