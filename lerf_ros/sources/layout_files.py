"""What the files of RGB-D data sets hold: matrices, lists of pictures, trajectories."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lerf_ros.geometry import pose_matrix
from lerf_ros.sources.left_out import Ledger

PICTURES = ('.jpg', '.jpeg', '.png')
# Stamps of TUM's files that differ by more belong to different moments.
TUM_SLOP_S = 0.02


def read_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Returns a matrix that stands in a text file.

    Raises:
        ValueError: The file is absent or holds another matrix.
    """
    try:
        matrix = np.loadtxt(path, dtype=np.float64, ndmin=2, encoding='utf-8-sig')
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: expected a {shape} matrix as text, got {error}') from error
    if matrix.shape != shape:
        raise ValueError(f'{path}: expected a {shape} matrix, got {matrix.shape}')
    return matrix


def pictures_in(folder: Path, pattern: str) -> list[Path]:
    """Returns the pictures of a folder by name, hidden files left out."""
    paths = sorted(path for path in folder.glob(pattern) if path.suffix.lower() in PICTURES)
    return [path for path in paths if not path.name.startswith('.')]


def stamped_pictures(folder: Path, kind: str) -> list[tuple[float, Path]]:
    """Returns the pictures of a TUM recording with their stamps in seconds."""
    listed = folder / f'{kind}.txt'
    found = []
    if listed.exists():
        for line in listed.read_text(encoding='utf-8-sig').splitlines():
            words = line.split()
            if len(words) >= 2 and not line.startswith('#'):
                found.append((float(words[0]), folder / words[1].replace('\\', '/')))
    else:
        for path in pictures_in(folder / kind, '*'):
            try:
                found.append((float(path.stem), path))
            except ValueError:
                continue
    return sorted(found)


def read_trajectory(path: Path, ledger: Ledger) -> list[tuple[float, np.ndarray | str]]:
    """Returns stamps in seconds and poses of a TUM trajectory."""
    poses: list[tuple[float, np.ndarray | str]] = []
    for line in path.read_text(encoding='utf-8-sig').splitlines():
        words = line.replace(',', ' ').split()
        if not words or line.startswith('#'):
            continue
        try:
            time_s, *numbers = (float(word) for word in words[:8])
            if len(numbers) != 7 or not np.isfinite(numbers).all():
                raise ValueError(f'expected 8 finite numbers, got {line[:60]!r}')
            pose = pose_matrix(np.array(numbers[:3]), np.array(numbers[3:]))
            poses.append((time_s, pose))
        except ValueError as error:
            ledger.warn(f'{path.name}: a line is left out: {error}')
    return sorted(poses, key=lambda item: item[0])


def nearest(times_s: np.ndarray, time_s: float) -> int | None:
    """Returns the place of the nearest time; None where it is farther than TUM's slop."""
    if not len(times_s):
        return None
    at = int(np.argmin(np.abs(times_s - time_s)))
    return at if abs(times_s[at] - time_s) <= TUM_SLOP_S else None
