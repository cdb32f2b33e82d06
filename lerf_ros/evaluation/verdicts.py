"""Questions with known answers, what was answered, and the figures that follow.

Positions are metres in the world frame. An answer that gives no place has an error of infinity: it
is a miss, not a question that was never asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lerf_ros.evaluation.metrics import Existence, existence, mean, percentile

ABSENT_KINDS = ('absent', 'absent picture')
KINDS = ('object', 'part', 'picture', *ABSENT_KINDS)
# The figures of answers; the rest of a row describes the map as a whole.
ANSWER_KEYS = (
    'localisation',
    'median_error_m',
    'p90_error_m',
    'miou_3d',
    'existence_precision',
    'existence_recall',
    'absent_refused',
    'present_refused',
    'parts',
    'twins_found',
    'pictures',
    'pictures_median_error_m',
    'pictures_absent_refused',
    'pictures_present_refused',
)
MAP_KEYS = ('psnr', 'depth_median_m', 'steps_per_s', 'query_ms', 'peak_rss_mb')


@dataclass(frozen=True)
class Question:
    """A phrase whose answer is known.

    Attributes:
        phrase: What is asked; of a picture, what it shows.
        kind: 'object' and 'part' are phrases of what is in the scene, 'absent' of what is not;
            'picture' and 'absent picture' are pictures.
        excluded: Whether the phrase's colour and category never occurred together in training.
        colour: The colour word in the phrase, empty without one.
        object_index: The object that is meant; -1 if absent.
        part_index: The part that is meant; -1 if none.
        near_miss: For absent phrases, what of it is in the scene: 'colour' (the same category in
            another colour), 'category' (the same colour of another category) or empty.
    """

    phrase: str
    kind: str
    excluded: bool = False
    colour: str = ''
    object_index: int = -1
    part_index: int = -1
    near_miss: str = ''

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'kind: expected one of {KINDS}, got {self.kind!r}')

    @property
    def absent(self) -> bool:
        """Whether it is not in the scene."""
        return self.kind in ABSENT_KINDS


@dataclass(frozen=True)
class Answer:
    """What one method said to one question, and whether it was right.

    Attributes:
        seed: The scene.
        question: What was asked.
        said_present: Whether the method said that it is there.
        confidence: How sure it was, 0 to 1.
        position_m: The best place; None if it gave none.
        hit: Whether that place lies in the true box grown by 1 cm; False for absent phrases.
        error_m: Distance from the true surface centre; infinite without a place.
        iou: IoU of the returned points with the true ones, over the surface cloud.
        landed_on: Name of what lies at the best place.
        twins_found: Share of those alike that any returned place is on; None where there is one.
        reason: Why the answer is wrong, a sentence; empty where it is right.
    """

    seed: int
    question: Question
    said_present: bool
    confidence: float
    position_m: tuple[float, float, float] | None = None
    hit: bool = False
    error_m: float = math.inf
    iou: float = 0.0
    landed_on: str = ''
    twins_found: float | None = None
    reason: str = ''

    @property
    def badness(self) -> float:
        """How wrong the answer is: 0 if right, most for what is said with confidence."""
        if self.question.absent:
            return self.confidence if self.said_present else 0.0
        if not self.said_present:
            return 1 - self.confidence
        return 0.0 if self.hit else self.confidence + min(self.error_m, 1.0)

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; infinity becomes None."""
        values = asdict(self)
        if not math.isfinite(self.error_m):
            values['error_m'] = None
        return values


def summarise(answers: Iterable[Answer]) -> dict[str, float | None]:
    """Returns the figures of a set of answers under `ANSWER_KEYS`.

    Localisation, errors and IoU are over all objects in the scenes, also those that were said to
    be absent: existence is judged on its own.
    """
    of_kind: dict[str, list[Answer]] = {kind: [] for kind in KINDS}
    for answer in answers:
        of_kind[answer.question.kind].append(answer)
    objects, pictures = of_kind['object'], of_kind['picture']
    said = _existence([*objects, *of_kind['absent']])
    said_of_pictures = _existence([*pictures, *of_kind['absent picture']])
    errors = [answer.error_m for answer in objects]
    return {
        'localisation': mean([answer.hit for answer in objects]),
        'median_error_m': percentile(errors, 50),
        'p90_error_m': percentile(errors, 90),
        'miou_3d': mean([answer.iou for answer in objects]),
        'existence_precision': said.precision,
        'existence_recall': said.recall,
        'absent_refused': said.absent_refused,
        'present_refused': said.present_refused,
        'parts': mean([answer.hit for answer in of_kind['part']]),
        'twins_found': mean(
            [answer.twins_found for answer in objects if answer.twins_found is not None]
        ),
        'pictures': mean([answer.hit for answer in pictures]),
        'pictures_median_error_m': percentile([answer.error_m for answer in pictures], 50),
        'pictures_absent_refused': said_of_pictures.absent_refused,
        'pictures_present_refused': said_of_pictures.present_refused,
    }


def _existence(answers: Sequence[Answer]) -> Existence:
    return existence(
        [not answer.question.absent for answer in answers],
        [answer.said_present for answer in answers],
    )


def split_summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Returns the figures of all answers, and the same under 'seen' and 'excluded'."""
    return {
        **summarise(answers),
        'seen': summarise(a for a in answers if not a.question.excluded),
        'excluded': summarise(a for a in answers if a.question.excluded),
    }


def worst(answers: Iterable[Answer], count: int) -> list[Answer]:
    """Returns the worst wrong answers, worst first, no two about the same object.

    A part is wrong for the same reason as its object, and would only say it twice.
    """
    wrong = sorted(
        (answer for answer in answers if answer.badness > 0),
        key=lambda answer: (-answer.badness, answer.seed, answer.question.phrase),
    )
    chosen: dict[tuple[int, int | str], Answer] = {}
    for answer in wrong:
        question = answer.question
        about = question.phrase if question.object_index < 0 else question.object_index
        chosen.setdefault((answer.seed, about), answer)
    return list(chosen.values())[:count]
