"""Pictures of answers: relevancy over a view, the true box, and where the answer lies."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.evaluation.answers import Answer
from lerf_ros.evaluation.truth import SceneTruth
from lerf_ros.geometry import (
    PinholeCamera,
    inverse_transform,
    look_at,
    project,
    transform_points,
)
from lerf_ros.query.engine import QueryResult
from lerf_ros.sources.tabletop import TabletopScene

Array = np.ndarray
Image = UInt8[Array, 'height width 3']

WIDTH, HEIGHT = 480, 360
TRUE_COLOUR, ANSWER_COLOUR = (40, 220, 40), (255, 40, 220)
_EDGES = (
    (0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7),
)  # fmt: skip


def draw_answer(
    answer: Answer, result: QueryResult, truth: SceneTruth, scene: TabletopScene
) -> Image:
    """Draws the scene as it is beside the relevancy of its surface.

    Green: the true box of what was asked for. Magenta: the answer.
    """
    question = answer.question
    thing = truth.objects[question.object_index] if question.object_index >= 0 else None
    if thing is not None:
        target = thing.surface_centre_world
    else:
        target = np.array(answer.position_m) if answer.position_m else np.zeros(3)
    pose = _view_of(target)
    camera = PinholeCamera.from_vertical_fov(WIDTH, HEIGHT, 50.0)
    view = scene.render(pose, camera)
    heat = overlay_relevancy(
        view.image, view.depth, camera, pose, result.positions, result.relevancy
    )
    panels = [view.image.copy(), heat]
    for panel in panels:
        if thing is not None:
            _draw_box(panel, camera, pose, thing.box_to_world, thing.box_size_m)
        if answer.position_m is not None:
            _draw_cross(panel, camera, pose, np.array(answer.position_m))
        _write(panel, question.phrase)
    return np.concatenate(panels, axis=1)


def overlay_relevancy(
    image: Image,
    depth_m: Float[Array, 'height width'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    positions: Float[Array, 'n 3'],
    relevancy: Float[Array, 'n'],
    point_m: float = 0.012,
) -> Image:
    """Paints the relevancy of surface points over a view, hidden points left out.

    Colours span the lowest to the highest relevancy of the cloud: a phrase that is nowhere still
    has a brightest point.
    """
    result = (image * 0.35).astype(np.uint8)
    if not len(positions):
        return result
    uv, z = project(camera, transform_points(inverse_transform(camera_to_world), positions))
    shown = (z > 0.05) & (uv >= 0).all(axis=1) & (uv < (camera.width, camera.height)).all(axis=1)
    u, v = uv[shown].astype(int).T
    z, values = z[shown], relevancy[shown]
    in_front = z <= np.nan_to_num(depth_m[v, u], nan=np.inf) + 0.02
    u, v, z, values = u[in_front], v[in_front], z[in_front], values[in_front]
    low, high = float(relevancy.min()), float(relevancy.max())
    level = np.round(255 * (values - low) / max(high - low, 1e-6)).astype(np.uint8)
    colours = cv2.applyColorMap(level[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]
    # The most relevant last, so that they are not covered.
    for i in np.argsort(values):
        half = max(1, round(camera.fx * point_m / float(z[i]) / 2))
        cv2.rectangle(
            result,
            (int(u[i]) - half, int(v[i]) - half),
            (int(u[i]) + half, int(v[i]) + half),
            tuple(int(c) for c in colours[i]),
            cv2.FILLED,
        )
    return cv2.addWeighted(result, 0.7, image, 0.3, 0)


def _write(image: Image, text: str) -> None:
    """Writes a line into the top left corner."""
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
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = transform_points(box_to_world, signs * size_m / 2)
    uv, z = project(camera, transform_points(inverse_transform(camera_to_world), corners))
    if (z <= 0.05).any():
        return
    pixels = [(round(float(u)), round(float(v))) for u, v in uv]
    for a, b in _EDGES:
        cv2.line(image, pixels[a], pixels[b], TRUE_COLOUR, 2, cv2.LINE_AA)


def _draw_cross(
    image: Image,
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    position_m: Float[Array, '3'],
) -> None:
    uv, z = project(camera, transform_points(inverse_transform(camera_to_world), position_m[None]))
    if z[0] > 0.05 and (np.abs(uv[0]) < 1e5).all():
        centre = tuple(np.round(uv[0]).astype(int).tolist())
        cv2.drawMarker(image, centre, ANSWER_COLOUR, cv2.MARKER_TILTED_CROSS, 18, 3, cv2.LINE_AA)
