"""Reconstructions of COLMAP: models in ``sparse`` (text or binary) beside a folder of pictures.

COLMAP's camera axes are optical already; its world has neither a metric scale nor a vertical
unless it was given them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_rgb
from lerf_ros.frames.lens import Lens
from lerf_ros.geometry import PinholeCamera, inverse_transform, pose_matrix
from lerf_ros.sources.left_out import Ledger, NoFramesError
from lerf_ros.sources.sequence import FrameSequence, require_picture

# Name and number of parameters of the models, by COLMAP's number.
MODELS = {
    0: ('SIMPLE_PINHOLE', 3),
    1: ('PINHOLE', 4),
    2: ('SIMPLE_RADIAL', 4),
    3: ('RADIAL', 5),
    4: ('OPENCV', 8),
    5: ('OPENCV_FISHEYE', 8),
    6: ('FULL_OPENCV', 12),
    7: ('FOV', 5),
    8: ('SIMPLE_RADIAL_FISHEYE', 4),
    9: ('RADIAL_FISHEYE', 5),
    10: ('THIN_PRISM_FISHEYE', 12),
}
SHARED_FOCAL = (
    'SIMPLE_PINHOLE',
    'SIMPLE_RADIAL',
    'RADIAL',
    'SIMPLE_RADIAL_FISHEYE',
    'RADIAL_FISHEYE',
)
# Those that OpenCV has no undistortion for.
REFUSED = ('FOV', 'THIN_PRISM_FISHEYE')
_Pose = tuple[str, int, np.ndarray]
_Camera = tuple[str, int, int, tuple[float, ...]]


class ColmapFolder(FrameSequence):
    """The posed frames of a reconstruction, undistorted, in the order of their names.

    Of several models the largest is read. Pictures that are absent or damaged, and those of a
    camera that cannot be undistorted, are left out with one warning each.

    Args:
        folder: Folder that holds ``sparse`` (or the model itself) and the pictures.
        images: Folder of the pictures; ``folder/images`` if None.
        downscale: Images are made this many times smaller each way.
        rate_hz: Camera rate that is assumed: the n-th picture is stamped n / rate_hz seconds.

    Attributes:
        paths: Picture of each frame.

    Raises:
        ValueError: There is no reconstruction, it is damaged, or no picture of it can be used.
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
        self.ledger = Ledger(folder.name)
        self._downscale, self._rate_hz = downscale, rate_hz
        pictures = folder / 'images' if images is None else Path(images)
        model, cameras, poses = self._largest(folder)
        self.paths: list[Path] = []
        self._lenses: list[Lens] = []
        self._poses: list[np.ndarray] = []
        lenses: dict[int, Lens] = {}
        for name, camera, pose in sorted(poses, key=lambda item: item[0]):
            path = pictures / name
            try:
                if camera not in cameras:
                    raise ValueError(f'{model}: expected the camera {camera}, got none')
                if camera not in lenses:
                    lenses[camera] = _lens(*cameras[camera])
                require_picture(path)
            except ValueError as error:
                self.ledger.leave_out(name, error)
                continue
            self.paths.append(path)
            self._lenses.append(lenses[camera])
            self._poses.append(pose)
        if not self.paths:
            raise NoFramesError(pictures, self.ledger)

    def _largest(self, folder: Path) -> tuple[Path, dict[int, _Camera], list[_Pose]]:
        """Returns the model with the most pictures."""
        models = find_models(folder)
        if not models:
            raise ValueError(
                f'{folder}: expected a COLMAP model images.bin or images.txt, got none'
            )
        read: list[tuple[Path, dict[int, _Camera], list[_Pose]]] = []
        failures = []
        for model in models:
            try:
                read.append((model, *_read_model(model)))
            except (OSError, struct.error, ValueError, IndexError) as error:
                failures.append(f'{model}: expected a COLMAP model, got {error}')
        if not read:
            raise ValueError(failures[0])
        for failure in failures:
            self.ledger.warn(failure)
        best = max(read, key=lambda item: len(item[2]))
        if len(models) > 1:
            sizes = ', '.join(f'{model.name} has {len(poses)}' for model, _, poses in read)
            self.ledger.warn(f'several models: {best[0].name} is read, the largest ({sizes})')
        return best

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Returns the file name of a frame's picture."""
        return self.paths[index].name

    def _read(self, index: int) -> PosedFrame:
        lens = self._lenses[index]
        image = read_rgb(self.paths[index])
        if image.shape[:2] != (lens.camera.height, lens.camera.width):
            raise ValueError(
                f'{self.paths[index]}: expected {lens.camera.width}x{lens.camera.height} as in '
                f'the model, got {image.shape[1]}x{image.shape[0]}'
            )
        return self._rectified(
            image,
            None,
            None,
            lens,
            self._poses[index],
            round(index / self._rate_hz * 1e9),
            self._downscale,
            index,
        )


