"""Cameras as calibrated, and what an ideal camera would have seen in their place."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import PinholeCamera


@dataclass(frozen=True)
class Lens:
    """A camera as calibrated, with OpenCV's distortion k1 k2 p1 p2 k3."""

    camera: PinholeCamera
    distortion: tuple[float, float, float, float, float]

    @functools.cached_property
    def rectified(self) -> PinholeCamera:
        """The camera after undistortion: the largest view that has no empty border."""
        if not any(self.distortion):
            return self.camera
        size = (self.camera.width, self.camera.height)
        matrix, _ = cv2.getOptimalNewCameraMatrix(
            opencv_matrix(self.camera), np.array(self.distortion), size, 0
        )
        return PinholeCamera(
            fx=float(matrix[0, 0]),
            fy=float(matrix[1, 1]),
            cx=float(matrix[0, 2]) + 0.5,
            cy=float(matrix[1, 2]) + 0.5,
            width=size[0],
            height=size[1],
        )

    @functools.cached_property
    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        return cv2.initUndistortRectifyMap(
            opencv_matrix(self.camera),
            np.array(self.distortion),
            np.eye(3),
            opencv_matrix(self.rectified),
            (self.camera.width, self.camera.height),
            cv2.CV_32FC1,
        )

    def undistort(self, picture: np.ndarray, interpolation: int) -> np.ndarray:
        """Returns a picture as the rectified camera sees it."""
        if not any(self.distortion):
            return picture
        return cv2.remap(picture, *self._maps, interpolation, borderMode=cv2.BORDER_REPLICATE)

    def rectify_points(self, uv: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 2']:
        """Returns where pixels of the picture as stored lie in the rectified picture."""
        if not any(self.distortion) or not len(uv):
            return uv
        rectified = cv2.undistortPoints(
            (uv - 0.5)[:, None],
            opencv_matrix(self.camera),
            np.array(self.distortion),
            P=opencv_matrix(self.rectified),
        )
        return rectified[:, 0] + 0.5


def opencv_matrix(camera: PinholeCamera) -> np.ndarray:
    """Returns the 3x3 matrix of a camera in OpenCV's pixel convention."""
    # The centre of the first pixel is 0 in OpenCV and 0.5 here and in nerfstudio.
    return np.array(
        [[camera.fx, 0.0, camera.cx - 0.5], [0.0, camera.fy, camera.cy - 0.5], [0.0, 0.0, 1.0]]
    )
