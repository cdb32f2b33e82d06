"""Health: rates over the last seconds, complaints counted and throttled, diagnostics sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from lerf_ros.nodes.health import Health
from lerf_ros.scheduling import rate as rate_module
from lerf_ros.scheduling.rate import Rate


def test_rates_are_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rate_module.time, 'monotonic', lambda: now)
    rate = Rate()
    assert rate.hz == 0
    assert rate.age_s == float('inf')
    for _ in range(11):
        rate.tick()
        now += 0.1
    assert rate.hz == pytest.approx(10.0)
    assert rate.age_s == pytest.approx(0.1)
    now += 60
    assert rate.hz == 0


def test_complaints_reach_diagnostics(spinner: Any, wait_until: Callable[..., None]) -> None:
    node, listener = Node('patient'), Node('doctor')
    heard: list[DiagnosticStatus] = []
    listener.create_subscription(
        DiagnosticArray, '/diagnostics', lambda message: heard.extend(message.status), 10
    )
    health = Health(node, lambda: {'loss': 0.125, 'state': 'TRAINING'})
    spinner.add(node)
    spinner.add(listener)
    wait_until(lambda: heard, 'a report')
    assert heard[0].level == DiagnosticStatus.OK
    health.note('overflow', 'too many')
    wait_until(lambda: values_of(heard[-1]).get('overflow') == '1', 'a report after a note')
    assert heard[-1].level == DiagnosticStatus.OK
    for _ in range(3):
        health.complain('bad', 'image: expected pixels')
    wait_until(lambda: heard[-1].level == DiagnosticStatus.WARN, 'a report after complaints')
    assert heard[-1].message == 'image: expected pixels'
    assert values_of(heard[-1]) == {
        'loss': '0.125',
        'state': 'TRAINING',
        'overflow': '1',
        'bad': '3',
    }


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}