def find_models(folder: Path) -> list[Path]:
    """Returns the folders of all models of a reconstruction."""
    sparse = folder / 'sparse'
    numbered = sorted(sparse.iterdir()) if sparse.is_dir() else []
    return [
        candidate
        for candidate in (*numbered, sparse, folder)
        if any((candidate / f'images.{ending}').exists() for ending in ('bin', 'txt'))
    ]


def _read_model(model: Path) -> tuple[dict[int, _Camera], list[_Pose]]:
    if (model / 'images.bin').exists():
        return _binary_cameras(model / 'cameras.bin'), _binary_images(model / 'images.bin')
    return _text_cameras(model / 'cameras.txt'), _text_images(model / 'images.txt')


def _lens(model: str, width: int, height: int, values: Sequence[float]) -> Lens:
    counts = dict(MODELS.values())
    known = [name for name in counts if name not in REFUSED]
    if model not in known or len(values) != counts[model]:
        raise ValueError(
            f'camera model: expected one of {", ".join(known)} with its parameters, got {model} '
            f'with {len(values)}'
        )
    shared = model in SHARED_FOCAL
    fx, fy = (values[0], values[0]) if shared else values[:2]
    cx, cy, *rest = values[1:] if shared else values[2:]
    camera = PinholeCamera(fx, fy, cx, cy, width, height)
    if model.endswith('FISHEYE'):
        k1, k2, k3, k4 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
        return Lens(camera, (k1, k2, k3, k4), fisheye=True)
    if model == 'FULL_OPENCV':
        return Lens(camera, tuple(rest))
    k1, k2, p1, p2 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
    return Lens(camera, (k1, k2, p1, p2, 0.0))


def _camera_to_world(
    quaternion_wxyz: Sequence[float], translation: Sequence[float]
) -> Float[np.ndarray, '4 4']:
    w, x, y, z = quaternion_wxyz
    return inverse_transform(pose_matrix(np.array(translation), np.array([x, y, z, w])))


def _text_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if not line.startswith('#')]


def _text_cameras(path: Path) -> dict[int, _Camera]:
    cameras: dict[int, _Camera] = {}
    for line in filter(None, _text_lines(path)):
        number, model, width, height, *values = line.split()
        cameras[int(number)] = (model, int(width), int(height), tuple(float(v) for v in values))
    return cameras


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


def _binary_cameras(path: Path) -> dict[int, _Camera]:
    cameras: dict[int, _Camera] = {}
    with path.open('rb') as stream:
        (count,) = _unpack(stream, 'Q')
        for _ in range(count):
            number, model, width, height = _unpack(stream, 'iiQQ')
            if model not in MODELS:
                names = ', '.join(name for name, _ in MODELS.values())
                raise ValueError(f'{path}: expected a camera model of {names}, got number {model}')
            name, parameters = MODELS[model]
            cameras[number] = (name, width, height, _unpack(stream, f'{parameters}d'))
    return cameras


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
