"""Reconstructions of COLMAP: ``sparse/0`` (text or binary) beside a folder of pictures.

COLMAP's camera axes are optical already; its world has neither a metric scale nor a vertical
unless it was given them.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_rgb, shrink
from lerf_ros.frames.lens import Lens
from lerf_ros.geometry import PinholeCamera, inverse_transform, pose_matrix
from lerf_ros.sources.sequence import FrameSequence

logger = logging.getLogger(__name__)

# Name and number of parameters of the models, by COLMAP's number. Fisheye models are not ideal
# cameras with a little distortion, and are refused.
MODELS = {
    0: ('SIMPLE_PINHOLE', 3),
    1: ('PINHOLE', 4),
    2: ('SIMPLE_RADIAL', 4),
    3: ('RADIAL', 5),
    4: ('OPENCV', 8),
}
_Pose = tuple[str, int, np.ndarray]


class ColmapFolder(FrameSequence):
    """The posed frames of a reconstruction, undistorted, in the order of their names.

    Pictures that are absent are left out with one warning each.

    Args:
        folder: Folder that holds ``sparse/0`` (or the model itself) and the pictures.
        images: Folder of the pictures; ``folder/images`` if None.
        downscale: Images are made this many times smaller each way.
        rate_hz: Camera rate that is assumed: the n-th picture is stamped n / rate_hz seconds.

    Attributes:
        paths: Picture of each frame.

    Raises:
        ValueError: There is no reconstruction, it is damaged, or its camera model is unknown.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        images: Path | str | None = None,
        downscale: int = 1,
        rate_hz: float = 10.0,
    ) -> None:
        folder = Path(folder)
        if downscale < 1:
            raise ValueError(f'downscale: expected at least 1, got {downscale}')
        if not rate_hz > 0:
            raise ValueError(f'rate_hz: expected a positive rate, got {rate_hz}')
        self._downscale, self._rate_hz = downscale, rate_hz
        pictures = folder / 'images' if images is None else Path(images)
        model = _find_model(folder)
        if model is None:
            raise ValueError(
                f'{folder}: expected a COLMAP model images.bin or images.txt, got none'
            )
        try:
            if (model / 'images.bin').exists():
                lenses = _binary_cameras(model / 'cameras.bin')
                poses = _binary_images(model / 'images.bin')
            else:
                lenses = _text_cameras(model / 'cameras.txt')
                poses = _text_images(model / 'images.txt')
        except (OSError, struct.error, IndexError, UnicodeDecodeError) as error:
            raise ValueError(f'{model}: expected a COLMAP model, got {error!r}') from error
        self.paths: list[Path] = []
        self._lenses: list[Lens] = []
        self._poses: list[np.ndarray] = []
        for name, camera, pose in sorted(poses, key=lambda item: item[0]):
            if camera not in lenses:
                raise ValueError(f'{model}: expected the camera {camera} of {name}, got none')
            if not (pictures / name).is_file():
                logger.warning('%s left out: %s does not exist', name, pictures / name)
                continue
            self.paths.append(pictures / name)
            self._lenses.append(lenses[camera])
            self._poses.append(pose)
        if not self.paths:
            raise ValueError(f'{pictures}: expected pictures of the reconstruction, got none')

    def __len__(self) -> int:
        return len(self.paths)

    def _read(self, index: int) -> PosedFrame:
        lens = self._lenses[index]
        stored = read_rgb(self.paths[index])
        if stored.shape[:2] != (lens.camera.height, lens.camera.width):
            raise ValueError(
                f'{self.paths[index]}: expected {lens.camera.width}x{lens.camera.height} as in '
                f'the model, got {stored.shape[1]}x{stored.shape[0]}'
            )
        image = lens.undistort(stored, cv2.INTER_LINEAR)
        image, _, camera = shrink(image, None, lens.rectified, self._downscale)
        return PosedFrame(
            image=image,
            depth=None,
            camera=camera,
            camera_to_world=self._poses[index],
            stamp_ns=round(index / self._rate_hz * 1e9),
            frame_id='camera',
        )


def _find_model(folder: Path) -> Path | None:
    for candidate in (folder / 'sparse' / '0', folder / 'sparse', folder):
        if any((candidate / f'images.{ending}').exists() for ending in ('bin', 'txt')):
            return candidate
    return None


def _lens(model: str, width: int, height: int, values: Sequence[float]) -> Lens:
    names = dict(MODELS.values())
    if model not in names or len(values) != names[model]:
        raise ValueError(
            f'camera model: expected one of {", ".join(names)} with its parameters, got {model} '
            f'with {len(values)}'
        )
    shared_focal = model in ('SIMPLE_PINHOLE', 'SIMPLE_RADIAL', 'RADIAL')
    fx, fy = (values[0], values[0]) if shared_focal else values[:2]
    cx, cy, *rest = values[1:] if shared_focal else values[2:]
    k1, k2, p1, p2 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
    return Lens(PinholeCamera(fx, fy, cx, cy, width, height), (k1, k2, p1, p2, 0.0))


def _camera_to_world(
    quaternion_wxyz: Sequence[float], translation: Sequence[float]
) -> Float[np.ndarray, '4 4']:
    w, x, y, z = quaternion_wxyz
    return inverse_transform(pose_matrix(np.array(translation), np.array([x, y, z, w])))


def _text_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if not line.startswith('#')]


def _text_cameras(path: Path) -> dict[int, Lens]:
    lenses = {}
    for line in filter(None, _text_lines(path)):
        number, model, width, height, *values = line.split()
        lenses[int(number)] = _lens(model, int(width), int(height), [float(v) for v in values])
    return lenses


def _text_images(path: Path) -> list[_Pose]:
    poses = []
    # Two lines an image; the second, its points, may be empty.
    for line in _text_lines(path)[::2]:
        if not line:
            continue
        _, *numbers = line.split(maxsplit=9)
        pose = _camera_to_world([float(v) for v in numbers[:4]], [float(v) for v in numbers[4:7]])
        poses.append((numbers[8], int(numbers[7]), pose))
    return poses


def _unpack(stream: BinaryIO, layout: str) -> tuple:
    layout = f'<{layout}'
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))


def _binary_cameras(path: Path) -> dict[int, Lens]:
    lenses = {}
    with path.open('rb') as stream:
        (count,) = _unpack(stream, 'Q')
        for _ in range(count):
            number, model, width, height = _unpack(stream, 'iiQQ')
            if model not in MODELS:
                names = ', '.join(name for name, _ in MODELS.values())
                raise ValueError(f'{path}: expected a camera model of {names}, got number {model}')
            name, parameters = MODELS[model]
            lenses[number] = _lens(name, width, height, _unpack(stream, f'{parameters}d'))
    return lenses


def _binary_images(path: Path) -> list[_Pose]:
    poses = []
    with path.open('rb') as stream:
        (count,) = _unpack(stream, 'Q')
        for _ in range(count):
            _, *pose, camera = _unpack(stream, 'i7di')
            name = bytearray()
            while (letter := _unpack(stream, 'c')[0]) != b'\0':
                name += letter
            (points,) = _unpack(stream, 'Q')
            stream.seek(24 * points, 1)
            poses.append((name.decode('utf-8'), camera, _camera_to_world(pose[:4], pose[4:])))
    return poses
