"""Arguments that say which map is measured, and when; shared by the kinds of evaluation."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerf_ros.commands.arguments import add_options, make_config
from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.processes import require_jobs

if TYPE_CHECKING:
    from lerf_ros.features.encoder import LanguageEncoder


def add_times(parser: argparse.ArgumentParser, default: str) -> None:
    """Declares when to look."""
    parser.add_argument('--seconds', default=default, help='when to look (%(default)s)')


def add_clock(parser: argparse.ArgumentParser, steps_per_second: float = 15.0) -> None:
    """Declares how training keeps up with the camera."""
    parser.add_argument(
        '--steps-per-second',
        type=float,
        default=steps_per_second,
        help='training steps for each second of the camera; the same numbers on any machine '
        '(%(default)s)',
    )
    parser.add_argument(
        '--realtime', action='store_true', help='train as fast as this machine does instead'
    )


def jobs_of(arguments: argparse.Namespace) -> int:
    """Returns how many maps are made at a time.

    Raises:
        ValueError: There is no such number, or several would share the real clock.
    """
    if arguments.realtime and arguments.jobs not in (None, 1):
        raise ValueError(
            f'jobs: expected 1 with --realtime, which measures one map that has the machine to '
            f'itself, got {arguments.jobs}'
        )
    return require_jobs(arguments.jobs)


def add_map(parser: argparse.ArgumentParser) -> None:
    """Declares which map, and where the result goes."""
    add_options(parser)
    parser.add_argument('--encoder', help='language encoder (features.encoder)')
    parser.add_argument('--device', help='device that trains (training.device)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')
    parser.add_argument('--report', type=Path, metavar='DIR', help='write an HTML page and plots')


def add_place(parser: argparse.ArgumentParser, default: str) -> None:
    """Declares the kind of place that is mapped."""
    parser.add_argument(
        '--place',
        default=default,
        help='what is mapped, a file of config/places: table, room or floor (%(default)s)',
    )


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
