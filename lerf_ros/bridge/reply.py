"""Questions from messages, and answers as messages, markers and poses.

Answers come in the world frame; ``frame_from_world`` moves them into the frame that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseArray
from jaxtyping import Float
from std_msgs.msg import Header

from lerf_ros.bridge.clouds import cloud_message
from lerf_ros.bridge.poses import point_message, pose_message, vector_message
from lerf_ros.frames.encodings import image_array
from lerf_ros.frames.messages import pose_matrix_of
from lerf_ros.geometry import transform_points
from lerf_ros.msg import PhraseResult, RelevancyMaximum
from lerf_ros.query.engine import Exemplar, Maximum, QueryRequest, QueryResult, Region
from lerf_ros.query.request import MAX_MAXIMA
from lerf_ros.srv import QueryLanguage

Transform = Float[np.ndarray, '4 4']


def request_of(
    message: QueryLanguage.Request, world_from_frame: Transform, default_maxima: int
) -> QueryRequest:
    """Returns the question of a message, checked.

    Raises:
        ValueError: Something is malformed; the message says what and what was expected.
    """
    if message.max_maxima < 0:
        raise ValueError(
            f'max_maxima: expected 0 for the default, or 1 to {MAX_MAXIMA}, '
            f'got {message.max_maxima}'
        )
    request = QueryRequest(
        positives=tuple(message.positives),
        parts=tuple(message.parts),
        exemplars=exemplars_of(message),
        negatives=tuple(message.negatives),
        region=region_of(message, world_from_frame),
        min_relevancy=message.min_relevancy,
        max_maxima=message.max_maxima or default_maxima,
    )
    request.check()
    return request


def exemplars_of(message: QueryLanguage.Request) -> tuple[Exemplar, ...]:
    """Returns the pictures of a question.

    Raises:
        ValueError: A picture cannot be read, or the boxes are not as many as the pictures.
    """
    images, boxes = message.exemplars, message.exemplar_boxes
    if boxes and len(boxes) != len(images):
        raise ValueError(
            f'exemplar_boxes: expected none, or one for each of the {len(images)} exemplars, '
            f'got {len(boxes)}'
        )
    exemplars = []
    for number, image in enumerate(images):
        box_uv = None
        if boxes and boxes[number].width:
            box = boxes[number]
            left, top = float(box.x_offset), float(box.y_offset)
            box_uv = (left, top, left + box.width, top + box.height)
        exemplars.append(Exemplar(image_array(image), box_uv, f'exemplar {number + 1}'))
    return tuple(exemplars)


def region_of(message: QueryLanguage.Request, world_from_frame: Transform) -> Region | None:
    """Returns the box of a question in the world frame; None for the whole map.

    Raises:
        ValueError: A side is negative, or only some are 0.
    """
    size = message.region_size
    size_m = np.array([size.x, size.y, size.z])
    if not size_m.any():
        return None
    if not np.isfinite(size_m).all() or (size_m <= 0).any():
        raise ValueError(
            'region_size: expected three lengths above 0 m, or all 0 for the whole map, '
            f'got {size_m.tolist()}'
        )
    return Region(world_from_frame @ pose_matrix_of(message.region_pose), size_m)


def phrase_result_message(
    result: QueryResult, frame_from_world: Transform, header: Header, with_cloud: bool
) -> PhraseResult:
    """Returns the message of one answer."""
    message = PhraseResult(
        phrase=result.phrase,
        exists=bool(result.exists),
        confidence=float(result.confidence),
        doubt=result.doubt,
        maxima=[maximum_message(m, frame_from_world, with_cloud) for m in result.maxima],
    )
    if result.object is not None:
        wholes = result.object.maxima
        message.objects = [maximum_message(m, frame_from_world, with_cloud) for m in wholes]
    if with_cloud:
        positions = transform_points(frame_from_world, result.positions)
        message.cloud = cloud_message(positions, result.colours, result.relevancy, header)
    return message


def maximum_message(
    maximum: Maximum, frame_from_world: Transform, with_indices: bool
) -> RelevancyMaximum:
    """Returns the message of one place."""
    return RelevancyMaximum(
        position=point_message(transform_points(frame_from_world, maximum.position_m)),
        normal=vector_message(frame_from_world[:3, :3] @ maximum.normal),
        relevancy=float(maximum.relevancy),
        scale=float(maximum.scale_m),
        box_pose=pose_message(frame_from_world @ maximum.box_to_world),
        box_size=vector_message(maximum.box_size_m),
        points=len(maximum.point_indices),
        point_indices=maximum.point_indices.tolist() if with_indices else [],
        views=int(maximum.views),
    )


def viewpoint_messages(results: Sequence[QueryResult], frame_from_world: Transform) -> list[Point]:
    """Returns the cameras that saw the best place of the first phrase."""
    if not results or not results[0].maxima:
        return []
    centres = transform_points(frame_from_world, results[0].maxima[0].viewpoints)
    return [point_message(centre) for centre in centres]


def maxima_message(results: Sequence[QueryResult], header: Header) -> PoseArray:
    """Returns the pose of every place of what is there, best first: x along the normal."""
    poses = [
        Pose(
            position=point_message(maximum.position_m),
            orientation=pose_message(_facing(maximum.normal)).orientation,
        )
        for result in results
        if result.exists
        for maximum in result.shown
    ]
    return PoseArray(header=header, poses=poses)


def _facing(normal: Float[np.ndarray, '3']) -> Transform:
    """Returns a transform whose x axis is a direction."""
    length = float(np.linalg.norm(normal))
    x = np.array([0.0, 0.0, 1.0]) if length < 1e-6 else normal / length
    helper = np.array([1.0, 0.0, 0.0]) if abs(x[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    y = np.cross(x, helper)
    y /= np.linalg.norm(y)
    result = np.eye(4)
    result[:3, 0], result[:3, 1], result[:3, 2] = x, y, np.cross(x, y)
    return result
