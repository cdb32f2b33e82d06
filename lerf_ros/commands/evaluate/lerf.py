"""`evaluate lerf`: LERF's own protocol and that of LERF-OVS."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lerf_ros.commands.arguments import parse_seconds
from lerf_ros.commands.evaluate.map_arguments import (
    add_map,
    add_times,
    config_of,
    encoder_maker,
    settings_of,
)
from lerf_ros.commands.evaluate.outcome import finish
from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.report import require_writable


def add_kinds(kinds: Any) -> None:
    """Declares the kind and its arguments."""
    parser = kinds.add_parser('lerf', help="LERF's protocol and that of LERF-OVS")
    parser.add_argument('folder', type=Path, help='folder with transforms.json and labels')
    parser.add_argument('--labels', type=Path, help='folder of the labels (FOLDER/labels)')
    parser.add_argument('--downscale', type=int, default=1, help='shrink (%(default)s)')
    parser.add_argument(
        '--make', type=int, metavar='SEED', help='first write the folder from a simulated scene'
    )
    add_times(parser, '60')
    add_map(parser)
    parser.set_defaults(evaluate=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    seconds, config = parse_seconds(arguments.seconds), config_of(arguments)
    from lerf_ros.evaluation.lerf.label_set import write_tabletop_set
    from lerf_ros.evaluation.lerf.labels import read_labels
    from lerf_ros.evaluation.lerf.run import evaluate_lerf
    from lerf_ros.sources.nerfstudio import NerfstudioFolder

    if arguments.make is not None:
        require_writable(arguments.folder)
        write_tabletop_set(arguments.folder, arguments.make)
    frames = NerfstudioFolder(arguments.folder, downscale=arguments.downscale)
    labelled, absent = read_labels(arguments.labels or arguments.folder / 'labels', frames)
    encoder = encoder_maker(config)()
    progress = Progress(seconds[-1])
    result, pictures = evaluate_lerf(
        frames, labelled, absent, config, encoder, seconds=seconds, advance=progress.advance
    )
    progress.close()
    result['settings'] = settings_of(arguments, config, encoder, downscale=arguments.downscale)
    title = f'Protocols of LERF and LERF-OVS: {arguments.folder.name}'
    return finish(arguments, result, title, [], pictures)
