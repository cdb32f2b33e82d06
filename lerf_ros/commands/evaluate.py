"""Subcommand `evaluate`: measure the truth of answers and renderings."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lerf_ros.config import LerfConfig, flat_options, load_yaml
from lerf_ros.evaluation.answers import ANSWER_KEYS
from lerf_ros.evaluation.compare import compare, read_result, table
from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.report import (
    Picture,
    plot,
    require_writable,
    text_table,
    write_json,
    write_report,
)

MAX_SEEDS = 10_000
CONFIG_FOLDER = Path(__file__).resolve().parents[2] / 'config'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    kinds = parser.add_subparsers(dest='kind', metavar='WHAT', required=True)

    tabletop = kinds.add_parser('tabletop', help='unseen simulated scenes, streamed live')
    tabletop.add_argument(
        '--seeds', default='9000-9019', help='scenes, as 9000-9019 or 9000,9005 (%(default)s)'
    )
    _add_times(tabletop, '10,30,60')
    _add_clock(tabletop)
    tabletop.add_argument('--no-baselines', action='store_true', help='leave the baselines out')
    _add_map(tabletop)
    tabletop.set_defaults(evaluate=_tabletop)

    rgbd = kinds.add_parser('rgbd', help='a real RGB-D folder in the format of 7-Scenes')
    rgbd.add_argument('folder', type=Path)
    rgbd.add_argument('--hold-out', type=int, default=10, help='every n-th frame (%(default)s)')
    rgbd.add_argument('--rate', type=float, default=30.0, help='frames/s assumed (%(default)s)')
    rgbd.add_argument('--downscale', type=int, default=2, help='shrink pictures (%(default)s)')
    rgbd.add_argument(
        '--colour-focal', type=float, help='focal length of an unregistered colour camera, px'
    )
    rgbd.add_argument('--exemplars', type=Path, help='JSON list of pictures and true points')
    rgbd.add_argument('--phrases', type=Path, help='JSON list of phrases and true points or boxes')
    _add_times(rgbd, '10,30,60,120')
    _add_clock(rgbd)
    _add_map(rgbd)
    rgbd.set_defaults(evaluate=_rgbd)

    nerfstudio = kinds.add_parser('nerfstudio', help='photographs with a transforms.json')
    nerfstudio.add_argument('folder', type=Path)
    nerfstudio.add_argument('--hold-out', type=int, default=8, help='every n-th (%(default)s)')
    nerfstudio.add_argument('--downscale', type=int, default=4, help='shrink (%(default)s)')
    _add_times(nerfstudio, '30,60,120,300')
    _add_map(nerfstudio)
    nerfstudio.set_defaults(evaluate=_nerfstudio)

    lerf = kinds.add_parser('lerf', help="LERF's protocol and that of LERF-OVS")
    lerf.add_argument('folder', type=Path, help='folder with transforms.json and labels')
    lerf.add_argument('--labels', type=Path, help='folder of the labels (FOLDER/labels)')
    lerf.add_argument('--downscale', type=int, default=1, help='shrink (%(default)s)')
    lerf.add_argument(
        '--make', type=int, metavar='SEED', help='first write the folder from a simulated scene'
    )
    _add_times(lerf, '60')
    _add_map(lerf)
    lerf.set_defaults(evaluate=_lerf)

    both = kinds.add_parser('compare', help='two results side by side, with their noise')
    both.add_argument('before', type=Path)
    both.add_argument('after', type=Path)
    both.add_argument('--json', type=Path, metavar='FILE', help='write the differences')
    both.set_defaults(evaluate=_compare)


def run(arguments: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    if getattr(arguments, 'report', None) is not None:
        require_writable(arguments.report)
    if getattr(arguments, 'json', None) is not None:
        require_writable(arguments.json.parent)
    evaluate: Callable[[argparse.Namespace], int] = arguments.evaluate
    return evaluate(arguments)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Returns the seeds of '9000-9019' or '1,5,7-9'.

    Raises:
        ValueError: A number is malformed, a range is reversed, or a seed comes twice.
    """
    seeds: list[int] = []
    for piece in text.split(','):
        low, dash, high = piece.strip().partition('-')
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f'seeds: expected numbers as in 9000-9019 or 1,5,7-9, got {text!r}')
        first, last = int(low), int(high) if dash else int(low)
        if last < first:
            raise ValueError(f'seeds: expected a range from low to high, got {piece.strip()!r}')
        if last - first >= MAX_SEEDS:
            raise ValueError(f'seeds: expected at most {MAX_SEEDS}, got {piece.strip()!r}')
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) < len(seeds):
        raise ValueError(f'seeds: expected each seed once, got {text!r}')
    return tuple(seeds)


