"""Where RGB-D data sets keep their pictures, depth, poses and intrinsics.

| layout | colour | depth, per metre | poses (camera to world, optical axes) | intrinsics |
| --- | --- | --- | --- | --- |
| 7-Scenes | frame-%06d.color.{jpg,png} | frame-%06d.depth.png, 1000 | frame-%06d.pose.txt, 4x4 | \
camera-intrinsics.txt |
| ScanNet | color/%d.jpg | depth/%d.png, 1000 | pose/%d.txt, 4x4 | intrinsic/intrinsic_*.txt |
| TUM | rgb/ by rgb.txt | depth/ by depth.txt, 5000 | groundtruth.txt, t x y z qx qy qz qw | \
those of the data set |
| Replica | results/frame%06d.jpg | results/depth%06d.png, by its file | traj.txt, 4x4 a line | \
cam_params.json |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lerf_ros.geometry import PinholeCamera
from lerf_ros.sources.layout_files import (
    TUM_SLOP_S,
    nearest,
    pictures_in,
    read_matrix,
    read_trajectory,
    stamped_pictures,
)
from lerf_ros.sources.left_out import Ledger

TUM_UNIT_M = 1 / 5000
# Of its three cameras at 640x480, in OpenCV's pixel convention; the first is what ROS assumes.
TUM_CAMERAS = {
    '': (525.0, 525.0, 319.5, 239.5),
    'freiburg1': (517.3, 516.5, 318.6, 255.3),
    'freiburg2': (520.9, 521.0, 325.1, 249.7),
    'freiburg3': (535.4, 539.2, 320.1, 247.6),
}

Intrinsics = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Entry:
    """One frame on disk; ``pose`` is (4, 4), or why there is none."""

    name: str
    number: int
    stamp_ns: int
    colour: Path
    depth: Path | None
    pose: np.ndarray | str


@dataclass(frozen=True, eq=False)
class Recording:
    """All frames on disk.

    Attributes:
        layout: Name of the layout.
        entries: The frames, in order.
        intrinsics: fx, fy, cx, cy of the colour pictures; None: those usual for 640x480.
        depth_unit_m: What 1 means in depth pictures, metres.
        usual: What to take, at 640x480, where the folder holds no intrinsics.
        depth_intrinsics: Those of a depth camera whose pictures have another size.
    """

    layout: str
    entries: list[Entry]
    intrinsics: Intrinsics | None
    depth_unit_m: float
    usual: Intrinsics = TUM_CAMERAS['']
    depth_intrinsics: Intrinsics | None = None

    def usual_camera(self, width: int, height: int) -> PinholeCamera:
        """Returns the usual camera of the data set for a size of pictures."""
        fx, fy, cx, cy = self.usual
        return PinholeCamera(fx, fy, cx + 0.5, cy + 0.5, 640, 480).resized(width, height)


def layout_of(folder: Path) -> str | None:
    """Returns the name of the layout of a folder; None if it is none that is known."""
    for name, (mark, _) in LAYOUTS.items():
        if mark(folder):
            return name
    return None


def read_layout(folder: Path, rate_hz: float, ledger: Ledger) -> Recording:
    """Returns what is in a folder.

    Raises:
        ValueError: The layout is unknown, or its files cannot be read.
    """
    name = layout_of(folder)
    if name is None:
        raise ValueError(
            f'{folder}: expected pictures frame-*.color.jpg or .png (7-Scenes), color/ and pose/ '
            '(ScanNet), rgb/ and groundtruth.txt (TUM) or results/ and traj.txt (Replica), got '
            'none of them'
        )
    return LAYOUTS[name][1](folder, rate_hz, ledger)


def _seven_scenes(folder: Path, rate_hz: float, ledger: Ledger) -> Recording:
    matrix = read_matrix(folder / 'camera-intrinsics.txt', (3, 3))
    entries = []
    for path in pictures_in(folder, 'frame-*.color.*'):
        name = path.name.split('.')[0]
        number = _number(name)
        if number is None:
            ledger.leave_out(name, f'expected a number in its name, got {path.name}')
            continue
        depth = path.with_name(f'{name}.depth.png')
        entries.append(
            Entry(
                name,
                number,
                round(number / rate_hz * 1e9),
                path,
                _depth_or_warning(depth, name, folder.glob('frame-*.depth.png'), ledger),
                _pose_file(folder / f'{name}.pose.txt'),
            )
        )
    return Recording('7-Scenes', entries, _of_matrix(matrix, 0.0), 1e-3)


def _scannet(folder: Path, rate_hz: float, ledger: Ledger) -> Recording:
    colour = _intrinsic_file(folder, 'color')
    depth = _intrinsic_file(folder, 'depth')
    if colour is None and depth is None:
        raise ValueError(f'{folder}: expected intrinsic/intrinsic_color.txt, got none')
    entries = []
    for path in sorted(pictures_in(folder / 'color', '*'), key=lambda p: _number(p.stem) or 0):
        number = _number(path.stem)
        if number is None:
            ledger.leave_out(path.name, 'expected a number as its name')
            continue
        depth_path = folder / 'depth' / f'{path.stem}.png'
        entries.append(
            Entry(
                path.stem,
                number,
                round(number / rate_hz * 1e9),
                path,
                _depth_or_warning(depth_path, path.stem, (folder / 'depth').glob('*.png'), ledger),
                _pose_file(folder / 'pose' / f'{path.stem}.txt'),
            )
        )
    if colour is None:
        return Recording('ScanNet', entries, depth, 1e-3)
    return Recording('ScanNet', entries, colour, 1e-3, depth_intrinsics=depth)


def _tum(folder: Path, rate_hz: float, ledger: Ledger) -> Recording:
    colours, depths = stamped_pictures(folder, 'rgb'), stamped_pictures(folder, 'depth')
    poses = read_trajectory(folder / 'groundtruth.txt', ledger)
    pose_times, depth_times = np.array([t for t, _ in poses]), np.array([t for t, _ in depths])
    entries = []
    for number, (time_s, path) in enumerate(colours):
        name = f'rgb/{path.name}'
        near = nearest(pose_times, time_s)
        depth_at = nearest(depth_times, time_s)
        if depth_at is None and depths:
            ledger.warn(f'{name}: depth left out: none within {TUM_SLOP_S:g} s')
        pose: np.ndarray | str = f'no pose within {TUM_SLOP_S:g} s in groundtruth.txt'
        entries.append(
            Entry(
                name,
                number,
                round(time_s * 1e9),
                path,
                None if depth_at is None else depths[depth_at][1],
                pose if near is None else poses[near][1],
            )
        )
    usual = next((v for k, v in TUM_CAMERAS.items() if k and k in str(folder.resolve())), None)
    intrinsics = _listed_intrinsics(folder)
    if usual is None and intrinsics is None:
        usual = TUM_CAMERAS['']
        ledger.warn(
            'no intrinsics in the folder: those usual for a Kinect are taken (fx 525 at 640x480); '
            'give others by --intrinsics or a file camera-intrinsics.txt'
        )
    return Recording('TUM', entries, intrinsics, TUM_UNIT_M, usual or TUM_CAMERAS[''])


def _replica(folder: Path, rate_hz: float, ledger: Ledger) -> Recording:
    lines = (folder / 'traj.txt').read_text(encoding='utf-8').splitlines()
    camera_file = next(
        (f for f in (folder / 'cam_params.json', folder.parent / 'cam_params.json') if f.exists()),
        None,
    )
    if camera_file is None:
        raise ValueError(f'{folder}: expected cam_params.json there or above, got none')
    try:
        camera = json.loads(camera_file.read_text(encoding='utf-8-sig'))['camera']
        fx, fy, cx, cy = (float(camera[name]) for name in ('fx', 'fy', 'cx', 'cy'))
        unit_m = 1 / float(camera['scale'])
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f'{camera_file}: expected a camera with fx to scale: {error}') from error
    entries = []
    for place, path in enumerate(pictures_in(folder / 'results', 'frame*')):
        found = _number(path.stem)
        number = place if found is None else found
        pose: np.ndarray | str = 'traj.txt has no line for it'
        if number < len(lines):
            pose = _matrix_of_line(lines[number])
        depth = path.with_name(f'{path.stem.replace("frame", "depth")}.png')
        known = (folder / 'results').glob('depth*.png')
        entries.append(
            Entry(
                path.stem,
                number,
                round(number / rate_hz * 1e9),
                path,
                _depth_or_warning(depth, path.stem, known, ledger),
                pose,
            )
        )
    return Recording('Replica', entries, (fx, fy, cx + 0.5, cy + 0.5), unit_m)


# Name -> (whether a folder has this layout, its reader).
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path, float, Ledger], Recording]]] = {
    '7-Scenes': (lambda f: any(f.glob('frame-*.color.*')), _seven_scenes),
    'TUM': (lambda f: (f / 'groundtruth.txt').exists() and (f / 'rgb').is_dir(), _tum),
    'ScanNet': (lambda f: (f / 'color').is_dir() and (f / 'pose').is_dir(), _scannet),
    'Replica': (lambda f: (f / 'traj.txt').exists() and (f / 'results').is_dir(), _replica),
}


def _of_matrix(matrix: np.ndarray, centre: float) -> Intrinsics:
    return (
        float(matrix[0, 0]),
        float(matrix[1, 1]),
        float(matrix[0, 2]) + centre,
        float(matrix[1, 2]) + centre,
    )


def _number(name: str) -> int | None:
    digits = re.search(r'(\d+)$', name)
    return int(digits[1]) if digits else None


def _pose_file(path: Path) -> np.ndarray | str:
    try:
        return read_matrix(path, (4, 4))
    except ValueError as error:
        return str(error)


def _matrix_of_line(line: str) -> np.ndarray | str:
    try:
        numbers = np.array([float(word) for word in line.split()])
        return numbers.reshape(4, 4)
    except ValueError:
        return f'expected 16 numbers of a pose, got {line[:40]!r}'


def _depth_or_warning(path: Path, name: str, others: object, ledger: Ledger) -> Path | None:
    """Returns the path of a depth picture; None, with a warning where others have one."""
    if path.exists():
        return path
    if next(iter(others), None) is not None:  # type: ignore[call-overload]
        ledger.warn(f'{name}: depth left out: {path.name} does not exist')
    return None


def _intrinsic_file(folder: Path, camera: str) -> Intrinsics | None:
    for path in (
        folder / 'intrinsic' / f'intrinsic_{camera}.txt',
        folder / f'intrinsic_{camera}.txt',
    ):
        if path.exists():
            return _of_matrix(read_matrix(path, (4, 4)), 0.5)
    return None


def _listed_intrinsics(folder: Path) -> Intrinsics | None:
    """Returns intrinsics that people have laid beside a TUM recording."""
    path = folder / 'camera-intrinsics.txt'
    if path.exists():
        return _of_matrix(read_matrix(path, (3, 3)), 0.0)
    for name in ('calibration.txt', 'intrinsics.txt'):
        if (folder / name).exists():
            words = (folder / name).read_text(encoding='utf-8-sig').split()
            try:
                fx, fy, cx, cy = (float(word) for word in words[:4])
            except ValueError as error:
                raise ValueError(f'{folder / name}: expected fx fy cx cy: {error}') from error
            return fx, fy, cx + 0.5, cy + 0.5
    return None
