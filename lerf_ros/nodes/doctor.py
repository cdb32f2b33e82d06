"""Subcommand `doctor`: what a running map hears, what is wrong with it, and what to change."""

from __future__ import annotations

import argparse
import sys
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

PICTURES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
INPUTS = ('image', 'camera_info', 'depth', 'pose')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('--namespace', default='lerf', help='namespace of the map (%(default)s)')
    parser.add_argument(
        '--seconds', type=float, default=5.0, help='how long to listen (%(default)s)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Listens and prints; returns 0 if all is well, 1 if something is wrong."""
    rclpy.init()
    node = rclpy.create_node('lerf_doctor')
    try:
        statuses = _listen(node, arguments.seconds)
        lines, wrong = report(statuses, f'/{arguments.namespace.strip("/")}', _topics(node))
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    sys.stdout.write('\n'.join(lines) + '\n')
    return int(wrong)


def report(
    statuses: dict[str, DiagnosticStatus], namespace: str, topics: dict[str, str]
) -> tuple[list[str], bool]:
    """Returns the table for people, and whether something is wrong.

    Args:
        statuses: The last report of each node, by its full name.
        namespace: Namespace of the map.
        topics: Type of every topic of the graph.
    """
    ours = {name: s for name, s in statuses.items() if name.startswith(f'{namespace}/')}
    lines: list[str] = []
    wrong = False
    for name, status in sorted(ours.items()):
        bad = status.level != DiagnosticStatus.OK
        wrong = wrong or bad
        lines.append(f'{name}: {"WARN" if bad else "ok"}')
        values = {pair.key: pair.value for pair in status.values}
        for one in INPUTS:
            if one in values:
                lines.append(f'  {one:12} {values[one]}')
                lines.append(f'  {"":12} from {values.get(f"{one} from", "")}')
        if values.get('finding'):
            lines.append(f'  wrong        {values["finding"]}')
            lines.append(f'  change       {values["advice"]}')
        elif bad:
            lines.append(f'  wrong        {status.message}')
    if not any(name.endswith('keyframe_node') for name in ours):
        wrong = True
        lines.append(f'{namespace}/keyframe_node: nothing was heard from it on /diagnostics')
        lines.append('  change       start it: ros2 launch lerf_ros lerf.launch.py')
        pictures = sorted(topic for topic, kind in topics.items() if kind in PICTURES)
        lines.append(f'  pictures     {", ".join(pictures) or "no topic of the graph has any"}')
    return lines, wrong


def _listen(node: Node, seconds: float) -> dict[str, DiagnosticStatus]:
    statuses: dict[str, DiagnosticStatus] = {}

    def hear(message: DiagnosticArray) -> None:
        statuses.update({status.name: status for status in message.status})

    node.create_subscription(DiagnosticArray, '/diagnostics', hear, 50)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    return statuses


def _topics(node: Node) -> dict[str, str]:
    return {name: types[0] for name, types in node.get_topic_names_and_types()}
