"""Folders in the format of nerfstudio and instant-ngp: pictures beside a ``transforms.json``.

Poses there have OpenGL axes (x right, y up, z back); they are turned to optical axes here. OpenCV
distortion is taken out with the pictures. Poses are used as they stand: their unit is a metre only
if the file's author made it so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_depth, read_rgb, shrink
from lerf_ros.frames.lens import Lens
from lerf_ros.geometry import PinholeCamera, require_rigid
from lerf_ros.sources.sequence import FrameSequence

logger = logging.getLogger(__name__)

OPTICAL_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
SPLITS = ('all', 'train', 'test')
_PLAIN_MODELS = ('OPENCV', 'PINHOLE', 'SIMPLE_PINHOLE', 'SIMPLE_RADIAL', 'RADIAL')


class NerfstudioFolder(FrameSequence):
    """The posed frames of a folder, undistorted, read from disk one at a time.

    Entries whose picture is absent or whose pose is no rigid motion are left out with one warning
    each.

    Args:
        folder: Folder with a ``transforms.json``, or that file.
        downscale: Images are made this many times smaller each way.
        split: 'all', or the frames to learn from ('train') or those held out ('test').
        hold_out_every: Every n-th frame is held out where the file names no test frames.
        rate_hz: Camera rate that is assumed: the n-th entry is stamped n / rate_hz seconds.

    Attributes:
        paths: Picture of each frame.

    Raises:
        ValueError: No such file, an unknown camera model or split, or no usable frame.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        downscale: int = 1,
        split: str = 'all',
        hold_out_every: int = 8,
        rate_hz: float = 10.0,
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
        self._downscale, self._rate_hz = downscale, rate_hz
        self._depth_unit_m = float(content.get('depth_unit_scale_factor', 0.001))
        self.paths: list[Path] = []
        self._poses: list[np.ndarray] = []
        self._lenses: list[Lens] = []
        self._depth_paths: list[Path | None] = []
        names: list[str] = []
        for entry in content['frames']:
            try:
                picture = _find_picture(path.parent, str(entry['file_path']))
                pose = require_rigid(
                    np.asarray(entry['transform_matrix'], dtype=np.float64) @ OPTICAL_FROM_OPENGL,
                    'transform_matrix',
                )
            except (KeyError, TypeError, ValueError) as error:
                logger.warning('%s: frame left out: %s', path.name, error)
                continue
            self.paths.append(picture)
            self._poses.append(pose)
            # Most files have one camera: its undistortion maps are shared by all frames.
            lens = _lens({**content, **entry}, picture)
            self._lenses.append(next((known for known in self._lenses if known == lens), lens))
            depth = entry.get('depth_file_path')
            self._depth_paths.append(path.parent / depth if depth else None)
            names.append(str(entry['file_path']))
        if not self.paths:
            raise ValueError(f'{path}: expected frames whose pictures exist, got none')
        self._entries = _choose(names, content, split, hold_out_every)
        if not self._entries:
            raise ValueError(f'{path}: expected frames in the split {split!r}, got none')
        self.paths = [self.paths[entry] for entry in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def to_frame_pixels(
        self, index: int, uv: Float[np.ndarray, 'n 2']
    ) -> Float[np.ndarray, 'n 2']:
        """Returns where points of a stored picture lie in the frame, undistorted and shrunk."""
        lens = self._lenses[self._entries[index]]
        return lens.rectify_points(np.asarray(uv, dtype=np.float64)) / self._downscale

    def _read(self, index: int) -> PosedFrame:
        entry = self._entries[index]
        lens = self._lenses[entry]
        stored = read_rgb(self.paths[index])
        size = (lens.camera.height, lens.camera.width)
        if stored.shape[:2] != size:
            raise ValueError(
                f'{self.paths[index]}: expected {size[1]}x{size[0]} as in transforms.json, '
                f'got {stored.shape[1]}x{stored.shape[0]}'
            )
        image = lens.undistort(stored, cv2.INTER_LINEAR)
        depth_path, depth = self._depth_paths[entry], None
        if depth_path is not None:
            depth = lens.undistort(read_depth(depth_path, self._depth_unit_m), cv2.INTER_NEAREST)
        image, depth, camera = shrink(image, depth, lens.rectified, self._downscale)
        return PosedFrame(
            image=image,
            depth=depth,
            camera=camera,
            camera_to_world=self._poses[entry],
            stamp_ns=round(entry / self._rate_hz * 1e9),
            frame_id='camera',
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: expected a transforms.json, got {error}') from error
    if not isinstance(content, dict) or not isinstance(content.get('frames'), list):
        raise ValueError(f'{path}: expected a list "frames", got none')
    return content


def _find_picture(folder: Path, name: str) -> Path:
    # Blender data sets name their pictures without the extension.
    for candidate in (folder / name, folder / f'{name}.png', folder / f'{name}.jpg'):
        if candidate.is_file():
            return candidate
    raise ValueError(f'{name} does not exist')


def _lens(values: Mapping[str, Any], picture: Path) -> Lens:
    """Returns the camera of one entry; its own numbers go before those of the file."""
    model = str(values.get('camera_model', 'OPENCV'))
    if model not in _PLAIN_MODELS:
        raise ValueError(f'camera_model: expected one of {_PLAIN_MODELS}, got {model!r}')
    try:
        if 'w' in values and 'h' in values:
            width, height = int(values['w']), int(values['h'])
        else:
            height, width = read_rgb(picture).shape[:2]
        if 'fl_x' in values:
            fx = float(values['fl_x'])
        else:
            fx = width / 2 / np.tan(float(values['camera_angle_x']) / 2)
        camera = PinholeCamera(
            fx=fx,
            fy=float(values.get('fl_y', fx)),
            cx=float(values.get('cx', width / 2)),
            cy=float(values.get('cy', height / 2)),
            width=width,
            height=height,
        )
        k1, k2, p1, p2, k3 = (float(values.get(k, 0.0)) for k in ('k1', 'k2', 'p1', 'p2', 'k3'))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f'transforms.json: expected fl_x or camera_angle_x, got {error}'
        ) from error
    return Lens(camera, (k1, k2, p1, p2, k3))


def _choose(
    names: Sequence[str], content: Mapping[str, Any], split: str, hold_out_every: int
) -> list[int]:
    if split == 'all':
        return list(range(len(names)))
    if content.get('test_filenames'):
        held_out = {i for i, name in enumerate(names) if name in set(content['test_filenames'])}
    else:
        held_out = set(range(0, len(names), hold_out_every))
    return [i for i in range(len(names)) if (i in held_out) == (split == 'test')]
