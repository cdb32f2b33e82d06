"""What is true of a simulated table: questions, labelled surface, and verdicts on answers.

World frame, metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from lerf_ros.evaluation.metrics import (
    BOX_MARGIN_M,
    inside_oriented_box,
    intersection_over_union,
    label_points,
)
from lerf_ros.evaluation.verdicts import Answer, Question
from lerf_ros.geometry import backproject, inside_box, look_at, pixel_centres, transform_points
from lerf_ros.simulation import (
    HELD_OUT_SEED,
    SceneObject,
    TabletopScene,
    absent_phrases,
    excluded_pairs,
)

Array = np.ndarray

BACKGROUND = -1
REFERENCE_VOXEL_M = 0.004
REFERENCE_VIEWS = tuple(
    (azimuth_deg, elevation_deg)
    for elevation_deg in (25, 60)
    for azimuth_deg in range(elevation_deg, 360 + elevation_deg, 60)
)
REFERENCE_DISTANCE_M = 0.75
# Fewer surface points than this leave a maximum little to stand on.
FEW_POINTS = 15


class SceneTruth:
    """The truth about one scene.

    Args:
        scene: The scene; rendered from a dome of views once.

    Attributes:
        seed: The scene's seed.
        objects: Its objects.
    """

    def __init__(self, scene: TabletopScene) -> None:
        self.seed = scene.seed
        self.objects: tuple[SceneObject, ...] = scene.objects
        points, labels = [], []
        for azimuth_deg, elevation_deg in REFERENCE_VIEWS:
            pose = _dome_pose(math.radians(azimuth_deg), math.radians(elevation_deg))
            view = scene.render(pose)
            known = np.isfinite(view.depth)
            uv = pixel_centres(scene.camera)[known]
            points.append(transform_points(pose, backproject(scene.camera, uv, view.depth[known])))
            labels.append(view.objects[known])
        reference, self._labels = _thin(np.concatenate(points), np.concatenate(labels))
        self._reference = cKDTree(reference)

    def label(self, positions_world: Float[Array, 'n 3']) -> Int[Array, ' n']:
        """Returns the index of the object at each surface point, `BACKGROUND` elsewhere."""
        return label_points(positions_world, self._reference, self._labels)

    def questions(self, parts: bool = True) -> list[Question]:
        """Returns one question an object, as many about absent things, and one part an object.

        Things alike are asked for once.

        A third of the absent phrases names a category of the scene in another colour, a third a
        colour of the scene with another category, a third a category that is not there.
        """
        objects = [self._alike(obj)[0] for obj in self.objects]
        objects = list({obj.index: obj for obj in objects}.values())
        present = [(obj.colour, obj.category) for obj in objects]
        questions = [
            Question(
                phrase=obj.name,
                kind='object',
                excluded=pair in excluded_pairs(),
                colour=obj.colour,
                object_index=obj.index,
            )
            for obj, pair in zip(objects, present, strict=True)
        ]
        pairs = {f'{colour} {category}' for colour, category in excluded_pairs()}
        for absent in absent_phrases(
            present,
            len(present),
            np.random.default_rng([self.seed, 1]),
            with_excluded=self.seed >= HELD_OUT_SEED,
        ):
            colour = absent.text.split()[0] if absent.kind != 'absent' else ''
            questions.append(
                Question(
                    phrase=absent.text,
                    kind='absent',
                    excluded=absent.text in pairs,
                    colour=colour,
                    near_miss='' if absent.kind == 'absent' else absent.kind,
                )
            )
        if parts:
            questions += [
                _part_question(obj, pair in excluded_pairs())
                for obj, pair in zip(objects, present, strict=True)
                if len(obj.parts) > 1
            ]
        return questions

    def judge(
        self,
        question: Question,
        *,
        said_present: bool,
        confidence: float,
        position_m: Float[Array, '3'] | None,
        point_indices: Int[Array, ' k'],
        labels: Int[Array, ' n'],
        places_m: Sequence[Float[Array, '3']] = (),
    ) -> Answer:
        """Compares an answer with the truth; of things alike, each is right.

        Args:
            question: What was asked.
            said_present: Whether it was said to be there.
            confidence: How surely.
            position_m: The best place, or None.
            point_indices: The thing's points in the surface cloud.
            labels: What :meth:`label` says of the surface cloud.
            places_m: All places that were returned, the best one first.
        """
        landed = None if position_m is None else self._object_at(position_m)
        hit, error_m, iou, twins_found = False, math.inf, 0.0, None
        if not question.absent:
            alike = self._alike(self.objects[question.object_index])
            verdicts = [self._verdict(question, obj, position_m) for obj in alike]
            meant = max(range(len(alike)), key=lambda i: (verdicts[i][0], -verdicts[i][1]))
            hit, error_m = verdicts[meant]
            if question.part_index < 0:
                iou = intersection_over_union(point_indices, labels == alike[meant].index)
                if len(alike) > 1:
                    twins_found = float(
                        np.mean([any(_inside(obj, p) for p in places_m) for obj in alike])
                    )
        answer = Answer(
            seed=self.seed,
            question=question,
            said_present=said_present,
            confidence=confidence,
            position_m=None if position_m is None else tuple(float(x) for x in position_m),  # type: ignore[arg-type]
            hit=hit,
            error_m=error_m,
            iou=iou,
            landed_on='' if position_m is None else landed.name if landed else 'background',
            twins_found=twins_found,
        )
        if answer.badness == 0:
            return answer
        seen = int((labels == question.object_index).sum()) if question.object_index >= 0 else 0
        return replace(answer, reason=self._reason(answer, landed, seen))

    def oracle(
        self, question: Question, positions_world: Float[Array, 'n 3'], labels: Int[Array, ' n']
    ) -> Int[Array, ' k']:
        """Returns the surface points that one who knows everything would give."""
        if question.absent:
            return np.zeros(0, np.int64)
        obj = self.objects[question.object_index]
        own = np.flatnonzero(labels == obj.index)
        if question.part_index < 0:
            return own
        part = obj.parts[question.part_index]
        inside = inside_box(positions_world[own], part.box_min_world, part.box_max_world)
        return own[inside]

    def _alike(self, obj: SceneObject) -> list[SceneObject]:
        """Returns all objects that go by the name of this one, itself included."""
        return [other for other in self.objects if other.name == obj.name]

    def _verdict(
        self, question: Question, obj: SceneObject, position_m: Float[Array, '3'] | None
    ) -> tuple[bool, float]:
        """Returns whether a place is on what was asked for, if that is this thing, and how far."""
        if position_m is None:
            return False, math.inf
        if question.part_index < 0:
            error_m = float(np.linalg.norm(position_m - obj.surface_centre_world))
            return _inside(obj, position_m), error_m
        name = self.objects[question.object_index].parts[question.part_index].name
        part = next((part for part in obj.parts if part.name == name), None)
        if part is None:  # not every twin has it
            return False, math.inf
        low, high = part.box_min_world - BOX_MARGIN_M, part.box_max_world + BOX_MARGIN_M
        error_m = float(np.linalg.norm(position_m - part.centre_world))
        return bool(inside_box(position_m[None], low, high)[0]), error_m

    def _object_at(self, position_m: Float[Array, '3']) -> SceneObject | None:
        """Returns the object whose surface, or whose inside, the position is on."""
        label = int(label_points(position_m[None], self._reference, self._labels)[0])
        if label >= 0:
            return self.objects[label]
        inside = [
            obj
            for obj in self.objects
            if inside_oriented_box(position_m[None], obj.box_to_world, obj.box_size_m)[0]
        ]
        return min(inside, key=lambda obj: float(np.prod(obj.box_size_m)), default=None)

    def _reason(self, answer: Answer, landed: SceneObject | None, seen: int) -> str:
        """Says why an answer is wrong."""
        question = answer.question
        where = (
            f'the best place is on the {landed.name}'
            if landed
            else ('the best place is on the background')
        )
        if question.absent:
            kinship = {
                'colour': ', and the phrase names its category in another colour',
                'category': ', and the phrase names its colour with another category',
                '': ', which the phrase does not name',
            }
            shares = landed is not None and bool(
                set(question.phrase.split()) & set(landed.name.split())
            )
            tail = kinship[question.near_miss] if shares else kinship['']
            return f'Said to be there with confidence {answer.confidence:.2f}: {where}{tail}.'
        obj = self.objects[question.object_index]
        causes = []
        if seen < FEW_POINTS:
            causes.append(f'the map holds only {seen} surface points of it')
        if question.excluded:
            causes.append('its colour and category never occurred together in training')
        if landed is not None and landed.index != obj.index:
            if landed.category == obj.category:
                causes.append(f'the {landed.name} is of the same category')
            elif landed.colour == obj.colour:
                causes.append(f'the {landed.name} has the same colour')
        because = f'; {", and ".join(causes)}' if causes else ''
        if answer.position_m is None:
            return f'No place was returned{because}.'
        if not answer.said_present:
            right = 'rightly ' if answer.hit else ''
            return (
                f'Refused with confidence {answer.confidence:.2f}, though it is there; '
                f'{right}{where}{because}.'
            )
        if landed is not None and landed.index == obj.index:
            return (
                f'On the right object, {answer.error_m * 100:.0f} cm from what was asked for'
                f'{because}.'
            )
        return f'{where[0].upper()}{where[1:]}, {answer.error_m * 100:.0f} cm away{because}.'


def _inside(obj: SceneObject, position_m: Float[Array, '3']) -> bool:
    """Tells whether a place is in a thing's box, grown by the margin."""
    place = np.asarray(position_m)[None]
    return bool(inside_oriented_box(place, obj.box_to_world, obj.box_size_m)[0])


