"""The keyframes' cameras in one browser: where each picture was taken, and the way between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from viser import CameraFrustumHandle, ClientHandle, LineSegmentsHandle

from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.viewer.cameras import vertical_fov, wxyz_of
from lerf_ros.viewer.state import Snapshot

# Quiet: they stand between a person and the map.
CAMERA_COLOUR = (60, 110, 145)
CHOSEN_COLOUR = (250, 170, 40)
PATH_COLOUR = (150, 125, 50)
FRUSTUM_M = 0.03
# Of the cameras in a cell of space of this side one is drawn.
APART_M = 0.08


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
        self._camera: PinholeCamera | None = None
        self._marked: CameraFrustumHandle | None = None

    @property
    def visible(self) -> bool:
        """Whether the cameras are shown."""
        return self._root.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._root.visible = value

    def show(self, snapshot: Snapshot) -> None:
        """Draws the cameras of a map, and moves those whose pose was corrected."""
        if not np.array_equal(self._drawn, snapshot.poses) or not self._nodes:
            self._drawn = snapshot.poses
            rows = spread(snapshot.poses[:, :3, 3], APART_M, self._limit)
            self._draw(snapshot, {snapshot.ids[row]: snapshot.poses[row] for row in rows})
            self._draw_path(snapshot.poses[:, :3, 3])

    def choose(self, id_: KeyframeId | None, camera_to_world: np.ndarray | None = None) -> None:
        """Draws one camera in another colour, with a pose whether or not it was drawn before."""
        if self._marked is not None:
            self._marked.remove()
            self._marked = None
        if id_ in self._nodes:
            camera_to_world = self._poses[id_]
        if camera_to_world is not None and self._camera is not None:
            self._marked = self._frustum('chosen', camera_to_world, CHOSEN_COLOUR, 2.5)

    def _draw(self, snapshot: Snapshot, wanted: dict[KeyframeId, np.ndarray]) -> None:
        self._camera = snapshot.camera
        if snapshot.camera is None:
            wanted = {}
        for id_ in self._nodes.keys() - wanted.keys():
            self._nodes.pop(id_).remove()
            self._poses.pop(id_)
        for id_, pose in wanted.items():
            if id_ not in self._nodes:
                node = self._frustum(f'{id_.source}_{id_.index}', pose, CAMERA_COLOUR, 1.0)
                node.on_click(lambda _, id_=id_: self._on_click(id_))
                self._nodes[id_] = node
            elif not np.array_equal(self._poses[id_], pose):
                self._nodes[id_].position, self._nodes[id_].wxyz = pose[:3, 3], wxyz_of(pose)
            self._poses[id_] = pose

    def _frustum(
        self, name: str, pose: np.ndarray, colour: tuple[int, int, int], thickness_px: float
    ) -> CameraFrustumHandle:
        assert self._camera is not None
        return self._client.scene.add_camera_frustum(
            f'/keyframes/{name}',
            fov=vertical_fov(self._camera),
            aspect=self._camera.width / self._camera.height,
            scale=FRUSTUM_M,
            thickness=thickness_px,
            thickness_units='screen',
            color=colour,
            wxyz=wxyz_of(pose),
            position=pose[:3, 3],
        )

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


def spread(
    places_m: Float[np.ndarray, 'n 3'], apart_m: float, limit: int
) -> Int[np.ndarray, ' k']:
    """Returns rows of the first place in each cell of space; so many at most, spread over all."""
    cells = np.floor(places_m / apart_m).astype(np.int64)
    first = np.sort(np.unique(cells, axis=0, return_index=True)[1])
    return first[:: max(1, -(-len(first) // limit))]
