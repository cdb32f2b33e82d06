"""The demo's questions and what came of them: asked, judged, counted and told."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from lerf_ros.bridge.images import image_message
from lerf_ros.msg import PhraseResult
from lerf_ros.nodes.demo_world import Question, Verdict
from lerf_ros.nodes.map_client import MapClient
from lerf_ros.query.request import Exemplar

ERROR_LIMIT_M = 0.03
# Of a real camera, whose poses drift by as much.
BOX_LIMIT_M = 0.10
RIGHT_SHARE = 0.8
ABSENT_CONFIDENCE = 0.5


def ask(client: MapClient, questions: Sequence[Question], started: float) -> list[Verdict]:
    """Asks in one request, words before pictures, and holds each answer against the truth."""
    positives = [q.phrase for q in questions if q.exemplar is None]
    pictures = [q.exemplar for q in questions if q.exemplar is not None]
    try:
        response = client.query(positives, max_maxima=1, **picture_fields(pictures))
    except TimeoutError:  # a machine that is busy with other things: no answer is a wrong one
        response = None
    seconds = time.monotonic() - started
    if response is None or not response.success:
        return [unanswered(question, seconds) for question in questions]
    ordered = sorted(questions, key=lambda question: question.exemplar is not None)
    return [
        verdict_of(question, result, response.step, seconds)
        for question, result in zip(ordered, response.results, strict=True)
    ]


def unanswered(question: Question, seconds: float) -> Verdict:
    """Returns the verdict on a question that the map refused to answer."""
    right = False if question.judged or question.absent else None
    nothing = (None, None, None, 0.0, 0.0)
    return Verdict(question.phrase, *nothing, right, 0, seconds, question.kind)


def verdict_of(question: Question, result: PhraseResult, step: int, seconds: float) -> Verdict:
    """Holds one answer against the truth."""
    found = None
    if result.maxima:
        p = result.maxima[0].position
        found = np.array([p.x, p.y, p.z])
    true, right = judge(question, found, result.confidence)
    return Verdict(
        phrase=question.phrase,
        found=None if found is None else found.tolist(),
        true=None if true is None else true.tolist(),
        error_m=None if true is None or found is None else math.dist(found, true),
        relevancy=result.maxima[0].relevancy if result.maxima else 0.0,
        confidence=result.confidence,
        right=right,
        step=step,
        seconds=seconds,
        kind=question.kind,
        doubt=result.doubt,
    )


def judge(
    question: Question, found: Float[np.ndarray, '3'] | None, confidence: float
) -> tuple[Float[np.ndarray, '3'] | None, bool | None]:
    """Returns the true place, where it is known, and whether the answer is right.

    Where boxes are the truth, an answer is right that lies in them in most of the pictures that
    show it, or no further than `BOX_LIMIT_M` from the middle of one.
    """
    if question.absent:
        return None, confidence <= ABSENT_CONFIDENCE
    if question.truth is not None:
        true = question.truth.nearest(question.name, found)
        if found is None:
            return true, False
        near = true is not None and math.dist(found, true) <= BOX_LIMIT_M
        return true, near or question.truth.right(question.name, found)
    if question.position_m is not None:
        near = found is not None and math.dist(found, question.position_m) <= ERROR_LIMIT_M
        return question.position_m, near
    return None, None


def picture_fields(exemplars: Sequence[Exemplar]) -> dict[str, Any]:
    """Returns the fields of a question that hold pictures."""
    boxes = []
    for exemplar in exemplars:
        left, top, right, bottom = exemplar.box_px()
        boxes.append(
            RegionOfInterest(x_offset=left, y_offset=top, width=right - left, height=bottom - top)
        )
    images = [image_message(exemplar.image, 'rgb8', Header()) for exemplar in exemplars]
    return {'exemplars': images, 'exemplar_boxes': boxes}


def counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Returns how many answers are right, of words, pictures and absent phrases."""
    known = [v for v in verdicts if v.right is not None]

    def of(kind: str) -> list[bool]:
        return [bool(v.right) for v in known if v.kind == kind]

    return {
        'words_right': sum(of('word')),
        'words_asked': len(of('word')),
        'pictures_right': sum(of('picture')),
        'pictures_asked': len(of('picture')),
        'absent_refused': sum(of('absent')),
        'absent_asked': len(of('absent')),
    }


