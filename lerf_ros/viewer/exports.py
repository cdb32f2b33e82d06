"""Answers as JSON: plain data, metres, in the map's world frame."""

from __future__ import annotations

import json
from typing import Any

from lerf_ros.query.request import Maximum
from lerf_ros.viewer.state import Answer


def answer_json(answer: Answer) -> bytes:
    """Returns an answer as a JSON file."""
    stamp_ns = answer.results[0].stamp_ns if answer.results else 0
    content = {
        'frame_id': answer.frame,
        'stamp': stamp_ns * 1e-9,
        'step': answer.step,
        'results': [
            {
                'phrase': result.phrase,
                'exists': bool(result.exists),
                'confidence': float(result.confidence),
                'maxima': [_maximum(maximum) for maximum in result.maxima],
            }
            for result in answer.own_frame.world_results(answer.results)
        ],
    }
    return (json.dumps(content, indent=1) + '\n').encode()


def _maximum(maximum: Maximum) -> dict[str, Any]:
    return {
        'position': maximum.position_m.tolist(),
        'normal': maximum.normal.tolist(),
        'relevancy': float(maximum.relevancy),
        'scale': float(maximum.scale_m),
        'box_size': maximum.box_size_m.tolist(),
        'box_to_world': maximum.box_to_world.tolist(),
        'points': len(maximum.point_indices),
        'views': int(maximum.views),
    }
