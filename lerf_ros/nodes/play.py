"""Subcommand `play`: a recording of any kind, or the simulated table, as live topics.

A bag of keyframes is played as keyframes, straight to a field node; all else as a camera.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from rclpy.parameter import Parameter

from lerf_ros.nodes.keyframe_player import KeyframePlayerNode, has_keyframes
from lerf_ros.nodes.player_node import PlayerNode
from lerf_ros.nodes.spinning import spin
from lerf_ros.sources.detection import kind_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('source', help="a recording of any kind, or 'tabletop'")
    parser.add_argument(
        '--rate', type=float, help='frames a second (10; keyframes as they were recorded)'
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--world-frame', default='map', help='frame of the poses (%(default)s)')
    parser.add_argument('--namespace', help='namespace of the topics (camera; lerf of keyframes)')
    parser.add_argument(
        '--depth-unit', type=float, default=0.0, metavar='M', help='what 1 means in its depth'
    )
    parser.add_argument(
        '--now', action='store_true', help='start without waiting for somebody to listen'
    )


def run(arguments: argparse.Namespace) -> int:
    """Plays until the end or Ctrl-C; returns the exit status."""
    path = Path(arguments.source)
    if path.exists() and kind_of(path) == 'bag' and has_keyframes(path):
        return spin(
            partial(
                KeyframePlayerNode,
                path,
                arguments.rate or 0.0,
                not arguments.now,
                namespace=arguments.namespace or 'lerf',
            )
        )
    values = {
        'source': arguments.source,
        'rate_hz': 10.0 if arguments.rate is None else arguments.rate,
        'loop': arguments.loop,
        'world_frame': arguments.world_frame,
        'depth_unit_m': arguments.depth_unit,
        'wait_for_subscriber': not arguments.now,
    }
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    return spin(partial(PlayerNode, parameters, namespace=arguments.namespace or 'camera'))