def _part_question(obj: SceneObject, excluded: bool) -> Question:
    """Asks for the smallest part: the largest one is where the object is anyway."""
    part = min(obj.parts, key=lambda p: float(np.prod(p.box_max_world - p.box_min_world)))
    return Question(
        phrase=f'{obj.name}; {part.name}',
        kind='part',
        excluded=excluded,
        colour=obj.colour,
        object_index=obj.index,
        part_index=part.index,
    )


def _dome_pose(azimuth: float, elevation: float) -> Float[Array, '4 4']:
    direction = np.array(
        [
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        ]
    )
    return look_at(REFERENCE_DISTANCE_M * direction, np.zeros(3))


def _thin(
    points: Float[Array, 'n 3'], labels: Int[Array, ' n']
) -> tuple[Float[Array, 'm 3'], Int[Array, ' m']]:
    """Keeps one point of each label in a voxel."""
    cells = np.floor(points / REFERENCE_VOXEL_M).astype(np.int64)
    near = (np.abs(cells) < 1 << 12).all(axis=1)
    cells, points, labels = cells[near] + (1 << 12), points[near], labels[near]
    names = ((cells[:, 0] << 26) | (cells[:, 1] << 13) | cells[:, 2]) * 64 + (labels + 1)
    first = np.unique(names, return_index=True)[1]
    return points[first], labels[first].astype(np.int64)
