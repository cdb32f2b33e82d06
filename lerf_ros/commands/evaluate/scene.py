"""`evaluate scene`: a saved map by the protocols of HOV-SG, OpenLex3D and Clio."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerf_ros.commands.arguments import require_positive
from lerf_ros.commands.evaluate.map_arguments import (
    add_map,
    config_of,
    encoder_maker,
    settings_of,
)
from lerf_ros.commands.evaluate.outcome import finish
from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.report import require_writable

if TYPE_CHECKING:
    from lerf_ros.config import LerfConfig
    from lerf_ros.features.encoder import LanguageEncoder

PROTOCOLS = ('hovsg', 'openlex3d', 'clio')
NOTES = [
    'The oracle knows what every point of our surface belongs to; shuffled are our own answers, '
    'each given to another label.'
]


def add_kinds(kinds: Any) -> None:
    """Declares the kind and its arguments."""
    parser = kinds.add_parser(
        'scene', help='a saved map by the protocols of HOV-SG, OpenLex3D and Clio'
    )
    parser.add_argument(
        'folder',
        type=Path,
        help='the scene: habitat/ of Replica or *_vh_clean_2.labels.ply of ScanNet (hovsg), '
        'gt_categories.json (openlex3d), tasks*.yaml (clio)',
    )
    parser.add_argument(
        '--protocol',
        action='append',
        choices=PROTOCOLS,
        help='which figures; repeatable (all whose files are there)',
    )
    parser.add_argument(
        '--map', type=Path, help='the map, a file or an atlas (FOLDER/map.lerf or FOLDER/map)'
    )
    parser.add_argument(
        '--replica', type=Path, metavar='DIR', help='scene of Replica for openlex3d (FOLDER)'
    )
    parser.add_argument(
        '--make',
        type=int,
        metavar='SEED',
        help='first write folder and map from a simulated scene',
    )
    parser.add_argument(
        '--area', type=float, default=0.0, metavar='M2', help='make a flat so large; 0 a table (0)'
    )
    parser.add_argument(
        '--seconds', type=float, help='how long to map what is made (20; 6.4 a square metre)'
    )
    parser.add_argument(
        '--steps-per-second',
        type=float,
        default=10.0,
        help='training steps for each of these seconds (%(default)s)',
    )
    parser.add_argument(
        '--place', help='what was mapped, a file of config/places (room for an atlas, else table)'
    )
    add_map(parser)
    parser.set_defaults(evaluate=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    folder: Path = arguments.folder
    making = arguments.make is not None
    if making:
        _check_making(arguments)
    path = None if making else _find_map(folder, arguments.map)
    atlas = arguments.area > 0 if path is None else path.is_dir()
    arguments.place = arguments.place or ('room' if atlas else 'table')
    config = config_of(arguments)
    from lerf_ros.evaluation.scorers.run import evaluate_scene, read_scene

    replica, protocols = arguments.replica or folder, arguments.protocol or ()
    if not making:  # bad files answer before anything is loaded or made
        truth = read_scene(folder, replica, protocols)
    encoder = encoder_maker(config)()
    if making:
        _make(arguments, config, encoder)
        truth = read_scene(folder, replica, protocols)
        path = _find_map(folder, None)
    from lerf_ros.maps.atlas import Atlas
    from lerf_ros.maps.submap import Submap

    assert path is not None
    live_map: Atlas | Submap
    live_map = Atlas(config, encoder) if path.is_dir() else Submap(config, encoder)
    try:
        live_map.load(path)
        result = evaluate_scene(live_map, truth)
    finally:
        live_map.close()
    result['settings'] = settings_of(arguments, config, encoder, map=str(path))
    title = f'Public protocols: {folder.absolute().name}'
    return finish(arguments, result, title, NOTES, [], label='method')


def _check_making(arguments: argparse.Namespace) -> None:
    if arguments.map is not None or arguments.replica is not None:
        raise ValueError('make: expected neither --map nor --replica, which it writes itself')
    if arguments.area:
        require_positive('area', arguments.area)
    if arguments.seconds is not None:
        require_positive('seconds', arguments.seconds)
    require_positive('steps-per-second', arguments.steps_per_second)
    require_writable(arguments.folder)


def _find_map(folder: Path, given: Path | None) -> Path:
    """Returns the file or folder of the map."""
    candidates = [given] if given is not None else [folder / 'map.lerf', folder / 'map']
    for path in candidates:
        if path.exists():
            return path
    raise FileNotFoundError(
        f'map: expected {" or ".join(map(str, candidates))}, got neither file nor folder'
    )


def _make(arguments: argparse.Namespace, config: LerfConfig, encoder: LanguageEncoder) -> None:
    from lerf_ros.evaluation.scorers.simulated import duration_s, make_scene

    seconds = arguments.seconds or duration_s(arguments.area)
    progress = Progress(seconds)
    try:
        make_scene(
            arguments.folder,
            arguments.make,
            config,
            encoder,
            area_m2=arguments.area,
            seconds=seconds,
            steps_per_second=arguments.steps_per_second,
            advance=progress.advance,
        )
    finally:
        progress.close()
