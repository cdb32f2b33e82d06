"""Subcommand `demo`: the whole system on one machine, checked against the truth.

Starts a camera, a keyframe node and a field node as processes of their own, asks the map while it
learns, prints each answer beside the truth, and draws pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lerf_ros.config import flat_options
from lerf_ros.nodes.demo_answers import (
    RIGHT_SHARE,
    ask,
    conclude,
    counts,
    say,
    sentence,
    table,
)
from lerf_ros.nodes.demo_panels import draw_pictures
from lerf_ros.nodes.demo_world import Question, RecordedWorld, TableWorld, World
from lerf_ros.nodes.map_client import MapClient
from lerf_ros.nodes.processes import NodeProcesses

DEPTH_LIMIT_M = 0.04
START_TIMEOUT_S = 120.0
# The page comes after the service.
PAGE_TIMEOUT_S = 60.0
DEPTH_VIEWS = 8
TICK_S = 0.5
# Where the output is no terminal, a line of progress comes this often.
PRINT_S = 5.0
CAMERA_REMAPS = {name: f'/camera/{name}' for name in ('image', 'camera_info', 'depth', 'pose')}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('--data', type=Path, help='recording of any kind instead of the table')
    parser.add_argument(
        '--truth', type=Path, help='boxes drawn in pictures of --data, as JSON: what is right'
    )
    parser.add_argument(
        '--colour-focal',
        type=float,
        default=0.0,
        help='focal length of colour that is not registered to depth, px (0: as the kind does)',
    )
    parser.add_argument(
        '--set', action='append', default=[], metavar='GROUP.OPTION=VALUE', help='set an option'
    )
    parser.add_argument('--seed', type=int, default=9003, help='seed of the simulated scene')
    parser.add_argument('--phrases', type=int, default=10, help='number of present things to ask')
    parser.add_argument(
        '--ask', action='append', default=[], metavar='PHRASE', help='ask this as well; repeatable'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        help='how long to map, from the first keyframe (60; a recording 120)',
    )
    parser.add_argument(
        '--rate', type=float, help='camera frames a second (10; of a recording as it was taken)'
    )
    parser.add_argument('--output', type=Path, default=Path('demo_output'), help='folder written')
    parser.add_argument(
        '--domain', type=int, default=-1, help='ROS domain; -1 picks one of its own'
    )
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    parser.add_argument(
        '--view',
        action='store_true',
        help='show the map on a web page meanwhile, and afterwards until Ctrl-C',
    )
    parser.add_argument('--port', type=int, default=8080, help='port of that page (8080)')


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo; returns 0 only if the answers are right.

    Raises:
        ValueError: There is a truth and no recording, or one of them cannot be read.
    """
    if arguments.truth and not arguments.data:
        raise ValueError('truth: boxes belong to a recording; name it by --data')
    arguments.output.mkdir(parents=True, exist_ok=True)
    domain = arguments.domain if arguments.domain >= 0 else 10 + os.getpid() % 90
    environment = {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    os.environ.update(environment)
    say('preparing the scene')
    world: World = (
        RecordedWorld(arguments.data, arguments.rate, arguments.truth, arguments.colour_focal)
        if arguments.data
        else TableWorld(arguments.seed, arguments.phrases, arguments.rate)
    )
    with NodeProcesses(arguments.output, environment) as nodes:
        page = {'viewer.enabled': True, 'viewer.port': arguments.port} if arguments.view else {}
        options = {**world.map_parameters, **options_of(arguments.set)}
        nodes.start('field_node', {'node.world_frame': world.world_frame, **options, **page})
        choice = {'node.world_frame': world.world_frame, **world.keyframe_parameters}
        nodes.start('keyframe_node', choice, CAMERA_REMAPS)
        with MapClient() as client:
            say(f'starting the field node (ROS domain {domain})')
            client.wait_for_service(START_TIMEOUT_S)
            address = page_address(arguments.output, nodes) if arguments.view else ''
            if address:
                say(f'see it and ask it: {address}')
            say('ask it from another terminal:')
            words = ' '.join(f'{name}={value}' for name, value in environment.items())
            say(f'    {words} {sys.argv[0]} query "{world.questions[0].phrase}"')
            nodes.start('player_node', {**world.player_parameters, 'loop': True})
            result = hold(arguments, world, nodes, client)
            if address:
                stay(nodes, address)
        say('stopping the nodes')
        stop_s = nodes.stop()
    result['stop_s'] = {node: round(seconds, 2) for node, seconds in stop_s.items()}
    text = json.dumps(result, indent=1)
    for path in filter(None, (arguments.output / 'result.json', arguments.json)):
        path.write_text(text + '\n', encoding='utf-8')
    return 0 if conclude(result, arguments.output) else 1


def options_of(changes: Sequence[str]) -> dict[str, object]:
    """Returns options as `GROUP.OPTION=VALUE` texts give them.

    Raises:
        ValueError: A text has another form, or names no option.
    """
    known = {name for name, _ in flat_options()}
    options: dict[str, object] = {}
    for change in changes:
        name, equals, value = change.partition('=')
        if not equals or name not in known:
            raise ValueError(f'set: expected GROUP.OPTION=VALUE of an option, got {change!r}')
        options[name] = yaml.safe_load(value)
    return options


def hold(
    arguments: argparse.Namespace, world: World, nodes: NodeProcesses, client: MapClient
) -> dict[str, Any]:
    """Maps for a while, asks meanwhile and at the end; returns the figures."""
    client.wait_for_keyframe(START_TIMEOUT_S)
    started = time.monotonic()
    duration_s = world.seconds if arguments.seconds is None else arguments.seconds
    present = [q for q in world.questions if q.judged and q.kind == 'word']
    # Of a recording, whose encoder may know few of the words, the first right answer is enough.
    wanted = math.ceil(RIGHT_SHARE * len(present)) if not arguments.data else 1
    first_answer_s = eight_of_ten_s = None
    next_ask_s = 0.0
    while (seconds := time.monotonic() - started) < duration_s:
        nodes.check()
        progress(client, seconds)
        # All questions again and again until enough are right, then the line alone. Between two
        # rounds the map learns for at least as long as it answered.
        if present and eight_of_ten_s is None and seconds >= next_ask_s:
            right = [verdict for verdict in ask(client, present, started) if verdict.right]
            if right and first_answer_s is None:
                first_answer_s = right[0].seconds
                print()
                say(f'first right answer after {first_answer_s:.1f} s: {sentence(right[0])}')
            if len(right) >= wanted:
                eight_of_ten_s = right[0].seconds
                print()
                say(f'{len(right)} of {len(present)} right after {eight_of_ten_s:.1f} s')
            answered_s = time.monotonic() - started
            next_ask_s = 2 * answered_s - seconds
        time.sleep(TICK_S)
    print()
    say('asking while the map goes on learning')
    questions = [*world.questions, *(Question(phrase) for phrase in arguments.ask)]
    verdicts = [ask(client, [question], started)[0] for question in questions]
    for line in table(verdicts):
        print(line)
    say('drawing what the map looks like')
    depth_error_m = depth_error(client.render, world)
    pictures = draw_pictures(client, world, verdicts, arguments.output)
    status = client.status
    assert status is not None
    return {
        'eight_of_ten_s': eight_of_ten_s if not arguments.data else None,
        'first_answer_s': first_answer_s,
        'phrases': [asdict(verdict) for verdict in verdicts],
        **counts(verdicts),
        'depth_median_m': depth_error_m,
        'depth_limit_m': DEPTH_LIMIT_M if arguments.data else None,
        'step': int(status.step),
        'steps_per_s': float(status.steps_per_second),
        'keyframes': int(status.keyframes_integrated),
        'keyframes_dropped': int(status.keyframes_dropped),
        'memory_mb': int(status.memory_bytes) // 2**20,
        'pictures': [str(path) for path in pictures],
    }


def page_address(output: Path, nodes: NodeProcesses) -> str:
    """Returns where the field node shows its map, once its log says so.

    Raises:
        TimeoutError: The log does not say.
    """
    log, deadline = output / 'field_node.log', time.monotonic() + PAGE_TIMEOUT_S
    while time.monotonic() < deadline:
        nodes.check()
        found = re.search(r'the map is shown on (\S+)', log.read_text(errors='replace'))
        if found is not None:
            return found.group(1)
        time.sleep(TICK_S)
    raise TimeoutError(f'view: the field node shows no page; see {log}')


def stay(nodes: NodeProcesses, address: str) -> None:
    """Leaves the map on its page until Ctrl-C."""
    say(f'the map goes on learning; {address} shows it until Ctrl-C')
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            nodes.check()
            time.sleep(TICK_S)


def depth_error(render: Callable[..., Any], world: World) -> float | None:
    """Returns the median error of rendered depth against the sensor, over streamed frames; None
    where the sensor gives none.

    Args:
        render: Returns picture, depth and relevancy from a camera and its pose.
        world: The frames.
    """
    errors = []
    for frame in world.views(DEPTH_VIEWS):
        if frame.depth is None:
            continue
        camera = frame.camera.resized(160, 120)
        _, depth_m, _ = render(camera, frame.camera_to_world)
        rows = ((np.arange(120) + 0.5) * frame.camera.height / 120).astype(int)
        columns = ((np.arange(160) + 0.5) * frame.camera.width / 160).astype(int)
        difference = np.abs(depth_m - frame.depth[np.ix_(rows, columns)])
        errors.append(difference[np.isfinite(difference)])
    known = np.concatenate(errors) if errors else np.empty(0)
    return float(np.median(known)) if len(known) else None


def progress(client: MapClient, seconds: float) -> None:
    """Draws the progress line, or prints one where the output is no terminal."""
    status = client.status
    if status is None:
        return
    line = (
        f'{seconds:5.1f} s  {status.state:<8}  keyframes {status.keyframes_integrated:3d}'
        f'  step {status.step:5d}  {status.steps_per_second:5.1f} steps/s'
        f'  loss {status.loss:7.4f}  points {status.surface_points:6d}'
    )
    if sys.stdout.isatty():
        print(f'\r{line}', end='', flush=True)
    elif seconds % PRINT_S < TICK_S:
        print(line, flush=True)
