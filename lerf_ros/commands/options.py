"""Subcommand `options`: every option with its default, range and meaning."""

from __future__ import annotations

import argparse
import sys

from lerf_ros.config import flat_options
from lerf_ros.options import OptionInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('--markdown', action='store_true', help='print a Markdown table')


def run(arguments: argparse.Namespace) -> int:
    """Prints the options; returns the exit status."""
    lines = markdown_table() if arguments.markdown else plain_lines()
    sys.stdout.write('\n'.join(lines) + '\n')
    return 0


def allowed(info: OptionInfo) -> str:
    """Returns the allowed values of an option, for people."""
    if info.choices:
        return ', '.join(info.choices)
    low, high = ('' if bound is None else f'{bound:g}' for bound in (info.low, info.high))
    return f'{low} to {high} {info.unit}'.strip() if low or high else info.unit


def plain_lines() -> list[str]:
    """Returns two lines an option; those marked live may change while the map lives."""
    lines = []
    for name, info in flat_options():
        default = repr(info.default) if isinstance(info.default, str) else info.default
        when = '  live' if info.live else ''
        lines += [f'{name} = {default}  [{allowed(info)}]{when}', f'    {info.text}']
    return lines


def markdown_table() -> list[str]:
    """Returns the table of the documentation."""
    lines = [
        '| parameter | default | allowed | live | meaning |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name, info in flat_options():
        live = 'yes' if info.live else ''
        lines.append(f'| `{name}` | `{info.default}` | {allowed(info)} | {live} | {info.text} |')
    return lines
