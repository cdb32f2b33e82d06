"""Subcommand `inspect`: says what is in a recording before anybody trains on it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lerf_ros.commands.source_arguments import (
    add_source,
    require_writable_file,
    source_options,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_source(parser)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write it as JSON')


def run(arguments: argparse.Namespace) -> int:
    """Inspects and prints; returns 1 if there is no frame to use.

    Raises:
        ValueError: It is of no kind that is known, or nothing of it can be read.
    """
    require_writable_file(arguments.json, 'json')
    from lerf_ros.sources.inspection import inspect

    figures = inspect(arguments.source, source_options(arguments)).figures()
    figures['warnings'] += label_warnings(arguments.source)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')
    sys.stdout.write('\n'.join(lines_of(figures)) + '\n')
    return 0 if figures['frames'] else 1


def lines_of(figures: dict[str, Any]) -> list[str]:
    """Returns the figures for people."""
    lines = [f'{figures["kind"]}: {figures["frames"]} frames']
    if figures['width'] is not None:
        camera = ', '.join(f'{name} {figures[name]:.2f}' for name in ('fx', 'fy', 'cx', 'cy'))
        lines.append(f'picture  {figures["width"]}x{figures["height"]}, {camera} px')
        lines.append('position ' + ' '.join(f'{x:.3f}' for x in figures['position_m']) + ' m')
    median = figures['depth_median_m']
    if median is None:
        lines.append('depth    none')
    else:
        lines.append(f'depth    in {figures["frames_with_depth"]} frames, median {median:.3f} m')
    if figures['visible_share'] < 1:
        lines.append(f'masks    {figures["visible_share"]:.0%} of the first picture is seen')
    for entry in figures['left_out']:
        lines.append(f'left out {entry["name"]}: {entry["reason"]}')
    lines += [f'warning  {sentence}' for sentence in figures['warnings']]
    return lines


def label_warnings(source: Path) -> list[str]:
    """Returns what is wrong with labels that lie beside the pictures."""
    folder = source if source.is_dir() else source.parent
    if not (folder / 'transforms.json').exists() or not any(folder.glob('labels/*.json')):
        return []
    from lerf_ros.evaluation.lerf.labels import read_labels
    from lerf_ros.sources.nerfstudio import NerfstudioFolder

    warnings: list[str] = []
    try:
        read_labels(folder / 'labels', NerfstudioFolder(folder), warn=warnings.append)
    except ValueError as error:
        warnings.append(str(error))
    return warnings
