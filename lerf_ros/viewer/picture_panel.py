"""The panel of a keyframe: its picture, looking from there, asking by a part of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from viser import GuiApi, GuiImageHandle

from lerf_ros.frames import KeyframeId
from lerf_ros.viewer.words import note_html

Picture = UInt8[np.ndarray, 'height width 3']

NONE_YET = 'A click on a camera in the scene shows its picture.'
DRAG = 'Drag a rectangle over the picture: the map is asked for what is in it.'


class PicturePanel:
    """A keyframe's picture and what is done with it.

    Args:
        gui: The browser's panels; the current tab is filled.
        on_choose: Called with the number of a keyframe in the order they came.
        on_look: Called when a person wants to look from there.
        on_rectangle: Called with whether a rectangle may be drawn over the picture.
    """

    def __init__(
        self,
        gui: GuiApi,
        on_choose: Callable[[int], None],
        on_look: Callable[[], None],
        on_rectangle: Callable[[bool], None],
    ) -> None:
        self._gui = gui
        self._html = gui.add_html(note_html(NONE_YET))
        self._number = gui.add_slider(
            'Keyframe', min=0, max=1, step=1, initial_value=0, visible=False
        )
        self._number.on_update(lambda event: on_choose(event.target.value))
        self._look = gui.add_button('Look from there', visible=False)
        self._look.on_click(lambda _: on_look())
        self._rectangle = gui.add_button('Ask by a rectangle', visible=False)
        self._rectangle.on_click(lambda _: on_rectangle(True))
        self._back = gui.add_button('Back to the map', visible=False)
        self._back.on_click(lambda _: on_rectangle(False))
        self._slot = gui.add_folder(None)
        self._picture: GuiImageHandle | None = None

    def offer(self, count: int) -> None:
        """Offers so many keyframes."""
        self._number.visible = count > 1
        if count > 1 and self._number.max != count - 1:
            self._number.max = count - 1

    def show(self, id_: KeyframeId, picture: Picture) -> None:
        """Shows the picture of a keyframe."""
        self._html.content = note_html(f'keyframe {id_}, {picture.shape[1]}x{picture.shape[0]}')
        if self._picture is None:
            with self._slot:
                self._picture = self._gui.add_image(picture, jpeg_quality=85)
        else:
            self._picture.image = picture
        self._look.visible = self._rectangle.visible = True

    def forget(self) -> None:
        """Takes the picture away: its map is gone."""
        if self._picture is not None:
            self._picture.remove()
            self._picture = None
        self._html.content = note_html(NONE_YET)
        for item in (self._look, self._rectangle, self._back, self._number):
            item.visible = False

    def drawing(self, begins: bool) -> None:
        """Says that a rectangle is drawn now, or no more."""
        self._back.visible = begins
        if begins:
            self._html.content = note_html(DRAG)
