"""CameraInfo messages to ideal cameras, and rectification.

ROS puts the centre of the top left pixel at (0, 0), this package at (0.5, 0.5): principal points
move by half a pixel on the way in and out.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lerf_ros.geometry import PinholeCamera

DISTORTION_MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')


def camera_from_matrix(matrix: Float[np.ndarray, '3 3'], width: int, height: int) -> PinholeCamera:
    """Returns the camera of a 3x3 matrix in ROS's pixel convention."""
    return PinholeCamera(
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        cx=float(matrix[0, 2]) + 0.5,
        cy=float(matrix[1, 2]) + 0.5,
        width=width,
        height=height,
    )


def camera_info_message(camera: PinholeCamera, header: Header | None = None) -> CameraInfo:
    """Returns the CameraInfo of a camera without distortion."""
    cx, cy = camera.cx - 0.5, camera.cy - 0.5
    message = CameraInfo(header=header or Header(), width=camera.width, height=camera.height)
    message.distortion_model = 'plumb_bob'
    message.k = [camera.fx, 0.0, cx, 0.0, camera.fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [camera.fx, 0.0, cx, 0.0, 0.0, camera.fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


class Rectifier:
    """Makes the pictures of one CameraInfo look as if an ideal camera had taken them.

    Args:
        info: Calibration, as the driver publishes it beside the raw image.

    Raises:
        ValueError: The camera is uncalibrated, or its calibration is malformed.
    """

    camera: PinholeCamera

    def __init__(self, info: CameraInfo) -> None:
        k = np.array(info.k, dtype=np.float64).reshape(3, 3)
        r = np.array(info.r, dtype=np.float64).reshape(3, 3)
        p = np.array(info.p, dtype=np.float64).reshape(3, 4)[:, :3]
        distortion = np.array(info.d, dtype=np.float64)
        if k[0, 0] == 0:
            raise ValueError('camera_info: the camera is uncalibrated (k[0] is 0)')
        for name, values in (('k', k), ('d', distortion), ('r', r), ('p', p)):
            if not np.isfinite(values).all():
                raise ValueError(f'camera_info: expected finite {name}, got {values.tolist()}')
        if distortion.any() and info.distortion_model not in DISTORTION_MODELS:
            raise ValueError(
                f'camera_info: expected a distortion model of {", ".join(DISTORTION_MODELS)}, '
                f'got {info.distortion_model!r}'
            )
        if not r.any():
            r = np.eye(3)
        if p[0, 0] == 0:
            p = k
        k, p = _windowed(k, info), _windowed(p, info)
        binning_x, binning_y = max(info.binning_x, 1), max(info.binning_y, 1)
        width = (info.roi.width or info.width) // binning_x
        height = (info.roi.height or info.height) // binning_y
        self.camera = camera_from_matrix(p, width, height)
        self._maps = None
        if distortion.any() or np.abs(r - np.eye(3)).max() > 1e-9 or np.abs(k - p).max() > 1e-9:
            self._maps = _maps(info.distortion_model, k, distortion, r, p, (width, height))

    def image(
        self, image: UInt8[np.ndarray, 'height width 3']
    ) -> UInt8[np.ndarray, 'height width 3']:
        """Returns the rectified picture.

        Raises:
            ValueError: The picture is not of the size of the calibration.
        """
        self._require_size(image, 'image')
        if self._maps is None:
            return image
        return cv2.remap(image, *self._maps, cv2.INTER_LINEAR)

    def depth(self, depth_m: Float[np.ndarray, 'height width']) -> Float[np.ndarray, 'h w']:
        """Returns the rectified depth; no value is mixed with its neighbours.

        Raises:
            ValueError: The depth is not of the size of the calibration.
        """
        self._require_size(depth_m, 'depth')
        if self._maps is None:
            return depth_m
        return cv2.remap(
            depth_m,
            *self._maps,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float('nan'),
        )

    def _require_size(self, values: np.ndarray, name: str) -> None:
        height, width = values.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            hint = '' if name == 'image' else '; register depth to the colour image first'
            raise ValueError(
                f'{name}: expected {self.camera.width}x{self.camera.height} as in camera_info, '
                f'got {width}x{height}{hint}'
            )


def _windowed(matrix: np.ndarray, info: CameraInfo) -> np.ndarray:
    """Returns the matrix of the window and the binning that the driver really reads."""
    result = matrix.copy()
    result[0, 2] -= info.roi.x_offset
    result[1, 2] -= info.roi.y_offset
    for row, binning in enumerate((info.binning_x, info.binning_y)):
        if binning > 1:
            result[row] /= binning
    return result


def _maps(
    model: str,
    k: np.ndarray,
    distortion: np.ndarray,
    r: np.ndarray,
    p: np.ndarray,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each pixel of the ideal picture lies in the picture as taken."""
    if model == 'equidistant':
        if len(distortion) != 4:
            raise ValueError(
                f'camera_info: expected 4 equidistant coefficients, got {len(distortion)}'
            )
        return cv2.fisheye.initUndistortRectifyMap(k, distortion, r, p, size, cv2.CV_32FC1)
    if len(distortion) not in (0, 4, 5, 8, 12, 14):
        raise ValueError(
            f'camera_info: expected 4, 5, 8, 12 or 14 distortion coefficients, '
            f'got {len(distortion)}'
        )
    return cv2.initUndistortRectifyMap(k, distortion, r, p, size, cv2.CV_32FC1)
