"""The doctor's table: what is heard, what is wrong, what to change."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from lerf_ros.nodes.doctor import report
from lerf_ros.nodes.keyframe_node import KeyframeNode


def status(level: bytes, message: str, **values: str) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level, message=message, values=[KeyValue(key=k, value=v) for k, v in values.items()]
    )


def test_a_node_in_trouble_and_one_that_is_not_there() -> None:
    sick = status(
        DiagnosticStatus.WARN,
        'no publisher',
        image='/camera/image: 0 heard',
        finding='/camera/image has no publisher',
        advice='start the driver',
    )
    lines, wrong = report({'/lerf/keyframe_node': sick, '/other/node': sick}, '/lerf', {})
    assert wrong
    text = '\n'.join(lines)
    assert '/lerf/keyframe_node: WARN' in text
    assert 'change       start the driver' in text
    assert '/other' not in text
    topics = {'/a/image_raw': 'sensor_msgs/msg/Image', '/b': 'std_msgs/msg/String'}
    lines, wrong = report({}, '/lerf', topics)
    assert wrong
    assert '/a/image_raw' in lines[-1]


def test_all_is_well() -> None:
    well = status(DiagnosticStatus.OK, 'ok', image='/camera/image: 99 heard')
    lines, wrong = report({'/lerf/keyframe_node': well}, '/lerf', {})
    assert not wrong
    assert lines[0] == '/lerf/keyframe_node: ok'


def test_it_hears_a_running_node(spinner: Any) -> None:
    spinner.add(KeyframeNode(namespace='patient'))
    command = [sys.executable, '-m', 'lerf_ros', 'doctor', '--namespace', 'patient']
    done = subprocess.run([*command, '--seconds', '6'], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert '/patient/keyframe_node: WARN' in done.stdout
    assert 'image: /patient/image has no publisher' in done.stdout
    assert 'change       start the driver' in done.stdout
