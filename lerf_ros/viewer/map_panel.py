"""The panel of the map: how it does, and the levers of its life."""

from __future__ import annotations

import time
from collections.abc import Callable

from viser import GuiApi, GuiHtmlHandle

from lerf_ros.viewer.state import Status
from lerf_ros.viewer.words import headline_html, note_html, status_html

DEFAULT_FILE = 'map.safetensors'
# A browser without a GPU works a while for each page that changes.
COUNTING_S = 0.9


class MapPanel:
    """How the map does and what a person does with it.

    Args:
        gui: The browser's panels; the current tab is filled.
        headline: What stands above all tabs.
        act: Called with the name of a lever: 'pause', 'resume', 'reset', 'save', 'load' or 'ply'.
    """

    def __init__(self, gui: GuiApi, headline: GuiHtmlHandle, act: Callable[[str], None]) -> None:
        self._gui, self._headline = gui, headline
        self._html = gui.add_html(note_html('…'))
        self._pause = gui.add_button('Pause')
        self._resume = gui.add_button('Resume')
        self._pause.on_click(lambda _: act('pause'))
        self._resume.on_click(lambda _: act('resume'))
        gui.add_button('Reset', color='red').on_click(lambda _: self._confirm(act))
        self._path = gui.add_text('File', DEFAULT_FILE, hint='On the machine of the map.')
        gui.add_button('Save').on_click(lambda _: act('save'))
        gui.add_button('Load').on_click(lambda _: act('load'))
        gui.add_button('Download the cloud (PLY)').on_click(lambda _: act('ply'))
        self._told: tuple[object, ...] = ()
        self._told_s = 0.0

    @property
    def path(self) -> str:
        """The file that is typed."""
        return self._path.value

    def show(self, status: Status, points: int) -> None:
        """Shows how the map does; numbers that only count on come less often than what happens."""
        what = status.state, status.error, status.note, status.keyframes
        now_s = time.monotonic()
        if what == self._told and now_s - self._told_s < COUNTING_S:
            return
        if what != self._told:
            self._pause.disabled = status.state == 'PAUSED'
            self._resume.disabled = status.state not in ('PAUSED', 'FAILED')
        self._told, self._told_s = what, now_s
        # viser sends nothing where nothing changed.
        self._html.content = status_html(status, points)
        self._headline.content = headline_html(status)

    def _confirm(self, act: Callable[[str], None]) -> None:
        modal = self._gui.add_modal('Reset the map?')
        with modal:
            self._gui.add_html(note_html('Everything it has learned is lost, for everybody.'))
            forget, keep = self._gui.add_button('Forget it all'), self._gui.add_button('Keep it')

        def decided(reset: bool) -> None:
            modal.close()
            if reset:
                act('reset')

        forget.on_click(lambda _: decided(True))
        keep.on_click(lambda _: decided(False))
