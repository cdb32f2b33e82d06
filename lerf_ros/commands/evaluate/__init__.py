"""Subcommand `evaluate`: measure the truth of answers and renderings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from lerf_ros.commands.evaluate import comparison, flat, lerf, recordings, scene, tabletop
from lerf_ros.evaluation.report import require_writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    kinds = parser.add_subparsers(dest='kind', metavar='WHAT', required=True)
    for module in (tabletop, flat, recordings, lerf, scene, comparison):
        module.add_kinds(kinds)


def with_kind(words: list[str]) -> list[str]:
    """Returns the words of a command line with the kind that a recording alone means."""
    kinds = ('tabletop', 'flat', 'recording', 'rgbd', 'nerfstudio', 'lerf', 'scene', 'compare')
    if len(words) > 1 and words[1] not in kinds and Path(words[1]).exists():
        return [words[0], 'recording', *words[1:]]
    return words


def run(arguments: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    if getattr(arguments, 'report', None) is not None:
        require_writable(arguments.report)
    if getattr(arguments, 'json', None) is not None:
        require_writable(arguments.json.parent)
    evaluate: Callable[[argparse.Namespace], int] = arguments.evaluate
    return evaluate(arguments)
