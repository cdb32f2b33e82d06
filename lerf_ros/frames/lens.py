"""Cameras as calibrated, and what an ideal camera would have seen in their place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from lerf_ros.geometry import PinholeCamera

#: Coefficients of OpenCV's polynomial models: none, k1 k2 p1 p2, + k3, + k4 k5 k6, + s, + tau.
POLYNOMIAL_COUNTS = (0, 4, 5, 8, 12, 14)
FISHEYE_COUNT = 4


@dataclass(frozen=True)
class Lens:
    """A camera as calibrated.

    Attributes:
        camera: Intrinsics of the picture as it is stored.
        distortion: OpenCV's coefficients: of the polynomial, k1 k2 p1 p2 (k3 (k4 k5 k6 ...)), or
            k1 to k4 of the fisheye.
        fisheye: Whether the coefficients are those of the equidistant fisheye.
        turn: Rotation from the camera as built to the ideal one, nine numbers by row; None: none.
        ideal: The camera after undistortion; None: the largest view without an empty border.
    """

    camera: PinholeCamera
    distortion: tuple[float, ...] = ()
    fisheye: bool = False
    turn: tuple[float, ...] | None = None
    ideal: PinholeCamera | None = None

    def __post_init__(self) -> None:
        counts = (0, FISHEYE_COUNT) if self.fisheye else POLYNOMIAL_COUNTS
        if len(self.distortion) not in counts:
            kind = '4 equidistant' if self.fisheye else '4, 5, 8, 12 or 14 distortion'
            raise ValueError(f'lens: expected {kind} coefficients, got {len(self.distortion)}')
        if not np.isfinite(self.distortion).all():
            raise ValueError(f'lens: expected finite coefficients, got {self.distortion}')

    @functools.cached_property
    def bends(self) -> bool:
        """Whether the picture has to be changed at all."""
        return any(self.distortion) or self.rectified != self.camera or self.turn is not None

    @functools.cached_property
    def rectified(self) -> PinholeCamera:
        """The camera after undistortion."""
        if self.ideal is not None:
            return self.ideal
        if not any(self.distortion):
            return self.camera
        size = (self.camera.width, self.camera.height)
        matrix, coefficients = opencv_matrix(self.camera), np.array(self.distortion)
        if self.fisheye:
            best = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(
                matrix, coefficients, size, np.eye(3), balance=0.0
            )
        else:
            best, _ = cv2.getOptimalNewCameraMatrix(matrix, coefficients, size, 0)
        return camera_of_matrix(best, *size)

    @functools.cached_property
    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the ideal picture lies in the picture as taken."""
        ideal = self.rectified
        turn = np.eye(3) if self.turn is None else np.array(self.turn).reshape(3, 3)
        make: Callable[..., Any] = cv2.initUndistortRectifyMap
        distortion = np.array(self.distortion or (0.0,) * 4)
        if self.fisheye:
            make = cv2.fisheye.initUndistortRectifyMap
        return make(
            opencv_matrix(self.camera),
            distortion,
            turn,
            opencv_matrix(ideal),
            (ideal.width, ideal.height),
            cv2.CV_32FC1,
        )

    def image(self, image: np.ndarray) -> np.ndarray:
        """Returns a picture as the rectified camera sees it.

        Raises:
            ValueError: It is not of the camera's size.
        """
        self._require_size(image, 'image')
        if not self.bends:
            return image
        return cv2.remap(image, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def depth(self, depth_m: Float[np.ndarray, 'height width']) -> Float[np.ndarray, 'h w']:
        """Returns the rectified depth; no value is mixed with its neighbours.

        Raises:
            ValueError: It does not fit the camera's size (see `fit_depth`).
        """
        depth_m = fit_depth(depth_m, self.camera)
        if not self.bends:
            return depth_m
        return cv2.remap(
            depth_m,
            *self._maps,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float('nan'),
        )

    def mask(self, visible: Bool[np.ndarray, 'height width']) -> Bool[np.ndarray, 'h w']:
        """Returns the rectified mask: visible is what is made of visible pixels alone.

        Raises:
            ValueError: It is not of the camera's size.
        """
        self._require_size(visible, 'mask')
        if not self.bends:
            return visible
        hidden = cv2.remap(
            np.where(visible, np.float32(0), np.float32(1)),
            *self._maps,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return hidden == 0

    def rectify_points(self, uv: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 2']:
        """Returns where pixels of the picture as stored lie in the rectified picture."""
        if not self.bends or not len(uv):
            return uv
        turn = None if self.turn is None else np.array(self.turn).reshape(3, 3)
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        rectified = undistort(
            np.asarray(uv, np.float64)[:, None] - 0.5,
            opencv_matrix(self.camera),
            np.array(self.distortion or (0.0,) * 4),
            R=turn,
            P=opencv_matrix(self.rectified),
        )
        return rectified[:, 0] + 0.5

    def _require_size(self, values: np.ndarray, name: str) -> None:
        height, width = values.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise ValueError(
                f'{name}: expected {self.camera.width}x{self.camera.height} as in the '
                f'calibration, got {width}x{height}'
            )


def fit_depth(
    depth_m: Float[np.ndarray, 'h w'], camera: PinholeCamera
) -> Float[np.ndarray, 'height width']:
    """Returns depth in the size of the picture that it is registered to; values are never mixed.

    Raises:
        ValueError: The sizes are no multiple of one another.
    """
    height, width = depth_m.shape
    if (width, height) == (camera.width, camera.height):
        return depth_m
    for big, small in (
        ((camera.width, camera.height), (width, height)),
        ((width, height), (camera.width, camera.height)),
    ):
        factor = big[0] // small[0]
        if factor >= 1 and (small[0] * factor, small[1] * factor) == big:
            # Not cv2.resize: it picks the corner of each block, half a block beside its centre.
            if big == (width, height):
                return np.ascontiguousarray(depth_m[factor // 2 :: factor, factor // 2 :: factor])
            return np.repeat(np.repeat(depth_m, factor, axis=0), factor, axis=1)
    raise ValueError(
        f'depth: expected {camera.width}x{camera.height} as the picture, or a multiple or a '
        f'fraction of it, got {width}x{height}; register depth to the colour image first'
    )


def camera_of_matrix(matrix: Float[np.ndarray, '3 3'], width: int, height: int) -> PinholeCamera:
    """Returns the camera of a 3x3 matrix in the pixel convention of ROS and OpenCV."""
    return PinholeCamera(
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        cx=float(matrix[0, 2]) + 0.5,
        cy=float(matrix[1, 2]) + 0.5,
        width=width,
        height=height,
    )


def opencv_matrix(camera: PinholeCamera) -> Float[np.ndarray, '3 3']:
    """Returns the 3x3 matrix of a camera in the pixel convention of ROS and OpenCV."""
    # The centre of the first pixel is 0 there and 0.5 here and in nerfstudio.
    return np.array(
        [[camera.fx, 0.0, camera.cx - 0.5], [0.0, camera.fy, camera.cy - 0.5], [0.0, 0.0, 1.0]]
    )
