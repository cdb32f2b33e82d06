"""Answers as RViz shows them: a box and a label for each place; metres, world frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Pose
from jaxtyping import Float
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from lerf_ros.bridge.poses import point_message, pose_message, vector_message
from lerf_ros.query.request import Maximum, QueryResult

# The most places of one phrase.
PLACES = 100
TEXT_HEIGHT_M = 0.03
# In heights of the text: RViz takes a label's scale.x for the width of a space, where 0 tears the
# words apart; a letter; and a line.
SPACE, LETTER, LINE = 0.4, 0.5, 1.2
COLOURS = ((0.9, 0.2, 0.2), (0.2, 0.5, 0.9), (0.2, 0.7, 0.3), (0.9, 0.6, 0.1))
ABSENT = (0.6, 0.6, 0.6)


@dataclass(frozen=True, eq=False)
class Label:
    """A text in the scene.

    Attributes:
        text: The text.
        position_m: Its middle.
    """

    text: str
    position_m: Float[np.ndarray, '3']

    @property
    def width_m(self) -> float:
        """About how wide it is."""
        return LETTER * TEXT_HEIGHT_M * len(self.text)


def markers_message(results: Sequence[QueryResult], header: Header) -> MarkerArray:
    """Returns a box and a text for every place, one namespace a phrase; old ones are removed.

    What is absent is drawn grey, at the nearest thing to it, and says so.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    labels: list[Label] = []
    for number, result in enumerate(results):
        red, green, blue = COLOURS[number % len(COLOURS)] if result.exists else ABSENT
        for rank, maximum in enumerate(result.shown):
            faded = 0.35 if rank == 0 else 0.15
            label = apart(_label(result, maximum), labels)
            labels.append(label)
            # The number keeps ids apart where a phrase was asked twice.
            id_ = 2 * (PLACES * number + rank)
            common = {'header': header, 'ns': result.phrase[:100], 'action': Marker.ADD}
            markers.append(
                Marker(
                    **common,
                    id=id_,
                    type=Marker.CUBE,
                    pose=pose_message(maximum.box_to_world),
                    # RViz refuses a side of 0.
                    scale=vector_message(np.maximum(maximum.box_size_m, 1e-3)),
                    color=ColorRGBA(r=red, g=green, b=blue, a=faded),
                )
            )
            shade = 1.0 if result.exists else ABSENT[0]
            markers.append(
                Marker(
                    **common,
                    id=id_ + 1,
                    type=Marker.TEXT_VIEW_FACING,
                    pose=Pose(position=point_message(label.position_m)),
                    scale=vector_message(np.array([SPACE * TEXT_HEIGHT_M, 0, TEXT_HEIGHT_M])),
                    color=ColorRGBA(r=shade, g=shade, b=shade, a=1.0),
                    text=label.text,
                )
            )
    return MarkerArray(markers=markers)


def _label(result: QueryResult, maximum: Maximum) -> Label:
    text = f'{result.phrase} {maximum.relevancy:.2f}'
    if not result.exists:
        text = f'{result.phrase}: not found'
    height = maximum.box_size_m.max() / 2 + TEXT_HEIGHT_M
    return Label(text, maximum.position_m + np.array([0, 0, height]))


def apart(label: Label, others: Sequence[Label]) -> Label:
    """Returns a label lifted until it lies over no other one, wherever one looks from."""
    line_m = LINE * TEXT_HEIGHT_M
    for _ in range(len(others) + 1):
        hit = next((other for other in others if _overlap(label, other)), None)
        if hit is None:
            break
        lifted = label.position_m.copy()
        lifted[2] = hit.position_m[2] + line_m
        label = Label(label.text, lifted)
    return label


def _overlap(one: Label, other: Label) -> bool:
    apart_m = float(np.linalg.norm(one.position_m[:2] - other.position_m[:2]))
    above_m = abs(float(one.position_m[2] - other.position_m[2]))
    near = apart_m < (one.width_m + other.width_m) / 2
    return near and above_m < LINE * TEXT_HEIGHT_M - 1e-9
