"""What an evaluation leaves: a table on the terminal, a JSON file, a report with plots."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from lerf_ros.evaluation.report import Picture, plot, text_table, write_json, write_report
from lerf_ros.evaluation.verdicts import ANSWER_KEYS


def finish(
    arguments: argparse.Namespace,
    result: Mapping[str, Any],
    title: str,
    notes: list[str],
    pictures: list[Picture],
    label: str = 'seconds',
) -> int:
    """Prints the table; writes the JSON file and the report if they are wanted.

    Args:
        arguments: What was asked for.
        result: What ``--json`` holds.
        title: Heading of the report.
        notes: Sentences below it.
        pictures: Its pictures.
        label: The figure that tells rows apart.
    """
    rows = [_condensed(row) for row in result['rows']]
    sys.stdout.write('\n'.join(text_table(rows, label)) + '\n')
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
            label=label,
        )
        sys.stdout.write(f'report: {page}\n')
    return 0


def row_plot(result: Mapping[str, Any], keys: tuple[str, ...], name: str, axis: str) -> Picture:
    """Plots figures of the rows over time."""
    rows = result['rows']
    times = [row['seconds'] for row in rows]
    curves = {key: (times, [row.get(key) for row in rows]) for key in keys}
    return plot(name, f'{", ".join(keys)} over time.', curves, ('time (s)', axis))


def baseline_plot(result: Mapping[str, Any], key: str = 'localisation') -> Picture:
    """Plots a share of the field beside that of the baselines."""
    rows = result['rows']
    times = [row['seconds'] for row in rows]
    curves = {'field': (times, [row[key] for row in rows])}
    for method in rows[-1]['baselines']:
        curves[method] = (times, [row['baselines'][method][key] for row in rows])
    caption = f'{key} of the field and of baselines.'
    return plot(f'baselines_{key}', caption, curves, ('time (s)', 'share'))


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
