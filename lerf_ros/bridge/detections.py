"""Places as `vision_msgs/Detection3DArray`, for planners that know no other message.

``Detection3DArray`` is None where vision_msgs is not installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from std_msgs.msg import Header

from lerf_ros.bridge.poses import point_message, pose_message, vector_message
from lerf_ros.query.engine import QueryResult

try:
    from vision_msgs.msg import (
        BoundingBox3D,
        Detection3D,
        Detection3DArray,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
    )
except ImportError:
    Detection3DArray = None


def detections_message(results: Sequence[QueryResult], header: Header) -> Any:
    """Returns the places of all phrases that are likely there, best first, in the world frame.

    Class is the phrase, score its confidence; pose is the box's with the place as its position.
    """
    detections = []
    for result in results:
        if not result.exists:
            continue
        for rank, maximum in enumerate(result.maxima):
            found = ObjectHypothesisWithPose(
                hypothesis=ObjectHypothesis(class_id=result.phrase, score=float(result.confidence))
            )
            found.pose.pose = pose_message(maximum.box_to_world)
            found.pose.pose.position = point_message(maximum.position_m)
            detections.append(
                Detection3D(
                    header=header,
                    results=[found],
                    bbox=BoundingBox3D(
                        center=pose_message(maximum.box_to_world),
                        size=vector_message(maximum.box_size_m),
                    ),
                    id=f'{result.phrase} {rank + 1}',
                )
            )
    return Detection3DArray(header=header, detections=detections)
