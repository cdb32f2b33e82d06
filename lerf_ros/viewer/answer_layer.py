"""Answers in one browser's scene: a box, a mark, the points and a label for each place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from viser import ClientHandle, LabelHandle, LineSegmentsHandle

from lerf_ros.drawing.marks import EDGES, box_corners
from lerf_ros.geometry import inverse_transform, transform_points
from lerf_ros.query.request import Maximum
from lerf_ros.viewer.cameras import pose_of, wxyz_of
from lerf_ros.viewer.label_layout import label_width, raised
from lerf_ros.viewer.state import Answer
from lerf_ros.viewer.words import shortened

# The colour of each phrase, over and over.
COLOURS = ((230, 60, 60), (50, 130, 230), (50, 180, 90), (240, 150, 30), (160, 90, 220))
ABSENT = (150, 150, 150)
LEADER = (200, 200, 200)
MARK_M = 0.008
# A label that would move by less stays, and more labels than this are not read.
STAYS_PX = 1.5
MAX_LABELS = 24
# Taller windows are taken for screens with two pixels for one.
FINE_PX = 1300


@dataclass(frozen=True, eq=False)
class _Label:
    """A label, and what it belongs to: a place above its box, world frame."""

    node: LabelHandle
    foot_m: Float[np.ndarray, '3']
    width_px: float


class AnswerLayer:
    """Draws the last answer.

    Args:
        client: The browser.
        on_click: Called with a place that was clicked.
    """

    def __init__(self, client: ClientHandle, on_click: Callable[[Maximum], None]) -> None:
        self._client, self._on_click = client, on_click
        self._root = client.scene.add_frame('/answers', show_axes=False)
        self._labels: list[_Label] = []
        self._raise_m = np.zeros(0)
        self._leaders: LineSegmentsHandle | None = None
        self._points = client.scene.add_frame('/answers/points', show_axes=False)

    def clear(self) -> None:
        """Removes the answers."""
        visible, with_points = self._root.visible, self._points.visible
        self._root.remove()
        self._labels, self._raise_m, self._leaders = [], np.zeros(0), None
        scene = self._client.scene
        self._root = scene.add_frame('/answers', show_axes=False, visible=visible)
        self._points = scene.add_frame('/answers/points', show_axes=False, visible=with_points)

    @property
    def points_visible(self) -> bool:
        """Whether the answers' own points are shown: not over the colours of relevancy."""
        return self._points.visible

    @points_visible.setter
    def points_visible(self, value: bool) -> None:
        if value != self._points.visible:
            self._points.visible = value

    @property
    def visible(self) -> bool:
        """Whether answers are shown."""
        return self._root.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._root.visible = value

    def show(self, answer: Answer) -> None:
        """Draws an answer instead of the last one; of what is absent only its best place, grey."""
        with self._client.atomic():
            self.clear()
            for number, result in enumerate(answer.results):
                colour = COLOURS[number % len(COLOURS)] if result.exists else ABSENT
                name = shortened(result.phrase)
                for rank, maximum in enumerate(result.shown):
                    node = f'/answers/{number}_{rank}'
                    words = f'{name}: not found'
                    if result.exists:
                        words = f'{name} {maximum.relevancy:.2f}'
                    if result.exists and rank == 0:
                        points = result.positions[maximum.point_indices]
                        points_node = f'/answers/points/{number}'
                        self._draw_points(points_node, maximum, colour, points, answer.voxel_m)
                    self._draw(node, maximum, colour, words, filled=rank == 0 and result.exists)
            # Of what is there first, and the best place of each before the others.
            ranks = [
                (not result.exists, rank)
                for result in answer.results
                for rank in range(len(result.shown))
            ]
            order = sorted(range(len(ranks)), key=ranks.__getitem__)
            for row in order[MAX_LABELS:]:
                self._labels[row].node.remove()
            self._labels = [self._labels[row] for row in order[:MAX_LABELS]]
            self.arrange()

    def arrange(self) -> None:
        """Moves labels so that none covers another, as the browser looks now."""
        if not self._labels:
            return
        camera = self._client.camera
        pose = pose_of(camera)
        feet_m = np.array([label.foot_m for label in self._labels])
        local = transform_points(inverse_transform(pose), feet_m)
        depth_m = np.maximum(local[:, 2], 1e-3)
        height_px = camera.image_height / (1 if camera.image_height <= FINE_PX else 2)
        metre_px = height_px / (2 * math.tan(camera.fov / 2) * depth_m)
        feet_uv = local[:, :2] * metre_px[:, None]
        widths_px = np.array([label.width_px for label in self._labels])
        raise_m = raised(feet_uv, widths_px) / metre_px
        if len(self._raise_m) == len(raise_m):
            stays = np.abs(raise_m - self._raise_m) * metre_px < STAYS_PX
            # A leader points along the picture: it turns with the camera.
            if stays.all() and not raise_m.any():
                return
        self._raise_m = raise_m
        tops_m = feet_m - raise_m[:, None] * pose[:3, 1]
        with self._client.atomic():
            for label, top_m in zip(self._labels, tops_m, strict=True):
                label.node.position = top_m
            self._draw_leaders(np.stack([feet_m, tops_m], axis=1)[raise_m > 0])

    def _draw_leaders(self, lines_m: Float[np.ndarray, 'k 2 3']) -> None:
        """Draws a line from each label that was moved to its place."""
        if self._leaders is not None:
            self._leaders.remove()
            self._leaders = None
        if len(lines_m):
            self._leaders = self._client.scene.add_line_segments(
                '/answers/leaders',
                points=lines_m.astype(np.float32),
                colors=LEADER,
                thickness=1.0,
                thickness_units='screen',
            )

    def mark(self, position_m: np.ndarray, words: str) -> None:
        """Puts a label where a person clicked, instead of the last such one."""
        node = self._client.scene.add_label(
            '/answers/clicked', words, position=position_m, anchor='bottom-center'
        )
        others = [label for label in self._labels if label.node.name != node.name]
        self._labels = [_Label(node, position_m, label_width(words)), *others]
        self._raise_m = np.zeros(0)
        self.arrange()

    def _draw(
        self,
        name: str,
        maximum: Maximum,
        colour: tuple[int, int, int],
        words: str,
        *,
        filled: bool,
    ) -> None:
        scene, box = self._client.scene, maximum.box_to_world
        size_m = np.maximum(maximum.box_size_m, 2e-3)
        scene.add_line_segments(
            f'{name}/edges',
            points=box_corners(box, size_m)[np.array(EDGES)].astype(np.float32),
            colors=colour,
            thickness=1.5,
            thickness_units='screen',
        )
        mark = scene.add_icosphere(
            f'{name}/mark', radius=MARK_M, color=colour, position=maximum.position_m
        )
        mark.on_click(lambda _: self._on_click(maximum))
        if filled:
            inside = scene.add_box(
                f'{name}/box',
                color=colour,
                dimensions=(float(size_m[0]), float(size_m[1]), float(size_m[2])),
                opacity=0.12,
                side='double',
                wxyz=wxyz_of(box),
                position=box[:3, 3],
                cast_shadow=False,
                receive_shadow=False,
            )
            inside.on_click(lambda _: self._on_click(maximum))
        # Its highest corner, whichever way the box lies.
        up_m = (np.abs(box[2, :3]) * size_m).sum() / 2
        foot_m = box[:3, 3] + np.array([0.0, 0.0, up_m + 0.01])
        label = scene.add_label(f'{name}/label', words, position=foot_m, anchor='bottom-center')
        self._labels.append(_Label(label, foot_m, label_width(words)))

    def _draw_points(
        self,
        name: str,
        maximum: Maximum,
        colour: tuple[int, int, int],
        positions: np.ndarray,
        voxel_m: float,
    ) -> None:
        points = positions - maximum.position_m
        # Towards a viewer outside: else they would flicker with the surface's own.
        points = points + 0.2 * voxel_m * maximum.normal
        self._client.scene.add_point_cloud(
            name,
            points=points.astype(np.float32),
            colors=colour,
            point_size=0.5 * voxel_m,
            point_shape='circle',
            point_shading='flat',
            position=maximum.position_m,
        )
