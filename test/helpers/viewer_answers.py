"""An answer as the viewer gets it."""

from __future__ import annotations

import numpy as np

from lerf_ros.query.request import Maximum, QueryResult
from lerf_ros.viewer.state import Answer


def answer(phrase: str = 'red mug', exists: bool = True) -> Answer:
    positions = np.array([[0.1, 0.0, 0.05], [1.0, 1.0, 0.0]], np.float32)
    place = Maximum(
        position_m=np.array([0.1, 0.0, 0.05]),
        normal=np.array([0.0, 0.0, 1.0]),
        relevancy=0.9,
        scale_m=0.12,
        box_to_world=np.eye(4),
        box_size_m=np.array([0.1, 0.1, 0.1]),
        point_indices=np.array([0]),
        views=3,
        viewpoints=np.array([[1.0, 0.0, 1.0]], np.float32),
    )
    result = QueryResult(
        phrase=phrase,
        exists=exists,
        confidence=0.9 if exists else 0.1,
        maxima=(place,),
        positions=positions,
        colours=np.zeros((2, 3), np.uint8),
        relevancy=np.array([0.9, 0.2], np.float32),
        scale_m=np.full(2, 0.12, np.float32),
        step=7,
        stamp_ns=1_500_000_000,
    )
    return Answer('a', (result,), 0.01, 9, 'map')