def parse_seconds(text: str) -> tuple[float, ...]:
    """Returns the times of '10,30,60'.

    Raises:
        ValueError: They are no numbers, or do not ascend from above 0.
    """
    try:
        times = tuple(float(piece) for piece in text.split(','))
    except ValueError:
        times = ()
    if not times or not all(a < b < float('inf') for a, b in zip((0.0, *times), times)):  # noqa: B905
        raise ValueError(f'seconds: expected ascending times as in 10,30,60, got {text!r}')
    return times


def make_config(variant: str, changes: list[str]) -> LerfConfig:
    """Returns the options of a variant with ``group.option=value`` changes.

    Raises:
        ValueError: The variant or an option is unknown, or a value does not fit.
    """
    names = {'tabletop': 'tabletop', 'base': 'lerf', 'lite': 'lerf_lite', 'big': 'lerf_big'}
    path = CONFIG_FOLDER / f'{names[variant]}.yaml' if variant in names else Path(variant)
    if variant == 'tabletop' and not path.exists():
        config = LerfConfig()
    elif path.exists():
        config = load_yaml(path)
    else:
        raise ValueError(
            f'variant: expected one of {", ".join(names)} or a YAML file, got {variant!r}'
        )
    defaults = {name: info.default for name, info in flat_options()}
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition('=')
        if not equals or name not in defaults:
            raise ValueError(f'set: expected GROUP.OPTION=VALUE of a known option, got {change!r}')
        values[name] = _typed(name, value, type(defaults[name]))
    return config.replace(values)


