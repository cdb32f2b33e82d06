"""What a person types, as a question; and answers, as words for a person.

In the text box ``;`` separates phrases, as in LERF's viewer, and ``>`` names a part of one:
``red mug; teapot > lid``.
"""

from __future__ import annotations

import html
import math

import numpy as np

from lerf_ros.query.likeness import Likeness
from lerf_ros.query.request import Maximum, QueryResult
from lerf_ros.viewer.state import Status

PART = '>'
SHOWN_CHARACTERS = 48
HINT = 'Several phrases with ";": red mug; blue book. A part with ">": teapot > lid. Enter asks.'
WAITING = 'no keyframe has arrived yet: is the camera stream running?'


def split_phrases(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the objects and the part of each, empty for the whole.

    Raises:
        ValueError: There is no phrase, or one names several parts.
    """
    objects, parts = [], []
    for piece in text.split(';'):
        words = [' '.join(word.split()) for word in piece.split(PART)]
        if not any(words):
            continue
        if len(words) > 2:
            raise ValueError(
                f'phrase: expected one part as in "teapot {PART} lid", got {shortened(piece)!r}'
            )
        objects.append(words[0])
        parts.append(words[1] if len(words) > 1 else '')
    if not objects:
        raise ValueError('phrase: expected what to look for, such as "red mug", got nothing')
    return tuple(objects), tuple(parts)


def split_list(text: str) -> tuple[str, ...]:
    """Returns the words of a list such as 'object; things'."""
    words = (' '.join(word.split()) for word in text.replace(',', ';').split(';'))
    return tuple(dict.fromkeys(word for word in words if word))


def shortened(text: str) -> str:
    """Returns a text that fits into one line."""
    text = ' '.join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + '…'


def place_words(position_m: np.ndarray) -> str:
    """Returns a place as 'x y z'."""
    return ' '.join(f'{value:.3f}' for value in position_m)


def answer_html(results: tuple[QueryResult, ...], step: int, frame: str, seconds: float) -> str:
    """Returns the answers as a page shows them; every word of a person is escaped."""
    blocks = []
    for result in results:
        name = html.escape(shortened(result.phrase))
        if result.exists:
            head, colour = f'there, confidence {result.confidence:.2f}', '#2f9e44'
        else:
            head, colour = f'not found, confidence {result.confidence:.2f}', '#868e96'
        lines = [f'<b>{name}</b>: <span style="color:{colour}">{head}</span>']
        if result.exists:
            places = enumerate(result.shown, start=1)
            lines += [_maximum_words(f'{rank}. at', place) for rank, place in places]
        else:
            lines.append(html.escape(why_not(result)))
            lines += [_maximum_words('Nearest to it: at', place) for place in result.shown]
        blocks.append('<br>'.join(lines))
    head = f'step {step}, {seconds * 1e3:.0f} ms, metres in {html.escape(frame)}'
    return _page([*blocks, f'<span style="color:#868e96">{head}</span>'])


def _maximum_words(where: str, maximum: Maximum) -> str:
    size = ' × '.join(f'{value:.2f}' for value in maximum.box_size_m)
    views = 'view' if maximum.views == 1 else 'views'
    return (
        f'{where} {place_words(maximum.position_m)}, relevancy {maximum.relevancy:.2f}'
        f'<br><span style="color:#868e96">size {size}, scale {maximum.scale_m:.2f}, '
        f'{maximum.views} {views}</span>'
    )


def why_not(result: QueryResult) -> str:
    """Returns why a phrase counts as absent."""
    if not result.maxima:
        return 'Nothing is closer to it than to the negatives.'
    best = result.maxima[0]
    if best.relevancy < 0.5:
        return 'Even the best place is closer to a negative than to the phrase.'
    if result.evidence is not None and result.evidence.margin < 0:
        return 'The best place looks more like something else than like the phrase.'
    return 'The best place is not surely enough what the phrase names.'


def likeness_html(found: Likeness, position_m: np.ndarray, count: int = 5) -> str:
    """Returns what a place is most like."""
    lines = [
        f'{html.escape(shortened(text))}: {share:.0%}'
        for text, share in zip(found.texts[:count], found.shares[:count], strict=True)
    ]
    head = f'At {place_words(position_m)}, at scale {found.scale_m:.2f} m, most like'
    return _page(['<br>'.join([head, *lines])])


def error_html(sentence: str) -> str:
    """Returns a sentence that says what went wrong."""
    return _page([f'<span style="color:#e03131">{html.escape(sentence)}</span>'])


def note_html(sentence: str) -> str:
    """Returns a sentence."""
    return _page([html.escape(sentence)])


def headline_html(status: Status) -> str:
    """Returns how the map does in a line, and why nothing is seen where nothing is."""
    plural = '' if status.keyframes == 1 else 's'
    words = f'{status.state.lower()}, {status.keyframes} keyframe{plural}, step {status.step}'
    lines = [f'<span style="color:#868e96">{words}</span>']
    lines += _worries(status)
    return _page(['<br>'.join(lines)])


def status_html(status: Status, points: int) -> str:
    """Returns how the map does, and why nothing arrives where nothing does."""
    lines = [
        f'<b>{status.state}</b>, step {status.step}, {status.steps_per_second:.1f} steps/s, '
        f'loss {"–" if math.isnan(status.loss) else format(status.loss, ".4f")}',
        f'{status.keyframes} keyframes, {points} points, {status.memory_mb:.0f} MB',
        f'encoder {html.escape(status.encoder)} on {html.escape(status.device)}',
    ]
    if status.received:
        lines.append(
            f'keyframes received {status.received}, waiting {status.waiting}, '
            f'dropped {status.dropped}'
        )
    lines += _worries(status)
    return _page(['<br>'.join(lines)])


def _worries(status: Status) -> list[str]:
    """Returns what went wrong, why nothing arrives, and what else there is to know."""
    empty = status.keyframes == 0
    worries = [status.error, (status.note or WAITING) if empty else '']
    lines = [f'<span style="color:#e8590c">{html.escape(text)}</span>' for text in worries if text]
    if status.note and not empty:
        lines.append(f'<span style="color:#868e96">{html.escape(status.note)}</span>')
    return lines


def _page(blocks: list[str]) -> str:
    style = 'padding:0 1em;font-size:0.85em;line-height:1.45;overflow-wrap:anywhere'
    inner = ''.join(f'<p style="margin:0.4em 0">{block}</p>' for block in blocks)
    return f'<div style="{style}">{inner}</div>'
