"""`evaluate flat`: a robot walks through unseen simulated rooms."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lerf_ros.commands.arguments import parse_seeds, require_positive
from lerf_ros.commands.evaluate.map_arguments import (
    add_clock,
    add_map,
    add_place,
    config_of,
    encoder_maker,
    jobs_of,
    settings_of,
)
from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.report import (
    Picture,
    picture,
    plot,
    text_table,
    write_json,
    write_report,
)

if TYPE_CHECKING:
    from lerf_ros.evaluation.flat.run import FlatReport


def add_kinds(kinds: Any) -> None:
    """Declares the kind and its arguments."""
    parser = kinds.add_parser('flat', help='unseen simulated rooms, walked through by a robot')
    parser.add_argument(
        '--seeds',
        default='9000-9001',
        help='flats, as 9000-9001; 10000 and up are for final figures (%(default)s)',
    )
    parser.add_argument(
        '--area', type=float, default=75.0, metavar='M2', help='floor area (%(default)s m2)'
    )
    parser.add_argument(
        '--seconds', type=float, help='duration of the walk (6.4 s for each square metre)'
    )
    add_clock(parser, 10.0)
    parser.add_argument('--width', type=int, default=640, help='of the pictures (%(default)s px)')
    parser.add_argument('--sensor', default='usual', help='camera, as of tabletop (%(default)s)')
    parser.add_argument('--jobs', type=int, default=1, help='flats at a time (%(default)s)')
    add_place(parser, 'room')
    add_map(parser)
    parser.set_defaults(evaluate=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    seeds = parse_seeds(arguments.seeds)
    for name in ('area', 'steps_per_second', 'width'):
        require_positive(name.replace('_', '-'), getattr(arguments, name))
    if arguments.seconds is not None:
        require_positive('seconds', arguments.seconds)
    config = config_of(arguments)
    jobs = jobs_of(arguments)
    # The simulator and torch are loaded only now: --help and bad arguments answer at once.
    from lerf_ros.evaluation.flat.run import FlatRun, evaluate_flat
    from lerf_ros.simulation import SENSORS

    if arguments.sensor not in SENSORS:
        raise ValueError(f'sensor: expected one of {", ".join(SENSORS)}, got {arguments.sensor!r}')
    make_encoder = encoder_maker(config)
    run = FlatRun(
        seeds=seeds,
        area_m2=arguments.area,
        seconds=arguments.seconds or 0.0,
        steps_per_second=arguments.steps_per_second,
        realtime=arguments.realtime,
        sensor=arguments.sensor,
        width=arguments.width,
    )
    settings = settings_of(
        arguments,
        config,
        make_encoder(),
        seeds=arguments.seeds,
        place=arguments.place,
        area_m2=run.area_m2,
        seconds=run.duration_s,
        steps_per_second=None if run.realtime else run.steps_per_second,
        realtime=run.realtime,
        sensor=run.sensor,
        width=run.width,
    )
    progress = Progress(len(seeds) * run.duration_s)

    def keep(so_far: Mapping[str, Any]) -> None:
        if arguments.json is not None:
            write_json(arguments.json, so_far)

    try:
        result, reports = evaluate_flat(
            run, config, make_encoder, settings, progress.advance, keep, jobs
        )
    finally:
        progress.close()
    sys.stdout.write('\n'.join(text_table(result['rows'], 'method')) + '\n')
    if arguments.report is not None:
        page = write_report(
            arguments.report,
            title='Flat benchmark',
            command=' '.join(['lerf_ros', *sys.argv[1:]]),
            notes=_notes(settings),
            result=result,
            pictures=_pictures(reports),
        )
        sys.stdout.write(f'report: {page}\n')
    return 0


def _notes(settings: Mapping[str, Any]) -> list[str]:
    rate = settings['steps_per_second']
    clock = 'the real clock' if rate is None else f'{rate:g} training steps a second'
    return [
        f'{settings["area_m2"]:g} m2, {settings["seconds"]:g} s at 0.5 m/s, {clock}, '
        f'seeds {settings["seeds"]}.',
        'Asked is what at least 3 keyframes showed from no more than 3 m. The oracle knows what '
        'every point of our surface belongs to; "shuffled" judges our answers against other '
        'questions.',
        'Green: in the box of the thing or within 25 cm. Red: from the thing to where it was said '
        'to be.',
    ]


def _pictures(reports: Sequence[FlatReport]) -> list[Picture]:
    pictures = [
        picture(f'flat_{report.seed}', f'Flat {report.seed} from above.', report.picture)
        for report in reports
        if report.picture is not None
    ]
    curves = {
        f'flat {report.seed}': ([each[1] for each in report.growth], [e[2] for e in report.growth])
        for report in reports
    }
    memory = plot(
        'memory', 'Memory of the process over the floor visited.', curves, ('m2', 'memory (MB)')
    )
    return [*pictures, memory]
