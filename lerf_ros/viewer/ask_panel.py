"""The panel that asks: phrase, negatives, history, answers, and what a clicked place is like."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from viser import GuiApi, GuiButtonHandle

from lerf_ros.query.phrase import CANONICAL_NEGATIVES
from lerf_ros.query.request import Maximum
from lerf_ros.viewer.state import Answer
from lerf_ros.viewer.words import HINT, answer_html, error_html, note_html, shortened

HISTORY = 20
MAX_BUTTONS = 12
NO_HISTORY = '(history)'
CLICK = 'A click on a point tells what it is most like.'


class AskPanel:
    """Everything a person asks by.

    Args:
        gui: The browser's panels; the current tab is filled.
        texts: What a clicked place is compared with at first.
        on_ask: Called when a phrase is asked.
        on_place: Called with a place that was chosen.
        on_download: Called when the answer is wanted as a file.
    """

    def __init__(
        self,
        gui: GuiApi,
        texts: Sequence[str],
        on_ask: Callable[[], None],
        on_place: Callable[[Maximum], None],
        on_download: Callable[[], None],
    ) -> None:
        self._gui, self._on_ask, self._on_place = gui, on_ask, on_place
        with gui.add_form(None) as form:
            self._phrase = gui.add_text('Phrase', '', hint=HINT)
            self._negatives = gui.add_text(
                'Negatives',
                '; '.join(CANONICAL_NEGATIVES),
                hint='What the phrase shall not be mistaken for.',
            )
        form.on_submit(lambda _: on_ask())
        button = gui.add_button('Ask')
        button.on_click(lambda _: form.submit())
        self._history = gui.add_dropdown('Asked before', (NO_HISTORY,))
        self._history.on_update(lambda _: self._recall())
        self._likeness = gui.add_html('', visible=False)
        self._html = gui.add_html(note_html(f'{HINT} {CLICK}'))
        self._places = gui.add_folder('Fly to', visible=False)
        self._buttons: list[GuiButtonHandle] = []
        self._download = gui.add_button('Download the answer (JSON)', visible=False)
        self._download.on_click(lambda _: on_download())
        with gui.add_folder('What is it?', expand_by_default=False):
            self._identify = gui.add_checkbox('Click asks', True, hint=CLICK)
            self._texts = gui.add_text(
                'Of', '; '.join(texts), multiline=True, hint='What a place is compared with.'
            )

    @property
    def phrase(self) -> str:
        """What is typed."""
        return self._phrase.value

    @phrase.setter
    def phrase(self, value: str) -> None:
        self._phrase.value = value

    @property
    def negatives(self) -> str:
        """What it is compared with."""
        return self._negatives.value

    @property
    def identifies(self) -> bool:
        """Whether a click asks what is there."""
        return self._identify.value

    @property
    def texts(self) -> str:
        """What a clicked place is compared with."""
        return self._texts.value

    def remember(self, phrase: str) -> None:
        """Puts a phrase before all that were asked before."""
        kept = [text for text in self._history.options if text not in (phrase, NO_HISTORY)]
        self._history.options = (NO_HISTORY, phrase, *kept[: HISTORY - 1])

    def _recall(self) -> None:
        chosen = self._history.value
        if chosen != NO_HISTORY:
            self.phrase = chosen
            self._history.value = NO_HISTORY
            self._on_ask()

    def busy(self) -> None:
        """Says that the map is being asked."""
        self._html.content = note_html('asking …')

    def refuse(self, sentence: str) -> None:
        """Says why there is no answer."""
        self._html.content = error_html(sentence)

    def show(self, answer: Answer, seconds: float) -> None:
        """Shows an answer."""
        results = tuple(answer.own_frame.world_results(answer.results))
        self._html.content = answer_html(results, answer.step, answer.frame, seconds)
        self._likeness.visible = False
        self._download.visible = True
        for button in self._buttons:
            button.remove()
        self._buttons.clear()
        with self._places:
            for result in answer.results:
                for rank, maximum in enumerate(result.shown, start=1):
                    if len(self._buttons) < MAX_BUTTONS:
                        label = f'{shortened(result.phrase)} {rank}'
                        if not result.exists:
                            label = f'{shortened(result.phrase)} (not found)'
                        button = self._gui.add_button(label)
                        button.on_click(lambda _, place=maximum: self._on_place(place))
                        self._buttons.append(button)
        self._places.visible = bool(self._buttons)

    def show_likeness(self, page: str) -> None:
        """Shows what a clicked place is like."""
        self._likeness.content, self._likeness.visible = page, True

    def forget(self) -> None:
        """Takes the answer away: its map is gone."""
        self._html.content = note_html('The map is another one: ask again.')
        self._places.visible = self._download.visible = self._likeness.visible = False