def conclude(result: dict[str, Any], output: Path) -> bool:
    """Prints the figures; tells whether the answers are right."""
    known = [phrase for phrase in result['phrases'] if phrase['right'] is not None]
    present = [phrase for phrase in known if phrase['kind'] != 'absent']
    absent = [phrase for phrase in known if phrase['kind'] == 'absent']
    good = True
    boxes_known = result['depth_limit_m'] is not None
    if present and not boxes_known:
        right = sum(phrase['right'] for phrase in present)
        errors = sorted(p['error_m'] if p['error_m'] is not None else math.inf for p in present)
        good &= right >= RIGHT_SHARE * len(present) and result['eight_of_ten_s'] is not None
        enough = math.ceil(RIGHT_SHARE * len(present))
        after_s = result['eight_of_ten_s']
        say(
            f'{enough} of {len(present)} phrases were right '
            + (f'after {after_s:.1f} s' if after_s is not None else 'at no time')
        )
        say(
            f'{right} of {len(present)} found within {ERROR_LIMIT_M * 100:.0f} cm, '
            f'median error {errors[len(errors) // 2] * 100:.1f} cm'
        )
    if absent and not boxes_known:
        refused = sum(phrase['right'] for phrase in absent)
        good &= refused == len(absent)
        say(f'{refused} of {len(absent)} absent things refused')
    depth_m = result['depth_median_m']
    if depth_m is None:
        say('there is no depth to compare the rendered map with')
    else:
        say(f'median depth error of the rendered map: {depth_m * 100:.2f} cm')
        if result['depth_limit_m'] is not None:
            good &= depth_m <= result['depth_limit_m']
    say(
        f'{result["step"]} steps, {result["steps_per_s"]:.1f} steps/s, '
        f'{result["keyframes"]} keyframes, {result["keyframes_dropped"]} dropped, '
        f'{result["memory_mb"]} MB; pictures in {output}/'
    )
    slow = [node for node, seconds in result['stop_s'].items() if not seconds < 5]
    if slow:
        say(f'did not stop within 5 s: {", ".join(slow)}')
    good &= not slow
    if boxes_known:
        if depth_m is not None:
            say('the map is right' if good else 'the map is NOT right: see above')
        say(summary(result))
    else:
        wrong = ', '.join(phrase['phrase'] for phrase in known if not phrase['right'])
        few = f'the answers are right but for {wrong}' if wrong else 'the answers are right'
        say(few if good else f'the answers are NOT right enough: {wrong or "see above"}')
    return good


def summary(result: dict[str, Any]) -> str:
    """Returns what is right and what is not, of a recording, in one line."""
    if not result['words_asked']:
        return (
            'whether the answers are right is not known: --truth FILE, boxes drawn in the '
            'pictures, would say'
        )
    wrong = [p['phrase'] for p in result['phrases'] if p['right'] is False]
    line = (
        f'right: {result["words_right"]} of {result["words_asked"]} words, '
        f'{result["pictures_right"]} of {result["pictures_asked"]} pictures, '
        f'{result["absent_refused"]} of {result["absent_asked"]} absent phrases refused'
    )
    return f'{line}; wrong: {", ".join(dict.fromkeys(wrong))}' if wrong else f'{line}; wrong: none'


def table(verdicts: list[Verdict]) -> list[str]:
    """Returns the lines of the table of answers."""
    lines = [
        f'{"phrase":<26}{"found x y z (m)":<24}{"true x y z (m)":<24}'
        f'{"error cm":>9}{"relevancy":>11}{"confidence":>12}{"step":>7}'
    ]
    for v in verdicts:
        mark = '' if v.right is None else (' ok' if v.right else ' WRONG')
        error = '-' if v.error_m is None else f'{v.error_m * 100:.1f}'
        lines.append(
            f'{v.phrase[:25]:<26}{_place(v.found):<24}{_place(v.true):<24}'
            f'{error:>9}{v.relevancy:>11.2f}{v.confidence:>12.2f}{v.step:>7}{mark}'
        )
        if v.doubt:
            lines.append(f'{"":<26}{v.doubt}')
    return lines


def sentence(verdict: Verdict) -> str:
    """Returns an answer as words."""
    error = '' if verdict.error_m is None else f', {verdict.error_m * 100:.1f} cm off'
    return f'"{verdict.phrase}" at {_place(verdict.found)} m{error}'


def _place(position: list[float] | None) -> str:
    return '-' if position is None else ' '.join(f'{value:6.3f}' for value in position)


def say(words: str) -> None:
    """Prints one line of what the demo does."""
    print(f'[demo] {words}', flush=True)
