"""The profiles are those that cameras, RViz and recorders meet."""

from __future__ import annotations

from pathlib import Path

import yaml
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from lerf_ros.bridge import qos

RVIZ = Path(__file__).resolve().parents[2] / 'config' / 'lerf.rviz'


def test_cameras_are_heard_as_they_send() -> None:
    assert qos.camera('best_effort').reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.camera('reliable').reliability == ReliabilityPolicy.RELIABLE


def test_keyframes_are_not_lost() -> None:
    assert qos.KEYFRAMES.reliability == ReliabilityPolicy.RELIABLE
    assert qos.KEYFRAMES.depth == 50


def test_rviz_listens_as_the_node_sends() -> None:
    assert qos.LATCHED.durability == DurabilityPolicy.TRANSIENT_LOCAL
    displays = yaml.safe_load(RVIZ.read_text())['Visualization Manager']['Displays']
    topics = {d['Topic']['Value']: d['Topic'] for d in displays if 'Topic' in d}
    # Its sender keeps nothing for those who come late: they would hear of nothing at all.
    pictures = topics.pop('/lerf/relevancy_image')
    assert qos.PICTURES.durability == DurabilityPolicy.VOLATILE
    assert pictures['Durability Policy'] == 'Volatile'
    assert set(topics) == {
        f'/lerf/{name}' for name in ('surface_cloud', 'relevancy_cloud', 'maxima', 'markers')
    }
    for topic in topics.values():
        assert topic['Durability Policy'] == 'Transient Local'
        assert topic['Reliability Policy'] == 'Reliable'
