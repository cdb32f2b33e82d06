"""Arguments that say which map is measured, and when; shared by the kinds of evaluation."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerf_ros.commands.arguments import parse_options
from lerf_ros.config import LerfConfig, load_yaml

if TYPE_CHECKING:
    from lerf_ros.features.encoder import LanguageEncoder

CONFIG_FOLDER = Path(__file__).resolve().parents[3] / 'config'
VARIANTS = {'tabletop': 'tabletop', 'base': 'lerf', 'lite': 'lerf_lite', 'big': 'lerf_big'}


def add_times(parser: argparse.ArgumentParser, default: str) -> None:
    """Declares when to look."""
    parser.add_argument('--seconds', default=default, help='when to look (%(default)s)')


def add_clock(parser: argparse.ArgumentParser) -> None:
    """Declares how training keeps up with the camera."""
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


def add_map(parser: argparse.ArgumentParser) -> None:
    """Declares which map, and where the result goes."""
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


def add_place(parser: argparse.ArgumentParser, default: str) -> None:
    """Declares the kind of place that is mapped."""
    parser.add_argument(
        '--place',
        default=default,
        help='what is mapped, a file of config/places: table, room or floor (%(default)s)',
    )


def make_config(variant: str, changes: list[str], place: str = '') -> LerfConfig:
    """Returns the options of a variant at a place, with ``group.option=value`` changes.

    Raises:
        ValueError: The variant, the place or an option is unknown, or a value does not fit.
    """
    path = CONFIG_FOLDER / f'{VARIANTS[variant]}.yaml' if variant in VARIANTS else Path(variant)
    if variant == 'tabletop' and not path.exists():
        config = LerfConfig()
    elif path.exists():
        config = load_yaml(path)
    else:
        raise ValueError(
            f'variant: expected one of {", ".join(VARIANTS)} or a YAML file, got {variant!r}'
        )
    if place:
        file = CONFIG_FOLDER / 'places' / f'{place}.yaml'
        if not file.exists():
            known = ', '.join(sorted(path.stem for path in file.parent.glob('*.yaml')))
            raise ValueError(f'place: expected one of {known}, got {place!r}')
        config = load_yaml(file, config)
    return config.replace(parse_options(changes))


def config_of(arguments: argparse.Namespace) -> LerfConfig:
    """Returns the options that the arguments ask for."""
    changes = list(arguments.set)
    if arguments.encoder:
        changes.append(f'features.encoder={arguments.encoder}')
    if arguments.device:
        changes.append(f'training.device={arguments.device}')
    return make_config(arguments.variant, changes, getattr(arguments, 'place', ''))


def encoder_maker(config: LerfConfig) -> Callable[[], LanguageEncoder]:
    """Returns what loads the encoder, here or in another process."""
    # torch is loaded only now: --help and bad arguments answer at once.
    from lerf_ros.features.load import load_encoder
    from lerf_ros.training.device import resolve_device

    return functools.partial(load_encoder, config.features, resolve_device(config.training.device))


def settings_of(
    arguments: argparse.Namespace, config: LerfConfig, encoder: LanguageEncoder, **more: Any
) -> dict[str, Any]:
    """Returns what was measured, for the result."""
    defaults = LerfConfig().flat()
    changed = {name: value for name, value in config.flat().items() if value != defaults[name]}
    return {
        'variant': arguments.variant,
        'encoder': encoder.name,
        'encoder_fingerprint': encoder.fingerprint,
        'changed_options': changed,
        **more,
    }
