"""CameraInfo messages of ideal cameras; `lerf_ros.frames.calibration` reads them."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lerf_ros.frames.lens import opencv_matrix
from lerf_ros.geometry import PinholeCamera


def camera_info_message(camera: PinholeCamera, header: Header | None = None) -> CameraInfo:
    """Returns the CameraInfo of a camera without distortion."""
    message = CameraInfo(header=header or Header(), width=camera.width, height=camera.height)
    matrix = opencv_matrix(camera)
    message.distortion_model = 'plumb_bob'
    message.k = matrix.reshape(-1).tolist()
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [number for row in matrix.tolist() for number in (*row, 0.0)]
    return message
