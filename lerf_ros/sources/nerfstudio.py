"""Folders in the format of nerfstudio and instant-ngp: pictures beside a ``transforms.json``.

Poses there have OpenGL axes (x right, y up, z back); they are turned to optical axes here. Lens
distortion is taken out with the pictures. Poses are used as they stand: their unit is a metre only
if the file's author made it so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_alpha, read_depth, read_mask, read_rgb
from lerf_ros.frames.lens import Lens
from lerf_ros.geometry import require_rigid
from lerf_ros.sources.left_out import Ledger, NoFramesError
from lerf_ros.sources.nerfstudio_keys import (
    DEPTH_KEYS,
    depth_unit_of,
    lens_of,
    unheeded,
    values_of,
)
from lerf_ros.sources.sequence import FrameSequence, require_picture

OPTICAL_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
SPLITS = ('all', 'train', 'val', 'test')
PICTURES = ('.png', '.jpg', '.jpeg')


class NerfstudioFolder(FrameSequence):
    """The posed frames of a folder, undistorted, read from disk one at a time.

    Entries whose picture is absent or damaged, whose numbers are missing or whose pose is no rigid
    motion are left out with one warning each.

    Args:
        folder: Folder with a ``transforms.json``, or that file.
        downscale: Images are made this many times smaller each way.
        split: 'all', or the frames to learn from ('train'), or those held out ('test', 'val').
        hold_out_every: Every n-th frame is held out where the file names no test frames.
        rate_hz: Camera rate that is assumed: the n-th entry is stamped n / rate_hz seconds.
        depth_unit_m: What 1 means in depth pictures, metres; None: as the file says.

    Attributes:
        paths: Picture of each frame.

    Raises:
        ValueError: No such file, an unknown split, or no usable frame.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        downscale: int = 1,
        split: str = 'all',
        hold_out_every: int = 8,
        rate_hz: float = 10.0,
        depth_unit_m: float | None = None,
    ) -> None:
        path = Path(folder)
        path = path if path.suffix == '.json' else path / 'transforms.json'
        if split not in SPLITS:
            raise ValueError(f'split: expected one of {SPLITS}, got {split!r}')
        if hold_out_every < 2:
            raise ValueError(f'hold_out_every: expected at least 2, got {hold_out_every}')
        if downscale < 1:
            raise ValueError(f'downscale: expected at least 1, got {downscale}')
        if not rate_hz > 0:
            raise ValueError(f'rate_hz: expected a positive rate, got {rate_hz}')
        content = _read_json(path)
        self.ledger = Ledger(path.parent.name or path.name)
        self._folder, self._downscale, self._rate_hz = path.parent, downscale, rate_hz
        self._depth_unit_m = depth_unit_m or depth_unit_of(content)
        for sentence in unheeded(content):
            self.ledger.warn(sentence)
        self.paths: list[Path] = []
        self._poses: list[np.ndarray] = []
        self._lenses: list[Lens] = []
        self._entries: list[dict[str, Any]] = []
        names: list[str] = []
        for number, entry in enumerate(content['frames']):
            name = f'entry {number}'
            try:
                name = normal_name(str(entry['file_path']))
                self._add(content, entry, name)
            except KeyError as error:
                self.ledger.leave_out(name, f'expected the key {error}, got none')
                continue
            except (TypeError, AttributeError, ValueError) as error:
                self.ledger.leave_out(name, error)
                continue
            names.append(name)
        if not self.paths:
            raise NoFramesError(path, self.ledger)
        self._chosen = _choose(names, content, split, hold_out_every)
        if not self._chosen:
            raise ValueError(f'{path}: expected frames in the split {split!r}, got none')
        self.paths = [self.paths[entry] for entry in self._chosen]

    def _add(self, content: dict[str, Any], entry: dict[str, Any], name: str) -> None:
        picture = find_picture(self._folder, name)
        require_picture(picture)
        matrix = np.asarray(entry['transform_matrix'], dtype=np.float64)
        if matrix.shape == (3, 4):
            matrix = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
        if matrix.shape == (4, 4):
            matrix = matrix @ OPTICAL_FROM_OPENGL
        pose = require_rigid(matrix, f'pose of frame {name}')
        values, nulls = values_of(content, entry)
        if nulls:
            self.ledger.warn(f'{", ".join(nulls)}: null is taken as if it were not said')
        lens = lens_of(values, lambda: read_rgb(picture).shape[:2])
        self.paths.append(picture)
        self._poses.append(pose)
        # Most files have one camera: its undistortion maps are shared by all frames.
        self._lenses.append(next((known for known in self._lenses if known == lens), lens))
        self._entries.append(entry)

    def __len__(self) -> int:
        return len(self._chosen)

    def name(self, index: int) -> str:
        """Returns the path of a frame's picture as the file spells it, with plain slashes."""
        return normal_name(str(self._entries[self._chosen[index]]['file_path']))

    def to_frame_pixels(
        self, index: int, uv: Float[np.ndarray, 'n 2']
    ) -> Float[np.ndarray, 'n 2']:
        """Returns where points of a stored picture lie in the frame, undistorted and shrunk."""
        lens = self._lenses[self._chosen[index]]
        return lens.rectify_points(np.asarray(uv, dtype=np.float64)) / self._downscale

    def stored_size(self, index: int) -> tuple[int, int]:
        """Returns the width and height of a frame's picture as stored."""
        camera = self._lenses[self._chosen[index]].camera
        return camera.width, camera.height

    def _read(self, index: int) -> PosedFrame:
        number = self._chosen[index]
        lens, path = self._lenses[number], self.paths[index]
        image = read_rgb(path)
        size = (lens.camera.height, lens.camera.width)
        if image.shape[:2] != size:
            raise ValueError(
                f'{path}: expected {size[1]}x{size[0]} as in transforms.json, '
                f'got {image.shape[1]}x{image.shape[0]}'
            )
        return self._rectified(
            image,
            self._depth(index),
            self._visible(index),
            lens,
            self._poses[number],
            round(number / self._rate_hz * 1e9),
            self._downscale,
            index,
        )

    def _depth(self, index: int) -> np.ndarray | None:
        entry = self._entries[self._chosen[index]]
        name = next((entry[key] for key in DEPTH_KEYS if entry.get(key)), None)
        if name is None:
            return None
        try:
            path = find_picture(self._folder, normal_name(str(name)))
            return read_depth(path, self._depth_unit_m)
        except ValueError as error:
            self.ledger.warn(f'{self.name(index)}: depth left out: {error}')
            return None

    def _visible(self, index: int) -> np.ndarray | None:
        """Returns what masks and transparency leave to be seen; None: all."""
        entry, path = self._entries[self._chosen[index]], self.paths[index]
        masks = [read_alpha(path)]
        if entry.get('mask_path'):
            masks.append(read_mask(find_picture(self._folder, normal_name(entry['mask_path']))))
        # instant-ngp hides what is white in a picture of this name.
        dynamic = entry.get('dynamic_mask_path')
        beside = path.with_name(f'dynamic_mask_{path.stem}.png')
        if dynamic:
            masks.append(~read_mask(find_picture(self._folder, normal_name(str(dynamic)))))
        elif beside.exists():
            masks.append(~read_mask(beside))
        found = [mask for mask in masks if mask is not None]
        if not found:
            return None
        if len({mask.shape for mask in found}) > 1:
            raise ValueError(f'mask: expected one size, got {[mask.shape for mask in found]}')
        return np.logical_and.reduce(found)


