"""Texts of the command line as values: seeds, times, options."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from lerf_ros.config import VARIANTS, LerfConfig, flat_options, load_variant

MAX_SEEDS = 10_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares which options a map has; alike in all commands."""
    parser.add_argument(
        '--variant',
        default=VARIANTS[0],
        metavar='NAME|YAML',
        help=f'size of map: {", ".join(VARIANTS)}, or a parameter file (%(default)s)',
    )
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='GROUP.OPTION=VALUE',
        help='any option, see `lerf_ros options`; repeatable',
    )


def make_config(variant: str, changes: Iterable[str], place: str = '') -> LerfConfig:
    """Returns the options of a variant at a place, with ``group.option=value`` changes.

    Raises:
        ValueError: The variant, the place or an option is unknown, or a value does not fit.
    """
    return load_variant(variant, place).replace(parse_options(changes))


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


def parse_options(changes: Iterable[str]) -> dict[str, Any]:
    """Returns the options of ``group.option=value`` texts, in their types.

    Raises:
        ValueError: A text has another form, or a value is not of the option's type.
    """
    known = {name: info.default for name, info in flat_options()}
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition('=')
        if not equals or name not in known:
            raise ValueError(
                f'set: expected GROUP.OPTION=VALUE of an option that `lerf_ros options` lists, '
                f'got {change!r}'
            )
        values[name] = _typed(name, value, type(known[name]))
    return values


def require_positive(name: str, value: float) -> None:
    """Raises ValueError unless the number is finite and above 0."""
    if not 0 < value < float('inf'):
        raise ValueError(f'{name}: expected a number above 0, got {value}')


def _typed(name: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value.lower() not in ('true', 'false'):
            raise ValueError(f'set: expected true or false for {name}, got {value!r}')
        return value.lower() == 'true'
    try:
        return kind(value)
    except ValueError as error:
        raise ValueError(f'set: expected {kind.__name__} for {name}, got {value!r}') from error
