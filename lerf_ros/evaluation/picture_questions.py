"""Pictures of things on a simulated table, and of things that are not on it, to ask for."""

from __future__ import annotations

import numpy as np

from lerf_ros.geometry import Array
from lerf_ros.query.request import MIN_EXEMPLAR_PX, Exemplar
from lerf_ros.simulation import HELD_OUT_SEED, SceneObject, SensorOptions, TabletopScene
from lerf_ros.simulation.sensor import sense_colour

# Views in which a picture of each object is looked for.
VIEWS = 8
MIN_PIXELS = 150
# So close to the first scene of its kind, a scene borrows from those after it.
_NEAR_FIRST = 20


def exemplars_of(scene: TabletopScene) -> list[tuple[SceneObject, Exemplar]]:
    """Returns a box in a noisy picture for each object that some view shows whole.

    The views lie on an orbit, which the benchmark's map never sees, with noise of their own. The
    first of them, in an order drawn for each object, that shows enough of it whole is taken.
    """
    rng = np.random.default_rng([scene.seed, 3])
    views = [scene.render(pose) for pose in scene.path('orbit', VIEWS, 1.0)]
    images = [sense_colour(view.image, SensorOptions(), rng) for view in views]
    found = []
    for obj in scene.objects:
        for index in rng.permutation(len(views)):
            box = whole_box(views[index].objects == obj.index)
            if box is not None:
                found.append((obj, Exemplar(images[index], box, f'picture of the {obj.name}')))
                break
    return found


def absent_exemplars(scene: TabletopScene, count: int) -> list[Exemplar]:
    """Returns pictures of other scenes' objects whose colour and category are not in this one.

    Scenes that are kept for evaluation borrow from each other alone.
    """
    present = {(obj.colour, obj.category) for obj in scene.objects}
    first = 0 if scene.seed < HELD_OUT_SEED else HELD_OUT_SEED
    step = 1 if scene.seed - first < _NEAR_FIRST else -1
    found: list[Exemplar] = []
    other = scene.seed
    while len(found) < count:
        other += step
        with TabletopScene(other) as elsewhere:
            found += [
                exemplar
                for obj, exemplar in exemplars_of(elsewhere)
                if (obj.colour, obj.category) not in present
            ]
    return found[:count]


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """Returns (left, top, right, bottom) of a mask that holds something, ends excluded."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1


def whole_box(mask: Array) -> tuple[int, int, int, int] | None:
    """Returns the box around a thing, or None where too little or not all of it is in view."""
    if mask.sum() < MIN_PIXELS:
        return None
    left, top, right, bottom = box_of(mask)
    # A pencil that lies across the view is too thin to be asked for.
    if min(right - left, bottom - top) < MIN_EXEMPLAR_PX:
        return None
    height, width = mask.shape
    if left == 0 or top == 0 or right == width or bottom == height:
        return None
    return left, top, right, bottom
