"""The flat from above with the robot's way, the submaps and the answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lerf_ros.drawing.floor_plans import (
    BLOCKS,
    CARRIES,
    RIGHT,
    TRUE_PLACE,
    WALL,
    FloorPlanPicture,
    Rectangle,
)
from lerf_ros.evaluation.flat.truth import FlatAnswer
from lerf_ros.geometry import Array
from lerf_ros.simulation import FlatScene

SUBMAP = (230, 150, 30)


def draw_flat(
    scene: FlatScene, path: Array, answers: Sequence[FlatAnswer], submaps: Sequence[Rectangle]
) -> Array:
    """Returns the picture: green where an answer is right, a red line to where it is not.

    Args:
        scene: The flat.
        path: Poses of the camera.
        answers: What was said.
        submaps: Boxes of the submaps on the floor.
    """
    picture = FloorPlanPicture(scene.plan.size_m)
    for stand in scene.furniture:
        picture.rectangle(stand.footprint, CARRIES if stand.tops else BLOCKS, stand.name)
    for box in submaps:
        picture.rectangle(box, SUBMAP, '', False, 1)
    for room in scene.plan.rooms:
        picture.rectangle((*room.low_m, *room.high_m), WALL, room.name, False, 3)
    picture.dots((door.place_m for door in scene.plan.doors), (255, 255, 255), 10)
    picture.way(path[:, :2, 3])
    picture.dots((each.obj.surface_centre_world for each in scene.objects), TRUE_PLACE, 2)
    for answer in answers:
        if not answer.question.objects or answer.position_m is None:
            continue
        place = np.array(answer.position_m)
        if answer.within:
            picture.dots([place], RIGHT)
        else:
            obj = scene.objects[answer.question.objects[0]].obj
            picture.answer(obj.surface_centre_world, place)
    return picture.image
