"""The profiles are those that cameras, RViz and recorders meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from lerf_ros.bridge import qos

CONFIG = Path(__file__).resolve().parents[2] / 'config'
RVIZ, FOXGLOVE = CONFIG / 'lerf.rviz', CONFIG / 'foxglove.json'


def test_cameras_are_heard_as_they_send() -> None:
    assert qos.camera('best_effort').reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.camera('reliable').reliability == ReliabilityPolicy.RELIABLE


def test_poses_are_heard_as_they_are_asked_for() -> None:
    assert qos.poses().reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.poses('reliable').reliability == ReliabilityPolicy.RELIABLE


def test_keyframes_are_not_lost() -> None:
    assert qos.KEYFRAMES.reliability == ReliabilityPolicy.RELIABLE
    assert qos.KEYFRAMES.depth == 50


SHOWN = (
    'surface_cloud',
    'relevancy_cloud',
    'maxima',
    'markers',
    'keyframe_path',
    'keyframe_frusta',
)


def test_rviz_listens_as_the_node_sends() -> None:
    assert qos.LATCHED.durability == DurabilityPolicy.TRANSIENT_LOCAL
    displays = yaml.safe_load(RVIZ.read_text())['Visualization Manager']['Displays']
    topics = {d['Topic']['Value']: d['Topic'] for d in displays if 'Topic' in d}
    # Its sender keeps nothing for those who come late: they would hear of nothing at all.
    pictures = topics.pop('/lerf/relevancy_image')
    assert qos.PICTURES.durability == DurabilityPolicy.VOLATILE
    assert pictures['Durability Policy'] == 'Volatile'
    # A best-effort listener hears every camera.
    assert topics.pop('/camera/image')['Reliability Policy'] == 'Best Effort'
    assert set(topics) == {f'/lerf/{name}' for name in SHOWN}
    for topic in topics.values():
        assert topic['Durability Policy'] == 'Transient Local'
        assert topic['Reliability Policy'] == 'Reliable'


def test_irrelevant_points_are_dark_in_rviz() -> None:
    displays = yaml.safe_load(RVIZ.read_text())['Visualization Manager']['Displays']
    surface, relevancy = (
        next(d for d in displays if d['Name'] == name) for name in ('Surface', 'Relevancy')
    )
    # RViz clamps what is below the range to the low colour, which a rainbow has bright.
    assert relevancy['Use rainbow'] is False
    assert relevancy['Min Intensity'] == 0.5
    low, high = ([int(c) for c in relevancy[f'{end} Color'].split(';')] for end in ('Min', 'Max'))
    assert max(low) < 100 < max(high)
    # Points of the same size would flicker with the surface's.
    assert relevancy['Size (m)'] > surface['Size (m)']


def test_foxglove_shows_what_rviz_shows() -> None:
    layout = json.loads(FOXGLOVE.read_text())
    panels = layout['configById']
    assert set(panels['3D!lerf']['topics']) == {f'/lerf/{name}' for name in SHOWN}
    assert panels['Publish!lerf']['topicName'] == '/lerf/ask'
    laid: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, str):
            laid.append(part)
        else:
            walk(part['first'])
            walk(part['second'])

    walk(layout['layout'])
    assert sorted(laid) == sorted(panels)