def _typed(name: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value.lower() not in ('true', 'false'):
            raise ValueError(f'set: {name}: expected true or false, got {value!r}')
        return value.lower() == 'true'
    try:
        return kind(value)
    except ValueError as error:
        raise ValueError(f'set: {name}: expected {kind.__name__}, got {value!r}') from error


def _add_times(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument('--seconds', default=default, help='when to look (%(default)s)')


def _add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--steps-per-second',
        type=float,
        default=15.0,
        help='training steps for each second of the camera; the same numbers on any machine '
        '(%(default)s)',
    )
    parser.add_argument(
        '--realtime', action='store_true', help='train as fast as this machine does instead'
    )


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--variant', default='tabletop', help='tabletop, lite, base, big or a YAML file'
    )
    parser.add_argument('--encoder', help='language encoder (features.encoder)')
    parser.add_argument('--device', help='device that trains (training.device)')
    parser.add_argument(
        '--set', action='append', default=[], metavar='GROUP.OPTION=VALUE', help='any option'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')
    parser.add_argument('--report', type=Path, metavar='DIR', help='write an HTML page and plots')


def _config(arguments: argparse.Namespace) -> LerfConfig:
    changes = list(arguments.set)
    if arguments.encoder:
        changes.append(f'features.encoder={arguments.encoder}')
    if arguments.device:
        changes.append(f'training.device={arguments.device}')
    return make_config(arguments.variant, changes)


def _encoder(config: LerfConfig) -> Any:
    from lerf_ros.features.clip import load_encoder
    from lerf_ros.mapping import resolve_device

    return load_encoder(config.features, resolve_device(config.training.device))


def _settings(
    arguments: argparse.Namespace, config: LerfConfig, encoder: Any, **more: Any
) -> dict[str, Any]:
    defaults = LerfConfig().flat()
    changed = {name: value for name, value in config.flat().items() if value != defaults[name]}
    return {
        'variant': arguments.variant,
        'encoder': encoder.name,
        'encoder_fingerprint': encoder.fingerprint,
        'changed_options': changed,
        **more,
    }


def _tabletop(arguments: argparse.Namespace) -> int:
    seeds, seconds = parse_seeds(arguments.seeds), parse_seconds(arguments.seconds)
    config = _config(arguments)
    _require_positive('steps-per-second', arguments.steps_per_second)
    # The simulator and torch are loaded only now: --help and bad arguments answer at once.
    from lerf_ros.evaluation.tabletop import TabletopRun, evaluate_tabletop, worst_pictures

    encoder = _encoder(config)
    run = TabletopRun(
        seeds=seeds,
        seconds=seconds,
        steps_per_second=arguments.steps_per_second,
        realtime=arguments.realtime,
        baselines=not arguments.no_baselines,
    )
    clock = 'the real clock' if run.realtime else f'{run.steps_per_second:g} steps per second'
    settings = _settings(
        arguments, config, encoder, seeds=arguments.seeds, seconds=arguments.seconds, clock=clock
    )
    progress = Progress(len(seeds) * seconds[-1])

    def keep(so_far: Mapping[str, Any]) -> None:
        if arguments.json is not None:
            write_json(arguments.json, so_far)

    result, reports = evaluate_tabletop(run, config, encoder, settings, progress.advance, keep)
    progress.close()
    pictures = [
        _language_plot(result, keys, name, axis)
        for keys, name, axis in (
            (('localisation', 'miou_3d', 'parts'), 'places', 'share'),
            (('existence_precision', 'existence_recall', 'absent_refused'), 'existence', 'share'),
            (('median_error_m', 'p90_error_m'), 'errors', 'error (m)'),
        )
    ]
    if run.baselines:
        pictures.append(_baseline_plot(result))
    pictures += worst_pictures(run, reports)
    notes = [
        f'{len(seeds)} scenes, clock: {clock}, encoder {encoder.name} '
        f'({encoder.fingerprint[:12]}).',
        'A place is right if it lies in the true box grown by 1 cm. As many absent phrases are '
        'asked as present ones; a third of them name a category that is there in another colour, '
        'a third a colour that is there on another category.',
    ]
    return _finish(arguments, result, 'Tabletop benchmark', notes, pictures)


def _rgbd(arguments: argparse.Namespace) -> int:
    seconds, config = parse_seconds(arguments.seconds), _config(arguments)
    _require_positive('steps-per-second', arguments.steps_per_second)
    from lerf_ros.evaluation.recordings import evaluate_rgbd, read_targets
    from lerf_ros.sources.rgbd import RgbdFolder

    folder = RgbdFolder(
        arguments.folder,
        rate_hz=arguments.rate,
        downscale=arguments.downscale,
        colour_focal_px=arguments.colour_focal,
    )
    targets = []
    if arguments.exemplars:
        targets += read_targets(arguments.exemplars, exemplars=True)
    if arguments.phrases:
        targets += read_targets(arguments.phrases, exemplars=False)
    encoder = _encoder(config)
    progress = Progress(seconds[-1])
    result, live_map = evaluate_rgbd(
        folder,
        config,
        encoder,
        seconds=seconds,
        hold_out_every=arguments.hold_out,
        steps_per_second=arguments.steps_per_second,
        realtime=arguments.realtime,
        targets=targets,
        advance=progress.advance,
    )
    progress.close()
    result['settings'] = _settings(arguments, config, encoder, downscale=arguments.downscale)
    pictures = [
        _language_plot(result, ('psnr',), 'psnr', 'PSNR (dB)'),
        _language_plot(result, ('depth_median_m', 'depth_l1_m'), 'depth', 'depth error (m)'),
    ]
    if live_map.ready():
        from lerf_ros.evaluation.recordings import held_out_picture

        pictures.append(held_out_picture(live_map, folder, result['held_out']))
    return _finish(arguments, result, f'RGB-D folder {arguments.folder.name}', [], pictures)


def _nerfstudio(arguments: argparse.Namespace) -> int:
    seconds, config = parse_seconds(arguments.seconds), _config(arguments)
    from lerf_ros.evaluation.recordings import evaluate_nerfstudio
    from lerf_ros.sources.nerfstudio import NerfstudioFolder

    train, test = (
        NerfstudioFolder(
            arguments.folder,
            downscale=arguments.downscale,
            split=split,
            hold_out_every=arguments.hold_out,
        )
        for split in ('train', 'test')
    )
    encoder = _encoder(config)
    progress = Progress(seconds[-1])
    result, _ = evaluate_nerfstudio(
        train, test, config, encoder, seconds=seconds, advance=progress.advance
    )
    progress.close()
    result['settings'] = _settings(arguments, config, encoder, downscale=arguments.downscale)
    pictures = [
        _language_plot(result, ('psnr',), 'psnr', 'PSNR (dB)'),
        _language_plot(result, ('ssim',), 'ssim', 'SSIM'),
    ]
    return _finish(arguments, result, f'Photographs {arguments.folder.name}', [], pictures)


def _lerf(arguments: argparse.Namespace) -> int:
    seconds, config = parse_seconds(arguments.seconds), _config(arguments)
    from lerf_ros.evaluation.lerf import evaluate_lerf
    from lerf_ros.evaluation.lerf_labels import read_labels
    from lerf_ros.evaluation.lerf_set import write_tabletop_set
    from lerf_ros.sources.nerfstudio import NerfstudioFolder

    if arguments.make is not None:
        require_writable(arguments.folder)
        write_tabletop_set(arguments.folder, arguments.make)
    frames = NerfstudioFolder(arguments.folder, downscale=arguments.downscale)
    labelled, absent = read_labels(arguments.labels or arguments.folder / 'labels', frames)
    encoder = _encoder(config)
    progress = Progress(seconds[-1])
    result, pictures = evaluate_lerf(
        frames, labelled, absent, config, encoder, seconds=seconds, advance=progress.advance
    )
    progress.close()
    result['settings'] = _settings(arguments, config, encoder, downscale=arguments.downscale)
    title = f'Protocols of LERF and LERF-OVS: {arguments.folder.name}'
    return _finish(arguments, result, title, [], pictures)


def _compare(arguments: argparse.Namespace) -> int:
    differences = compare(read_result(arguments.before), read_result(arguments.after))
    sys.stdout.write('\n'.join(table(differences)) + '\n')
    if arguments.json is not None:
        rows = [{**vars(one), 'verdict': one.verdict} for one in differences]
        write_json(arguments.json, {'command': 'compare', 'rows': rows})
    return 0


def _finish(
    arguments: argparse.Namespace,
    result: Mapping[str, Any],
    title: str,
    notes: list[str],
    pictures: list[Picture],
) -> int:
    """Prints the table; writes the JSON file and the report if they are wanted."""
    sys.stdout.write('\n'.join(text_table([_condensed(row) for row in result['rows']])) + '\n')
    if arguments.json is not None:
        write_json(arguments.json, result)
    if arguments.report is not None:
        page = write_report(
            arguments.report,
            title=title,
            command=shlex.join(['lerf_ros', *sys.argv[1:]]),
            notes=notes,
            result=result,
            pictures=pictures,
        )
        sys.stdout.write(f'report: {page}\n')
    return 0


def _condensed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row for the terminal: splits without the map's own figures, baselines unsplit."""
    short = dict(row)
    for split in ('seen', 'excluded'):
        if split in row:
            short[split] = {key: row[split][key] for key in ANSWER_KEYS}
    if 'baselines' in row:
        short['baselines'] = {
            method: {key: figures[key] for key in ANSWER_KEYS}
            for method, figures in row['baselines'].items()
        }
    return short


def _language_plot(
    result: Mapping[str, Any], keys: tuple[str, ...], name: str, axis: str
) -> Picture:
    rows = result['rows']
    times = [row['seconds'] for row in rows]
    curves = {key: (times, [row.get(key) for row in rows]) for key in keys}
    return plot(name, f'{", ".join(keys)} over time.', curves, ('time (s)', axis))


def _baseline_plot(result: Mapping[str, Any]) -> Picture:
    rows = result['rows']
    times = [row['seconds'] for row in rows]
    curves = {'field': (times, [row['localisation'] for row in rows])}
    for method in rows[-1]['baselines']:
        curves[method] = (times, [row['baselines'][method]['localisation'] for row in rows])
    return plot(
        'baselines', 'Localisation of the field and of baselines.', curves, ('time (s)', 'share')
    )


def _require_positive(name: str, value: float) -> None:
    if not 0 < value < float('inf'):
        raise ValueError(f'{name}: expected a number above 0, got {value}')
