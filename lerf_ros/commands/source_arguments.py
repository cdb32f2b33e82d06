"""Arguments that say how a recording is read; shared by the subcommands that take one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lerf_ros.config import NodeOptions

if TYPE_CHECKING:
    from lerf_ros.sources.detection import SourceOptions

KINDS = ('rgbd', 'nerfstudio', 'colmap', 'bag')


def add_source(parser: argparse.ArgumentParser, *, downscale: int = 1) -> None:
    """Declares the recording and how it is read."""
    parser.add_argument(
        'source',
        type=Path,
        help='RGB-D folder (7-Scenes, TUM, ScanNet, Replica), transforms.json, COLMAP or bag',
    )
    group = parser.add_argument_group('how the recording is read')
    group.add_argument('--format', choices=KINDS, default='', help='its kind (detected)')
    group.add_argument(
        '--downscale', type=int, default=downscale, help='shrink pictures N times (%(default)s)'
    )
    group.add_argument(
        '--rate', type=float, default=0.0, help='frames/s where there are no stamps'
    )
    group.add_argument(
        '--depth-unit', type=float, metavar='M', help='what 1 means in depth pictures, metres'
    )
    group.add_argument(
        '--colour-focal',
        type=float,
        metavar='PX',
        help='focal length of a colour camera that is not registered to the depth camera',
    )
    group.add_argument(
        '--intrinsics',
        type=float,
        nargs=4,
        metavar=('FX', 'FY', 'CX', 'CY'),
        help='of an RGB-D folder that holds none',
    )
    for name, text in (
        ('image', 'colour images'),
        ('info', 'their calibration'),
        ('depth', "depth; '' for none"),
        ('pose', "poses; '' for TF"),
    ):
        group.add_argument(f'--{name}-topic', metavar='TOPIC', help=f'in a bag: {text}')
    group.add_argument('--world-frame', default='', help='in a bag: frame of the poses (detected)')
    group.add_argument('--camera-frame', default='', help='in a bag: optical frame of the images')
    group.add_argument(
        '--extrinsic',
        type=float,
        nargs=7,
        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
        help='in a bag: the camera on the frame that poses are of',
    )
    group.add_argument(
        '--rectified', action='store_true', help='in a bag: images are rectified already'
    )
    group.add_argument(
        '--pose-gap',
        type=float,
        default=NodeOptions.pose_gap_s,
        metavar='SECONDS',
        help='in a bag: pictures between poses that are further apart are left out where the '
        'camera moved; 0 leaves out none (%(default)s)',
    )


def source_options(arguments: argparse.Namespace, **changes: object) -> SourceOptions:
    """Returns how the arguments say that a recording is read.

    Raises:
        ValueError: A number is out of range.
    """
    from lerf_ros.sources.detection import SourceOptions

    values = {
        'kind': arguments.format,
        'downscale': arguments.downscale,
        'rate_hz': arguments.rate,
        'depth_unit_m': arguments.depth_unit,
        'colour_focal_px': arguments.colour_focal,
        'intrinsics': tuple(arguments.intrinsics) if arguments.intrinsics else None,
        'image_topic': arguments.image_topic,
        'info_topic': arguments.info_topic,
        'depth_topic': arguments.depth_topic,
        'pose_topic': arguments.pose_topic,
        'world_frame': arguments.world_frame,
        'camera_frame': arguments.camera_frame,
        'extrinsic': tuple(arguments.extrinsic) if arguments.extrinsic else None,
        'rectified': arguments.rectified,
        'pose_gap_s': arguments.pose_gap,
    }
    return SourceOptions(**{**values, **changes})  # type: ignore[arg-type]


def require_writable_file(path: Path | str | None, name: str) -> None:
    """Raises ValueError where a file could not be written at the end of a long run."""
    if path is None:
        return
    path = Path(path)
    if path.is_dir():
        raise ValueError(f'{name}: expected a file, got the folder {path}')
    if not path.parent.is_dir():
        raise ValueError(f'{name}: expected an existing folder, got {path.parent}')
    probe = path.with_name(f'.{path.name}.probe')
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f'{name}: {path.parent} cannot be written: {error}') from error
