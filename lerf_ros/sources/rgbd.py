"""RGB-D folders in the format of 7-Scenes.

``frame-%06d.color.{jpg,png}`` RGB, ``frame-%06d.depth.png`` 16-bit millimetres (0 and 65535 = no
reading), ``frame-%06d.pose.txt`` camera to world in metres with optical axes, and one
``camera-intrinsics.txt`` (3x3).
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_depth, read_rgb, shrink
from lerf_ros.geometry import PinholeCamera, require_rigid
from lerf_ros.sources.sequence import FrameSequence

logger = logging.getLogger(__name__)


class RgbdFolder(FrameSequence):
    """The posed frames of a folder, read from disk one at a time.

    Frames without a pose, and poses that are no rigid motion, are left out with one warning each.

    Args:
        folder: The folder.
        rate_hz: Camera rate that is assumed: frame number n is stamped n / rate_hz seconds.
        downscale: Images are made this many times smaller each way.
        colour_focal_px: Focal length of a colour camera that is not registered to the depth
            camera. The picture is then resampled to the depth camera's view; the few centimetres
            between the two cameras are neglected. None where colour and depth fit already.

    Attributes:
        numbers: Frame number of each frame.
        stamps_ns: Stamp of each frame.
        poses: ``camera_to_world`` of each frame.

    Raises:
        ValueError: The folder is absent, holds no usable frame or no intrinsics.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        rate_hz: float = 30.0,
        downscale: int = 1,
        colour_focal_px: float | None = None,
    ) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise ValueError(f'{folder}: expected a folder with RGB-D frames, got none')
        if not rate_hz > 0:
            raise ValueError(f'rate_hz: expected a positive rate, got {rate_hz}')
        if downscale < 1:
            raise ValueError(f'downscale: expected at least 1, got {downscale}')
        self._downscale, self._colour_focal_px = downscale, colour_focal_px
        colours = sorted(
            path
            for suffix in ('jpg', 'png')
            for path in self._folder.glob(f'frame-*.color.{suffix}')
        )
        if not colours:
            raise ValueError(f'{folder}: expected pictures frame-*.color.jpg or .png, got none')
        self._intrinsics = _read_matrix(self._folder / 'camera-intrinsics.txt', (3, 3))
        self._paths: list[Path] = []
        self.poses: list[np.ndarray] = []
        self.numbers: list[int] = []
        self.stamps_ns: list[int] = []
        for path in colours:
            name = path.name.split('.')[0]
            try:
                number = int(name.removeprefix('frame-'))
                matrix = _read_matrix(self._folder / f'{name}.pose.txt', (4, 4))
                pose = require_rigid(matrix, 'camera_to_world')
            except ValueError as error:
                logger.warning('%s left out: %s', name, error)
                continue
            self._paths.append(path)
            self.poses.append(pose)
            self.numbers.append(number)
            self.stamps_ns.append(round(number / rate_hz * 1e9))
        if not self._paths:
            raise ValueError(f'{folder}: expected frames with poses, got none')

    def __len__(self) -> int:
        return len(self._paths)

    def _read(self, index: int) -> PosedFrame:
        path = self._paths[index]
        image = read_rgb(path)
        height, width = image.shape[:2]
        matrix = self._intrinsics
        camera = PinholeCamera(
            fx=float(matrix[0, 0]),
            fy=float(matrix[1, 1]),
            cx=float(matrix[0, 2]),
            cy=float(matrix[1, 2]),
            width=width,
            height=height,
        )
        if self._colour_focal_px is not None:
            image = _refocus(image, camera, self._colour_focal_px)
        depth_path = path.with_name(f'{path.name.split(".")[0]}.depth.png')
        depth = read_depth(depth_path) if depth_path.exists() else None
        image, depth, camera = shrink(image, depth, camera, self._downscale)
        return PosedFrame(
            image=image,
            depth=depth,
            camera=camera,
            camera_to_world=self.poses[index],
            stamp_ns=self.stamps_ns[index],
            frame_id='camera',
        )


def _refocus(image: np.ndarray, camera: PinholeCamera, focal_px: float) -> np.ndarray:
    """Returns what ``camera`` would see of a picture taken with another focal length."""
    # Both share the principal point, so the map is a zoom about it. Pixel centres are at 0.5.
    zoom_u, zoom_v = focal_px / camera.fx, focal_px / camera.fy
    to_source = np.array(
        [
            [zoom_u, 0.0, (1 - zoom_u) * (camera.cx - 0.5)],
            [0.0, zoom_v, (1 - zoom_v) * (camera.cy - 0.5)],
        ]
    )
    return cv2.warpAffine(
        image,
        to_source,
        (camera.width, camera.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _read_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        matrix = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: expected a {shape} matrix as text, got {error}') from error
    if matrix.shape != shape:
        raise ValueError(f'{path}: expected a {shape} matrix, got {matrix.shape}')
    return matrix
