"""Subcommand `play`: a recording of any kind, or the simulated table, as live topics."""

from __future__ import annotations

import argparse
from functools import partial

from rclpy.parameter import Parameter

from lerf_ros.nodes.player_node import PlayerNode
from lerf_ros.nodes.spinning import spin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('source', help="a recording of any kind, or 'tabletop'")
    parser.add_argument('--rate', type=float, default=10.0, help='frames a second (%(default)s)')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--world-frame', default='map', help='frame of the poses (%(default)s)')
    parser.add_argument(
        '--namespace', default='camera', help='namespace of the topics (%(default)s)'
    )
    parser.add_argument(
        '--depth-unit', type=float, default=0.0, metavar='M', help='what 1 means in its depth'
    )
    parser.add_argument(
        '--now', action='store_true', help='start without waiting for somebody to listen'
    )


def run(arguments: argparse.Namespace) -> int:
    """Plays until the end or Ctrl-C; returns the exit status."""
    values = {
        'source': arguments.source,
        'rate_hz': arguments.rate,
        'loop': arguments.loop,
        'world_frame': arguments.world_frame,
        'depth_unit_m': arguments.depth_unit,
        'wait_for_subscriber': not arguments.now,
    }
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    return spin(partial(PlayerNode, parameters, namespace=arguments.namespace))
