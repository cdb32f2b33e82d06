"""What is true of a simulated flat: what its camera saw, what is asked, and who is right.

World frame, metres. A phrase is right wherever a thing of that name is: a floor may hold two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from lerf_ros.evaluation.metrics import BOX_MARGIN_M, inside_oriented_box
from lerf_ros.geometry import Array
from lerf_ros.simulation import (
    HELD_OUT_SEED,
    FlatObject,
    FlatScene,
    View,
    absent_phrases,
)

# A view shows an object from so many pixels of 640x480 on, and no farther than this.
SEEN_SHARE = 150 / (640 * 480)
SEEN_RANGE_M = 3.0
# Keyframes that must show an object before it is asked for.
SEEN_VIEWS = 3
NEAR_M = 0.25
# Pictures of which it is not known yet whether they become keyframes.
LOOKS = 100
# Fewer surface points than this and not even the oracle finds the thing.
FEW_POINTS = 8


@dataclass(frozen=True)
class FlatQuestion:
    """A phrase whose answer is known.

    Attributes:
        phrase: What is asked.
        objects: Indices of the objects that it names; empty if it is absent.
    """

    phrase: str
    objects: tuple[int, ...] = ()


@dataclass(frozen=True)
class FlatAnswer:
    """What was said to a question, and whether it was right.

    Attributes:
        question: What was asked.
        said_present: Whether the thing was said to be there.
        confidence: How surely, 0 to 1.
        position_m: The best place; None without one.
        room: Whether that place is in the right room.
        within: Whether it is in the thing's box or within 25 cm of its centre.
        error_m: Distance from the centre of its surface; infinite without a place.
        query_ms: How long the answer took.
    """

    question: FlatQuestion
    said_present: bool
    confidence: float
    position_m: tuple[float, float, float] | None = None
    room: bool = False
    within: bool = False
    error_m: float = math.inf
    query_ms: float = math.nan


@dataclass
class Sightings:
    """Which objects the camera has seen so far.

    Attributes:
        views: Keyframes that showed each object.
        nearest_m: Least distance from which each was seen.
    """

    views: dict[int, int] = field(default_factory=dict)
    nearest_m: dict[int, float] = field(default_factory=dict)
    _looks: dict[int, dict[int, float]] = field(default_factory=dict)

    def look(self, stamp_ns: int, view: View) -> None:
        """Remembers what a perfect picture shows, until it has become a keyframe or has not."""
        self._looks[stamp_ns] = distances_m(view)
        while len(self._looks) > LOOKS:
            del self._looks[next(iter(self._looks))]

    def note(self, stamp_ns: int) -> None:
        """Counts what the picture of a keyframe shows."""
        for index, far_m in self._looks.pop(stamp_ns).items():
            self.views[index] = self.views.get(index, 0) + 1
            self.nearest_m[index] = min(self.nearest_m.get(index, math.inf), far_m)

    def seen(self) -> list[int]:
        """Returns the indices of the objects that were seen often enough to be asked for."""
        return sorted(index for index, views in self.views.items() if views >= SEEN_VIEWS)


class FlatTruth:
    """The truth about one flat.

    Args:
        scene: The flat.
    """

    def __init__(self, scene: FlatScene) -> None:
        self.seed = scene.seed
        self.plan = scene.plan
        self.objects: tuple[FlatObject, ...] = scene.objects
        self._named: dict[str, list[int]] = {}
        for each in scene.objects:
            self._named.setdefault(each.obj.name, []).append(each.obj.index)

    def questions(self, seen: Sequence[int]) -> list[FlatQuestion]:
        """Returns one question for each name among the objects that were seen."""
        names = dict.fromkeys(self.objects[index].obj.name for index in seen)
        return [FlatQuestion(name, tuple(self._named[name])) for name in names]

    def absent_questions(self, count: int) -> list[FlatQuestion]:
        """Returns phrases of what is nowhere in the flat, near misses among them."""
        present = [(each.obj.colour, each.obj.category) for each in self.objects]
        phrases = absent_phrases(
            present,
            count,
            np.random.default_rng([self.seed, 9]),
            with_excluded=self.seed >= HELD_OUT_SEED,
        )
        return [FlatQuestion(each.text) for each in phrases]

    def judge(
        self,
        question: FlatQuestion,
        said_present: bool,
        confidence: float,
        position_m: Float[Array, '3'] | None,
        query_ms: float = math.nan,
    ) -> FlatAnswer:
        """Compares an answer with the truth."""
        answer = FlatAnswer(question, said_present, confidence, query_ms=query_ms)
        if position_m is None:
            return answer
        place = (float(position_m[0]), float(position_m[1]), float(position_m[2]))
        answer = replace(answer, position_m=place)
        if not question.objects:
            return answer
        objects = [self.objects[index] for index in question.objects]
        errors = [
            float(np.linalg.norm(position_m - each.obj.surface_centre_world)) for each in objects
        ]
        inside = [
            bool(
                inside_oriented_box(
                    position_m[None], each.obj.box_to_world, each.obj.box_size_m, BOX_MARGIN_M
                )[0]
            )
            for each in objects
        ]
        return replace(
            answer,
            room=self.plan.room_at(place[0], place[1]) in {each.room for each in objects},
            within=min(errors) <= NEAR_M or any(inside),
            error_m=min(errors),
        )

    def oracle(
        self, question: FlatQuestion, positions: Float[Array, 'n 3'], labels: Int[Array, ' n']
    ) -> FlatAnswer:
        """Returns the answer of one who knows which surface point belongs to what."""
        if not question.objects:
            return self.judge(question, False, 0.0, None)
        counts = [int((labels == index).sum()) for index in question.objects]
        best = question.objects[int(np.argmax(counts))]
        if max(counts) < FEW_POINTS:
            return self.judge(question, False, 0.0, None)
        points = positions[labels == best].astype(np.float64)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        return self.judge(question, True, 1.0, (points.mean(axis=0) + middle) / 2)

    def label(self, positions: Float[Array, 'n 3']) -> Int[Array, ' n']:
        """Returns the object in whose box each point lies, -1 elsewhere."""
        labels = np.full(len(positions), -1)
        order = np.argsort(positions[:, 0], kind='stable')
        along = positions[order, 0]
        for each in self.objects:
            obj = each.obj
            first, last = np.searchsorted(
                along,
                [
                    obj.box_min_world[0] - BOX_MARGIN_M,
                    obj.box_max_world[0] + BOX_MARGIN_M,
                ],
            )
            near = order[first:last]
            held = inside_oriented_box(positions[near], obj.box_to_world, obj.box_size_m)
            labels[near[held]] = obj.index
        return labels


def distances_m(view: View) -> dict[int, float]:
    """Returns how far the objects are that a perfect picture shows well, by index."""
    shown = view.objects[view.objects >= 0]
    counts = np.bincount(shown) if len(shown) else np.zeros(0, int)
    far_m = {
        int(index): float(np.median(view.depth[view.objects == index]))
        for index in np.flatnonzero(counts >= SEEN_SHARE * view.objects.size)
    }
    return {index: distance_m for index, distance_m in far_m.items() if distance_m <= SEEN_RANGE_M}
