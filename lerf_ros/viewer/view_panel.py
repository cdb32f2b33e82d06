"""The panel that chooses what is seen: output, colours, scale, and the rendered view."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from viser import GuiApi, GuiImageHandle

from lerf_ros.config import QueryOptions
from lerf_ros.viewer.outputs import COLOUR_MAPS, Paint, output_names

POINTS, BACKGROUND, PANEL = 'points', 'rendered background', 'rendered panel'
SHOWN_AS = (POINTS, BACKGROUND, PANEL)
# LERF's word for relevancy that is stretched to its best place.
MAPPINGS = {'Normalize': 'normalised', 'Centred': 'centred', 'Raw': 'raw'}


class ViewPanel:
    """Everything a person looks by.

    Args:
        gui: The browser's panels; the current tab is filled.
        options: Bounds of the scale.
        on_change: Called when anything is to be seen otherwise.
        on_scale: Called when relevancy is to be read at another scale.
        on_visible: Called when things are to be shown or hidden.
    """

    def __init__(
        self,
        gui: GuiApi,
        options: QueryOptions,
        on_change: Callable[[], None],
        on_scale: Callable[[], None],
        on_visible: Callable[[], None],
    ) -> None:
        self._gui = gui
        self._output = gui.add_dropdown(
            'Output',
            output_names(0),
            hint="LERF's names; relevancy_0 is that of the first phrase.",
        )
        self._shown_as = gui.add_dropdown(
            'Shown as', SHOWN_AS, hint='A rendered view takes some of the time of training.'
        )
        self._mapping = gui.add_dropdown(
            'Relevancy',
            tuple(MAPPINGS),
            hint='Raw as it is, Centred from 0.5 on, Normalize up to the best place.',
        )
        self._colours = gui.add_dropdown('Colour map', tuple(COLOUR_MAPS))
        self._opacity = gui.add_slider(
            'Opacity', min=0.0, max=1.0, step=0.05, initial_value=Paint().opacity
        )
        self._threshold = gui.add_slider(
            'Threshold',
            min=0.0,
            max=1.0,
            step=0.01,
            initial_value=Paint().threshold,
            hint='Relevancy below it is not composited.',
        )
        self._best = gui.add_checkbox(
            'Best scale', True, hint='Each point at its best scale, or all at the one below.'
        )
        low, high = math.log2(options.min_scale_m), math.log2(options.max_scale_m)
        self._scale = gui.add_slider(
            'Scale (log2 m)',
            min=round(low, 2),
            max=round(high, 2),
            step=0.05,
            initial_value=round((low + high) / 2, 2),
            disabled=True,
            hint='Height of the crop whose embedding is meant. Confidence is fitted to the best.',
        )
        self._size = gui.add_slider('Point size', min=0.2, max=3.0, step=0.1, initial_value=1.0)
        with gui.add_folder('Layers'):
            self._cameras = gui.add_checkbox('Keyframes', True)
            self._answers = gui.add_checkbox('Answers', True)
        self._slot = gui.add_folder(None)
        self._picture: GuiImageHandle | None = None
        shown = (self._output, self._shown_as, self._mapping, self._colours)
        for dropdown in shown:
            dropdown.on_update(lambda _: on_change())
        for slider in (self._opacity, self._threshold, self._size):
            slider.on_update(lambda _: on_change())
        self._best.on_update(lambda _: self._toggle_scale(on_scale))
        self._scale.on_update(lambda _: on_scale())
        for box in (self._cameras, self._answers):
            box.on_update(lambda _: on_visible())

    def _toggle_scale(self, on_scale: Callable[[], None]) -> None:
        self._scale.disabled = self._best.value
        on_scale()

    @property
    def paint(self) -> Paint:
        """How the map is to be painted."""
        return Paint(
            output=self._output.value,
            mapping=MAPPINGS[self._mapping.value],
            colour_map=self._colours.value,
            opacity=self._opacity.value,
            threshold=self._threshold.value,
        )

    @property
    def shown_as(self) -> str:
        """One of `SHOWN_AS`."""
        return self._shown_as.value

    @property
    def scale_m(self) -> float | None:
        """The scale at which relevancy is read; None for the best."""
        return None if self._best.value else 2.0**self._scale.value

    @property
    def point_size(self) -> float:
        """Size of points in times of their spacing."""
        return self._size.value

    @property
    def shows_cameras(self) -> bool:
        """Whether keyframes are shown."""
        return self._cameras.value

    @property
    def shows_answers(self) -> bool:
        """Whether answers are shown."""
        return self._answers.value

    def offer(self, phrases: int) -> None:
        """Offers the outputs of so many phrases."""
        if (names := output_names(phrases)) != self._output.options:
            self._output.options = names

    def show_picture(self, picture: UInt8[np.ndarray, 'height width 3'] | None) -> None:
        """Shows a rendered view in the panel; None takes it away."""
        if picture is None:
            if self._picture is not None:
                self._picture.remove()
                self._picture = None
        elif self._picture is None:
            with self._slot:
                self._picture = self._gui.add_image(picture, label='Rendered view')
        else:
            self._picture.image = picture
