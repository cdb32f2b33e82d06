"""Answers in one browser's scene: a box, a mark, the points and a label for each place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from viser import ClientHandle

from lerf_ros.query.request import Maximum
from lerf_ros.viewer.cameras import wxyz_of
from lerf_ros.viewer.state import Answer
from lerf_ros.viewer.words import shortened

# The colour of each phrase, over and over.
COLOURS = ((230, 60, 60), (50, 130, 230), (50, 180, 90), (240, 150, 30), (160, 90, 220))
ABSENT = (150, 150, 150)
MARK_M = 0.008

Anchor = Literal['bottom-center', 'top-center']


class AnswerLayer:
    """Draws the last answer.

    Args:
        client: The browser.
        on_click: Called with a place that was clicked.
    """

    def __init__(self, client: ClientHandle, on_click: Callable[[Maximum], None]) -> None:
        self._client, self._on_click = client, on_click
        self._root = client.scene.add_frame('/answers', show_axes=False)

    def clear(self) -> None:
        """Removes the answers."""
        visible = self._root.visible
        self._root.remove()
        self._root = self._client.scene.add_frame('/answers', show_axes=False, visible=visible)

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
                    words = (
                        f'{name} {maximum.relevancy:.2f}'
                        if result.exists
                        else (f'{name}: not found')
                    )
                    # What is absent stands below, so that it covers no label of what is there.
                    anchor: Anchor = 'bottom-center' if result.exists else 'top-center'
                    self._draw(f'/answers/{number}_{rank}', maximum, colour, words, anchor)
                    if result.exists:
                        self._draw_points(
                            f'/answers/{number}_{rank}',
                            maximum,
                            colour,
                            result.positions,
                            answer.voxel_m,
                        )

    def mark(self, position_m: np.ndarray, words: str) -> None:
        """Puts a label where a person clicked."""
        self._client.scene.add_label(
            '/answers/clicked', words, position=position_m, anchor='bottom-center'
        )

    def _draw(
        self,
        name: str,
        maximum: Maximum,
        colour: tuple[int, int, int],
        words: str,
        anchor: Anchor,
    ) -> None:
        scene, box = self._client.scene, maximum.box_to_world
        size_m = np.maximum(maximum.box_size_m, 2e-3)
        node = scene.add_box(
            f'{name}/box',
            color=colour,
            dimensions=(float(size_m[0]), float(size_m[1]), float(size_m[2])),
            opacity=0.22,
            side='double',
            wxyz=wxyz_of(box),
            position=box[:3, 3],
            cast_shadow=False,
            receive_shadow=False,
        )
        mark = scene.add_icosphere(
            f'{name}/mark', radius=MARK_M, color=colour, position=maximum.position_m
        )
        for clickable in (node, mark):
            clickable.on_click(lambda _: self._on_click(maximum))
        top = box[:3, 3] + np.array([0.0, 0.0, size_m.max() / 2 + 0.01])
        scene.add_label(f'{name}/label', words, position=top, anchor=anchor)

    def _draw_points(
        self,
        name: str,
        maximum: Maximum,
        colour: tuple[int, int, int],
        positions: np.ndarray,
        voxel_m: float,
    ) -> None:
        points = positions[maximum.point_indices] - maximum.position_m
        # Towards a viewer outside: else they would flicker with the surface's own.
        points = points + 0.2 * voxel_m * maximum.normal
        self._client.scene.add_point_cloud(
            f'{name}/points',
            points=points.astype(np.float32),
            colors=colour,
            point_size=0.5 * voxel_m,
            point_shape='circle',
            point_shading='flat',
            position=maximum.position_m,
        )
