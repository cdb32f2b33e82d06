"""`evaluate compare`: two results side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lerf_ros.evaluation.compare import compare, read_result, table
from lerf_ros.evaluation.report import write_json


def add_kinds(kinds: Any) -> None:
    """Declares the kind and its arguments."""
    parser = kinds.add_parser('compare', help='two results side by side, with their noise')
    parser.add_argument('before', type=Path)
    parser.add_argument('after', type=Path)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the differences')
    parser.set_defaults(evaluate=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Compares; returns the exit status."""
    differences = compare(read_result(arguments.before), read_result(arguments.after))
    sys.stdout.write('\n'.join(table(differences)) + '\n')
    if arguments.json is not None:
        rows = [{**vars(one), 'verdict': one.verdict} for one in differences]
        write_json(arguments.json, {'command': 'compare', 'rows': rows})
    return 0
