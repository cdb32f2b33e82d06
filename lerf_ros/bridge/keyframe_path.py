"""Where keyframes were taken, as RViz shows it: a path, and a frustum for each."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped
from jaxtyping import Float
from nav_msgs.msg import Path
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from lerf_ros.bridge.poses import point_message, pose_message, vector_message
from lerf_ros.geometry import PinholeCamera, backproject, transform_points

FRUSTUM_DEPTH_M = 0.06
LINE_M = 0.002
# The eye to each corner, and round the picture.
EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1))
# Most frusta drawn, spread over all keyframes.
MAX_FRUSTA = 500


def path_message(poses: Float[np.ndarray, 'n 4 4'], header: Header) -> Path:
    """Returns the poses of the cameras, in the order of the keyframes; optical axes."""
    stamped = [PoseStamped(header=header, pose=pose_message(pose)) for pose in poses]
    return Path(header=header, poses=stamped)


def frusta_message(
    poses: Float[np.ndarray, 'n 4 4'], camera: PinholeCamera | None, header: Header
) -> Marker:
    """Returns the cameras as one list of lines; without a camera it removes the old ones."""
    marker = Marker(header=header, ns='keyframes', id=0, type=Marker.LINE_LIST)
    if camera is None or len(poses) == 0:
        marker.action = Marker.DELETE
        return marker
    width, height = float(camera.width), float(camera.height)
    corners_uv = np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    corners = backproject(camera, corners_uv, np.full(4, FRUSTUM_DEPTH_M))
    shape = np.concatenate([np.zeros((1, 3)), corners])[np.array(EDGES)].reshape(-1, 3)
    stride = max(1, -(-len(poses) // MAX_FRUSTA))
    marker.points = [
        point_message(point) for pose in poses[::stride] for point in transform_points(pose, shape)
    ]
    marker.pose.orientation.w = 1.0
    marker.scale = vector_message(np.array([LINE_M, 0.0, 0.0]))
    marker.color = ColorRGBA(r=0.3, g=0.7, b=0.95, a=1.0)
    return marker