def normal_name(name: str) -> str:
    """Returns a path with plain slashes and without './'."""
    return str(PurePosixPath(name.strip().replace('\\', '/')))


def find_picture(folder: Path, name: str) -> Path:
    """Returns the picture of a name, with or without its ending, in any case of its letters.

    Raises:
        ValueError: There is none.
    """
    path = folder / name
    if path.is_file():
        return path
    if path.parent.is_dir():
        wanted = path.name.lower()
        endings = ('',) if path.suffix.lower() in PICTURES else ('', *PICTURES)
        names = {other.name.lower(): other for other in sorted(path.parent.iterdir())}
        for ending in endings:
            if wanted + ending in names:
                return names[wanted + ending]
    raise ValueError(f'{name} does not exist')


def _read_json(path: Path) -> dict[str, Any]:
    try:
        # Editors of Windows put a mark before the text.
        content = json.loads(path.read_text(encoding='utf-8-sig'))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: expected a transforms.json, got {error}') from error
    if not isinstance(content, dict) or not isinstance(content.get('frames'), list):
        raise ValueError(f'{path}: expected a list "frames", got none')
    return content


def _choose(
    names: Sequence[str], content: dict[str, Any], split: str, hold_out_every: int
) -> list[int]:
    if split == 'all':
        return list(range(len(names)))
    listed = {
        kind: {normal_name(str(name)) for name in content.get(f'{kind}_filenames') or ()}
        for kind in ('train', 'val', 'test')
    }
    if listed[split]:
        return [i for i, name in enumerate(names) if name in listed[split]]
    if not any(listed.values()):
        held_out = set(range(0, len(names), hold_out_every))
        return [i for i in range(len(names)) if (i in held_out) == (split != 'train')]
    if split == 'train':
        others = listed['val'] | listed['test']
        return [i for i, name in enumerate(names) if name not in others]
    # Files that name frames for only one of the two hold out the same for both.
    other = listed['val'] or listed['test']
    return [i for i, name in enumerate(names) if name in other]
