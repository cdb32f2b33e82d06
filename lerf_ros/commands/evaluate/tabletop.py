"""`evaluate tabletop`: unseen simulated scenes, streamed live."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from lerf_ros.commands.arguments import parse_seconds, parse_seeds, require_positive
from lerf_ros.commands.evaluate.map_arguments import (
    add_clock,
    add_map,
    add_times,
    config_of,
    encoder_maker,
    jobs_of,
    settings_of,
)
from lerf_ros.commands.evaluate.outcome import baseline_plot, finish, row_plot
from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.report import write_json

PLOTS = (
    (('localisation', 'miou_3d', 'parts'), 'places', 'share'),
    (('existence_precision', 'existence_recall', 'absent_refused'), 'existence', 'share'),
    (('median_error_m', 'p90_error_m'), 'errors', 'error (m)'),
)


def add_kinds(kinds: Any) -> None:
    """Declares the kind and its arguments."""
    parser = kinds.add_parser('tabletop', help='unseen simulated scenes, streamed live')
    parser.add_argument(
        '--seeds', default='9000-9019', help='scenes, as 9000-9019 or 9000,9005 (%(default)s)'
    )
    parser.add_argument(
        '--jobs',
        type=int,
        help='scenes at a time, each in a process of one thread; the numbers are the same '
        'whatever it is (one a core)',
    )
    parser.add_argument(
        '--sensor',
        default='usual',
        help="camera: 'usual', 'hard' (holes in the depth, poses off by 4 mm and 0.4 degrees), "
        "or 'colour' (no depth at all) (%(default)s)",
    )
    parser.add_argument(
        '--world',
        default='usual',
        help="table: 'usual', 'clutter' (20 to 32 things in a pile), 'twins' (several alike), or "
        "'small' (things of 2 to 5 cm) (%(default)s)",
    )
    add_times(parser, '10,30,60')
    add_clock(parser)
    parser.add_argument('--no-baselines', action='store_true', help='leave the baselines out')
    add_map(parser)
    parser.set_defaults(evaluate=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    seeds, seconds = parse_seeds(arguments.seeds), parse_seconds(arguments.seconds)
    config = config_of(arguments)
    require_positive('steps-per-second', arguments.steps_per_second)
    jobs = jobs_of(arguments)
    # The simulator and torch are loaded only now: --help and bad arguments answer at once.
    from lerf_ros.evaluation.tabletop import TabletopRun, evaluate_tabletop, worst_pictures
    from lerf_ros.simulation import SENSORS, WORLDS

    if arguments.sensor not in SENSORS:
        raise ValueError(f'sensor: expected one of {", ".join(SENSORS)}, got {arguments.sensor!r}')
    if arguments.world not in WORLDS:
        raise ValueError(f'world: expected one of {", ".join(WORLDS)}, got {arguments.world!r}')
    make_encoder = encoder_maker(config)
    encoder = make_encoder()
    run = TabletopRun(
        seeds=seeds,
        seconds=seconds,
        steps_per_second=arguments.steps_per_second,
        realtime=arguments.realtime,
        baselines=not arguments.no_baselines,
        sensor=arguments.sensor,
        world=arguments.world,
    )
    clock = 'the real clock' if run.realtime else f'{run.steps_per_second:g} steps per second'
    settings = settings_of(
        arguments,
        config,
        encoder,
        seeds=arguments.seeds,
        seconds=arguments.seconds,
        sensor=run.sensor,
        world=run.world,
        clock=clock,
    )
    progress = Progress(len(seeds) * seconds[-1])

    def keep(so_far: Mapping[str, Any]) -> None:
        if arguments.json is not None:
            write_json(arguments.json, so_far)

    try:
        result, reports = evaluate_tabletop(
            run, config, make_encoder, settings, progress.advance, keep, jobs
        )
    finally:
        progress.close()
    pictures = [row_plot(result, *each) for each in PLOTS]
    if run.baselines:
        pictures += [baseline_plot(result, 'localisation'), baseline_plot(result, 'miou_3d')]
    pictures += worst_pictures(run, reports)
    notes = [
        f'{len(seeds)} scenes, table: {run.world}, camera: {run.sensor}, clock: {clock}, encoder '
        f'{encoder.name} ({encoder.fingerprint[:12]}).',
        'A place is right if it lies in the true box grown by 1 cm. As many absent phrases are '
        'asked as present ones; a third of them name a category that is there in another colour, '
        'a third a colour that is there on another category.',
        'The oracle knows which surface point belongs to what; shuffled are its answers, each '
        'given to another question. fusion_as_large is fusion in no more memory than the language '
        'field.',
        'The worst answers are drawn on the scene as it is, and on its relevancy: green is the '
        'true box, white the box and the place of the answer.',
    ]
    return finish(arguments, result, 'Tabletop benchmark', notes, pictures)
