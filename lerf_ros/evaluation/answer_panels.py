"""Pictures of answers: relevancy over a view, the true box, and where the answer lies."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.spatial import cKDTree

from lerf_ros.drawing.heat_maps import heat_overlay
from lerf_ros.drawing.marks import box_corners, mark_maximum
from lerf_ros.evaluation.truth import SceneTruth
from lerf_ros.evaluation.verdicts import Answer
from lerf_ros.geometry import (
    PinholeCamera,
    inverse_transform,
    look_at,
    project,
    transform_points,
)
from lerf_ros.query.engine import QueryResult
from lerf_ros.query.heat_map import view_points
from lerf_ros.simulation import TabletopScene

Array = np.ndarray
Image = UInt8[Array, 'height width 3']

WIDTH, HEIGHT = 480, 360
# A pixel shows the relevancy of the nearest surface point, if there is one this near.
REACH_M = 0.02
TRUE_COLOUR = (40, 220, 40)


def draw_answer(
    answer: Answer, result: QueryResult, truth: SceneTruth, scene: TabletopScene
) -> Image:
    """Draws the scene as it is beside the relevancy of its surface.

    Green: the true box of what was asked for. White: the box and the place of the answer. What is
    not relevant keeps its colour.
    """
    question = answer.question
    obj = truth.objects[question.object_index] if question.object_index >= 0 else None
    if obj is not None:
        target = obj.surface_centre_world
    else:
        target = np.array(answer.position_m) if answer.position_m else np.zeros(3)
    pose = _view_of(target)
    camera = PinholeCamera.from_vertical_fov(WIDTH, HEIGHT, 50.0)
    view = scene.render(pose, camera)
    relevancy = relevancy_in_view(view.depth, camera, pose, result.positions, result.relevancy)
    panels = [view.image.copy(), heat_overlay(view.image, relevancy)]
    if result.maxima:
        panels = [mark_maximum(panel, result.maxima[0], camera, pose) for panel in panels]
    for panel in panels:
        if obj is not None:
            _draw_box(panel, camera, pose, obj.box_to_world, obj.box_size_m)
        write(panel, question.phrase)
    return np.concatenate(panels, axis=1)


def relevancy_in_view(
    depth_m: Float[Array, 'height width'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    positions: Float[Array, 'n 3'],
    relevancy: Float[Array, ' n'],
) -> Float[Array, 'height width']:
    """Returns the relevancy of what each pixel shows, NaN where the cloud does not reach.

    Args:
        depth_m: Depth of the view, NaN where unknown.
        camera: Intrinsics.
        camera_to_world: Pose.
        positions: The surface cloud.
        relevancy: Relevancy of its points.
    """
    picture = np.full(depth_m.shape, np.nan)
    if len(positions):
        seen, pixels = view_points(depth_m, camera, camera_to_world)
        distance, nearest = cKDTree(positions).query(seen, distance_upper_bound=REACH_M)
        near = np.isfinite(distance)
        picture.reshape(-1)[pixels[near]] = relevancy[nearest[near]]
    return picture


def write(image: Image, text: str) -> None:
    """Writes a line into the top left corner, in place."""
    width = min(image.shape[1], 16 + 11 * len(text))
    image[:32, :width] = image[:32, :width] // 4
    cv2.putText(image, text, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)


def _view_of(target_m: Float[Array, '3']) -> Float[Array, '4 4']:
    """Returns a pose from the side of the table on which the target stands."""
    azimuth = math.atan2(target_m[1], target_m[0] + 1e-6)
    elevation = math.radians(50)
    eye = 0.85 * np.array(
        [
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        ]
    )
    return look_at(eye, 0.5 * target_m)


def _draw_box(
    image: Image,
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    box_to_world: Float[Array, '4 4'],
    size_m: Float[Array, '3'],
) -> None:
    corners = transform_points(
        inverse_transform(camera_to_world), box_corners(box_to_world, size_m)
    )
    uv, z = project(camera, corners)
    if (z <= 0.05).any():
        return
    pixels = [(round(float(u)), round(float(v))) for u, v in uv]
    # Corners whose numbers differ in one bit share an edge.
    for a in range(8):
        for b in (a | 1, a | 2, a | 4):
            cv2.line(image, pixels[a], pixels[b], TRUE_COLOUR, 1, cv2.LINE_AA)
