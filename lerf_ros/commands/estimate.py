"""Subcommand `estimate`: what a map of so many square metres takes, before it is begun."""

from __future__ import annotations

import argparse
import math
import sys

from lerf_ros.commands.evaluate.map_arguments import add_place, make_config

# Sizes of embeddings of encoders whose weights need not be there to know them.
_SIZES = {'tabletop': 64, 'ViT-L-14': 768}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('--area', type=float, default=75.0, help='square metres (%(default)s)')
    parser.add_argument(
        '--variant', default='tabletop', help='tabletop, lite, base, big or a YAML file'
    )
    add_place(parser, 'room')
    parser.add_argument('--device', default='cpu', help="'cpu' or 'cuda' (%(default)s)")
    parser.add_argument(
        '--set', action='append', default=[], metavar='GROUP.OPTION=VALUE', help='any option'
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the estimate; returns the exit status."""
    config = make_config(arguments.variant, list(arguments.set), arguments.place)
    # torch is loaded only now: --help and bad arguments answer at once.
    from lerf_ros.maps.budget import estimate_area

    size = _SIZES.get(config.features.encoder, 512)
    found = estimate_area(config, arguments.area, size, arguments.device)
    lines = [
        f'{arguments.area:g} m2, variant {arguments.variant}, place {arguments.place}',
        f'submaps  {found.submaps}, at most {config.atlas.awake_submaps} awake'
        if config.atlas.submap_side_m > 0
        else 'submaps  one map for all',
        f'device   {found.device:.0f} MB on {arguments.device}',
        f'host     {found.host:.0f} MB',
        f'disk     {found.disk:.0f} MB ({found.disk / arguments.area:.2f} MB a square metre)',
    ]
    if not math.isinf(found.covered_m2) and found.covered_m2 < arguments.area:
        lines.append(
            f'The surface holds about {found.covered_m2:.0f} m2: raise query.max_points or '
            'query.voxel_m, or set atlas.submap_side_m.'
        )
    sys.stdout.write('\n'.join(lines) + '\n')
    return 0
