"""What ``sensor_msgs/CameraInfo`` says of a camera, heard live or read from a recording.

ROS puts the centre of the top left pixel at (0, 0), this package at (0.5, 0.5): principal points
move by half a pixel on the way in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames.lens import Lens, camera_of_matrix, opencv_matrix
from lerf_ros.geometry import PinholeCamera

FISHEYE_MODELS = ('equidistant', 'fisheye', 'kannala_brandt4')
POLYNOMIAL_MODELS = ('plumb_bob', 'rational_polynomial', 'radtan', 'brown_conrady')
DISTORTION_MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')


class UncalibratedError(ValueError):
    """The camera says that it is not calibrated."""


@dataclass(frozen=True)
class Calibration:
    """A camera info in plain numbers; equal ones describe the same camera.

    Attributes:
        width: Width of the whole sensor's picture, before window and binning, pixels.
        height: Height of the same.
        model: Name of the distortion model.
        distortion: Its coefficients.
        k: The camera's matrix, nine numbers by row, in ROS's pixel convention.
        r: Rotation to the ideal camera, nine numbers by row.
        p: The ideal camera's matrix, twelve numbers by row.
        binning: How many pixels are one, along u and v.
        window: Offset (u, v) and size (width, height) of the part that is read; size 0: all.
    """

    width: int
    height: int
    model: str
    distortion: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    binning: tuple[int, int] = (1, 1)
    window: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def of(cls, info: Any) -> Calibration:
        """Returns the calibration of a message, of ROS 2 or ROS 1.

        Raises:
            UncalibratedError: The camera is uncalibrated.
            ValueError: The calibration is malformed.
        """
        numbers = {
            name: _numbers(info, name, count)
            for name, count in (('k', 9), ('d', None), ('r', 9), ('p', 12))
        }
        roi = info.roi
        result = cls(
            width=int(info.width),
            height=int(info.height),
            model=str(info.distortion_model),
            distortion=numbers['d'],
            k=numbers['k'],
            r=numbers['r'],
            p=numbers['p'],
            binning=(max(int(info.binning_x), 1), max(int(info.binning_y), 1)),
            window=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        )
        result._check()
        return result

    def _check(self) -> None:
        if self.k[0] == 0:
            raise UncalibratedError('camera_info: the camera is uncalibrated (k[0] is 0)')
        for name, values in (('k', self.k), ('d', self.distortion), ('r', self.r), ('p', self.p)):
            if not np.isfinite(values).all():
                raise ValueError(f'camera_info: expected finite {name}, got {list(values)}')
        known = (*FISHEYE_MODELS, *POLYNOMIAL_MODELS)
        if any(self.distortion) and self.model.lower() not in known:
            raise ValueError(
                f'camera_info: expected a distortion model of {", ".join(DISTORTION_MODELS)}, '
                f'got {self.model!r}'
            )
        if any(self.r):
            turn = np.array(self.r).reshape(3, 3)
            if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-2 or np.linalg.det(turn) < 0:
                raise ValueError(f'camera_info: expected r to be a rotation, got {list(self.r)}')

    def lens(self, size: tuple[int, int] | None = None, *, rectified: bool = False) -> Lens:
        """Returns the lens of the pictures that this camera sends.

        Args:
            size: Width and height of its pictures; None: as the calibration says.
            rectified: Whether the pictures are rectified already: then ``p`` describes them.

        Raises:
            ValueError: The numbers fit no camera, or pictures of that size.
        """
        width, height = self.size
        window, binning = self.window, self.binning
        if size is not None and size != (width, height) and size == (self.width, self.height):
            # Some drivers scale the numbers and say the binning as well: once is enough.
            window, binning, (width, height) = (0, 0, 0, 0), (1, 1), size
        if size is not None and size != (width, height):
            raise ValueError(
                f'image: expected {width}x{height} as in camera_info, got {size[0]}x{size[1]}'
            )
        k = np.array(self.k).reshape(3, 3)
        p = np.array(self.p).reshape(3, 4)[:, :3]
        p = k if p[0, 0] == 0 else p
        ideal = camera_of_matrix(_windowed(p, window, binning), width, height)
        if rectified:
            return Lens(ideal)
        camera = camera_of_matrix(_windowed(k, window, binning), width, height)
        turn = None
        if any(self.r) and np.abs(np.array(self.r) - np.eye(3).reshape(-1)).max() > 1e-9:
            turn = self.r
        if np.abs(opencv_matrix(camera) - opencv_matrix(ideal)).max() < 1e-9:
            ideal = camera
        try:
            fisheye = self.model.lower() in FISHEYE_MODELS
            bent = self.distortion if any(self.distortion) else ()
            return Lens(camera, bent, fisheye=fisheye, turn=turn, ideal=ideal)
        except ValueError as error:
            raise ValueError(f'camera_info: {error}') from error

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures that the camera sends, after window and binning."""
        width = (self.window[2] or self.width) // self.binning[0]
        height = (self.window[3] or self.height) // self.binning[1]
        return width, height

    def says_binning_twice(self, size: tuple[int, int]) -> bool:
        """Tells whether pictures have the size of the numbers though binning is said as well."""
        return size != self.size and size == (self.width, self.height)


def ideal_camera(info: Any) -> PinholeCamera:
    """Returns the camera that pictures of a camera info have after rectification.

    Raises:
        ValueError: The camera is uncalibrated, or its calibration malformed.
    """
    return Calibration.of(info).lens().rectified


def _numbers(info: Any, name: str, count: int | None) -> tuple[float, ...]:
    # ROS 1 spells them in capitals.
    values = getattr(info, name if hasattr(info, name) else name.upper())
    result = tuple(float(value) for value in values)
    if count is not None and len(result) != count:
        raise ValueError(f'camera_info: expected {count} numbers in {name}, got {len(result)}')
    return result


def _windowed(
    matrix: Float[np.ndarray, '3 3'],
    window: tuple[int, int, int, int],
    binning: tuple[int, int],
) -> Float[np.ndarray, '3 3']:
    """Returns the matrix of the window and the binning that the driver really reads."""
    result = matrix.copy()
    for row, (offset, factor) in enumerate(zip(window[:2], binning, strict=True)):
        # The centre of a bin of n pixels lies (n - 1) / 2 beside that of its first.
        result[row, 2] = (result[row, 2] - offset - (factor - 1) / 2) / factor
        result[row, row] /= factor
        result[row, 1 - row] /= factor
    return result
