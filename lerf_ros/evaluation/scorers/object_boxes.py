"""Object boxes for each task, as Clio scores them.

Source: repository MIT-SPARK/Clio at f912b7c, ``clio_eval/evaluate_helpers.py``, ``utils.py`` and
``iou.py``. A task is a phrase with the true boxes of all that it needs; a map has objects, each a
box and its similarity to every task.

* Accuracy (recall): of a task with k true boxes the k most similar objects are taken, and pairs
  are made greedily by IoU, as long as that is above 0. A pair is relaxed-right if the object's box
  holds the centre of the true one, and strict-right if the true one holds the object's as well.
* Precision: each object belongs to the task it is most similar to, if it has more than 0.9 of the
  greatest similarity there; pairs as before, over the number of these objects.

"Holds" is the source's: along the world's axes, within the *full* side of the box either way of
its centre, and its rotation does not count. IoU is that of the rotated boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection

Array = np.ndarray

LEAST_SIMILARITY_SHARE = 0.9
# Boxes that share less than this along every direction share a face, an edge or a corner.
_TOUCHING_M = 1e-7


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box.

    Attributes:
        box_to_world: Pose of its centre, axes along its sides.
        size_m: Its full sides.
    """

    box_to_world: Float[Array, '4 4']
    size_m: Float[Array, '3']

    @property
    def centre_m(self) -> Float[Array, '3']:
        """Its centre."""
        return self.box_to_world[:3, 3]

    def halfspaces(self) -> tuple[Float[Array, '6 3'], Float[Array, '6']]:
        """Returns A and b of ``A x <= b`` for the points x inside, rows of A of length 1."""
        normals = np.concatenate([self.box_to_world[:3, :3].T, -self.box_to_world[:3, :3].T])
        return normals, normals @ self.centre_m + np.tile(np.asarray(self.size_m) / 2, 2)

    def holds(self, position_m: Float[Array, '3']) -> bool:
        """Tells whether a place is in the box, as Clio means it: see above."""
        return bool((np.abs(position_m - self.centre_m) <= self.size_m).all())


@dataclass(frozen=True)
class BoxScore:
    """Figures of all tasks, each over all true boxes or all objects that belong to a task.

    Attributes:
        iou: Sum of the IoUs of the pairs over the number of true boxes.
        strict_accuracy: Share of the true boxes that are strict-right.
        relaxed_accuracy: Share that are relaxed-right.
        strict_precision: Share of the objects that are strict-right.
        relaxed_precision: Share that are relaxed-right.
        f1: Harmonic mean of the two relaxed ones; 0 where both are.
        objects: Number of objects of the map.
    """

    iou: float
    strict_accuracy: float
    relaxed_accuracy: float
    strict_precision: float
    relaxed_precision: float
    f1: float
    objects: int


def box_iou(a: OrientedBox, b: OrientedBox) -> float:
    """Returns the volume that two boxes share over that of their union."""
    reach_m = (np.linalg.norm(a.size_m) + np.linalg.norm(b.size_m)) / 2
    if np.linalg.norm(a.centre_m - b.centre_m) >= reach_m:
        return 0.0
    (normals_a, bounds_a), (normals_b, bounds_b) = a.halfspaces(), b.halfspaces()
    normals = np.concatenate([normals_a, normals_b])
    bounds = np.concatenate([bounds_a, bounds_b])
    # The largest ball inside both: its centre is where the intersection is built from.
    ball = linprog(
        (0, 0, 0, -1),
        np.concatenate([normals, np.ones((12, 1))], axis=1),
        bounds,
        bounds=[(None, None)] * 3 + [(0, None)],
    )
    if ball.status != 0 or ball.x[3] < _TOUCHING_M:
        return 0.0
    halfspaces = np.concatenate([normals, -bounds[:, None]], axis=1)
    corners = HalfspaceIntersection(halfspaces, ball.x[:3]).intersections
    shared = ConvexHull(corners).volume
    return float(shared / (np.prod(a.size_m) + np.prod(b.size_m) - shared))


def box_score(
    boxes: Sequence[OrientedBox],
    similarity: Float[Array, 'n t'],
    truth: Mapping[str, Sequence[OrientedBox]],
) -> BoxScore:
    """Returns the figures of a map's objects.

    Args:
        boxes: Box of each object.
        similarity: Of each object with each task, in the order of `truth`.
        truth: True boxes of each task.

    Raises:
        ValueError: There is no true box, or the similarities are not of these objects and tasks.
    """
    if similarity.shape != (len(boxes), len(truth)):
        raise ValueError(
            f'similarity: expected {(len(boxes), len(truth))}, got {similarity.shape}'
        )
    total = sum(len(each) for each in truth.values())
    if not total:
        raise ValueError('truth: expected a box for at least one task, got none')
    ious: list[float] = []
    found = np.zeros(2)  # relaxed, strict
    right, kept = np.zeros(2), 0
    closest = similarity.argmax(axis=1)
    for task, true_boxes in enumerate(truth.values()):
        own = similarity[:, task]
        best = np.argsort(-own, kind='stable')[: len(true_boxes)]
        for iou, verdict in _pairs(true_boxes, [boxes[i] for i in best.tolist()]):
            ious.append(iou)
            found += verdict
        here = closest == task
        least = LEAST_SIMILARITY_SHARE * max(own[here].max(initial=0), 0)
        chosen = np.flatnonzero(here & (own > least))
        kept += len(chosen)
        for _, verdict in _pairs(true_boxes, [boxes[i] for i in chosen.tolist()]):
            right += verdict
    relaxed_accuracy, strict_accuracy = (found / total).tolist()
    relaxed_precision, strict_precision = (right / max(kept, 1)).tolist()
    both = relaxed_precision + relaxed_accuracy
    return BoxScore(
        iou=sum(ious) / total,
        strict_accuracy=strict_accuracy,
        relaxed_accuracy=relaxed_accuracy,
        strict_precision=strict_precision,
        relaxed_precision=relaxed_precision,
        f1=2 * relaxed_precision * relaxed_accuracy / both if both else 0.0,
        objects=len(boxes),
    )


def _pairs(
    true_boxes: Sequence[OrientedBox], boxes: Sequence[OrientedBox]
) -> Iterator[tuple[float, Float[Array, '2']]]:
    """Yields the IoU of each greedy pair, and whether it is relaxed-right and strict-right."""
    ious = np.array([[box_iou(true, box) for box in boxes] for true in true_boxes])
    while ious.size and ious.max() > 0:
        row, column = divmod(int(ious.argmax()), len(boxes))
        true, box = true_boxes[row], boxes[column]
        relaxed = box.holds(true.centre_m)
        strict = relaxed and true.holds(box.centre_m)
        yield float(ious[row, column]), np.array([relaxed, strict], float)
        ious[row], ious[:, column] = 0, 0
