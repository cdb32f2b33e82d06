"""Cameras, rays and rigid transforms.

Conventions shared by every function here:

* Camera axes are optical (REP 103): x right, y down, z forward.
* ``camera_to_world`` is a ``(4, 4)`` matrix that maps camera points to world points, in metres.
* Pixels are ``(u, v)``, u right, v down; the centre of the top left pixel is ``(0.5, 0.5)``.
* Depth is the z coordinate in the camera frame, in metres, never the length of the ray.
* Quaternions are ``(x, y, z, w)``, as in ROS messages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Array = np.ndarray

# A power of two: rounding to its multiples is exact.
POSE_STEP_M = 2.0**-20


@dataclass(frozen=True)
class PinholeCamera:
    """An ideal camera; images are rectified before they get here.

    Attributes:
        fx: Focal length along u, pixels.
        fy: Focal length along v, pixels.
        cx: Principal point along u, pixels from the left edge of the image.
        cy: Principal point along v, pixels from the top edge of the image.
        width: Image width, pixels.
        height: Image height, pixels.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f'camera: expected finite fx, fy, cx, cy in pixels, got {numbers}')
        if self.fx <= 0 or self.fy <= 0:
            raise ValueError(
                f'camera: expected positive focal lengths, got fx={self.fx}, fy={self.fy}; '
                'is the camera calibrated?'
            )
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f'camera: expected a positive size, got {self.width}x{self.height}')

    def resized(self, width: int, height: int) -> PinholeCamera:
        """Returns the camera of the same view in an image of another size."""
        scale_u, scale_v = width / self.width, height / self.height
        return PinholeCamera(
            fx=self.fx * scale_u,
            fy=self.fy * scale_v,
            cx=self.cx * scale_u,
            cy=self.cy * scale_v,
            width=width,
            height=height,
        )

    @classmethod
    def from_vertical_fov(cls, width: int, height: int, vertical_fov_deg: float) -> PinholeCamera:
        """Returns a camera with square pixels and a centred principal point."""
        focal = height / 2 / math.tan(math.radians(vertical_fov_deg) / 2)
        return cls(fx=focal, fy=focal, cx=width / 2, cy=height / 2, width=width, height=height)


def pixel_centres(camera: PinholeCamera) -> Float[Array, 'height width 2']:
    """Returns the (u, v) of every pixel centre."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return np.stack([u, v], axis=-1)


def camera_directions(camera: PinholeCamera, uv: Float[Array, '*n 2']) -> Float[Array, '*n 3']:
    """Returns the ray through each pixel in the camera frame, with z = 1 (not unit length)."""
    x = (uv[..., 0] - camera.cx) / camera.fx
    y = (uv[..., 1] - camera.cy) / camera.fy
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def backproject(
    camera: PinholeCamera, uv: Float[Array, '*n 2'], depth_m: Float[Array, '*n']
) -> Float[Array, '*n 3']:
    """Returns the camera-frame point, in metres, seen at each pixel with the given depth."""
    return camera_directions(camera, uv) * depth_m[..., None]


def project(
    camera: PinholeCamera, points_camera: Float[Array, '*n 3']
) -> tuple[Float[Array, '*n 2'], Float[Array, '*n']]:
    """Projects camera-frame points.

    Returns:
        The (u, v) of each point and its depth in metres. Points at or behind the camera plane
        (depth <= 0) get NaN pixels.
    """
    depth_m = points_camera[..., 2]
    safe = np.where(depth_m > 0, depth_m, np.nan)
    u = camera.fx * points_camera[..., 0] / safe + camera.cx
    v = camera.fy * points_camera[..., 1] / safe + camera.cy
    return np.stack([u, v], axis=-1), depth_m


def transform_points(
    target_from_source: Float[Array, '4 4'], points_source: Float[Array, '*n 3']
) -> Float[Array, '*n 3']:
    """Moves points from the source frame to the target frame."""
    return points_source @ target_from_source[:3, :3].T + target_from_source[:3, 3]


def inverse_transform(transform: Float[Array, '4 4']) -> Float[Array, '4 4']:
    """Returns the inverse of a rigid transform."""
    rotation = transform[:3, :3].T
    result = np.eye(4)
    result[:3, :3] = rotation
    result[:3, 3] = -rotation @ transform[:3, 3]
    return result


def require_rigid(transform: Array, name: str = 'camera_to_world') -> Float[Array, '4 4']:
    """Returns the transform as float64 after checking that it is a rigid motion.

    Rotations within 1e-2 of orthonormal are accepted and made exactly orthonormal.

    Raises:
        ValueError: The matrix has another shape, holds NaN or infinity, or is no rotation.
    """
    transform = np.asarray(transform, dtype=np.float64)
    if transform.shape != (4, 4):
        raise ValueError(f'{name}: expected a (4, 4) matrix, got shape {transform.shape}')
    if not np.isfinite(transform).all():
        raise ValueError(f'{name}: expected finite numbers, got NaN or infinity')
    rotation = transform[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error <= 1e-2 and np.linalg.det(rotation) < 0:
        raise ValueError(
            f'{name} mirrors space: expected a right-handed rotation, got one of determinant -1'
        )
    if error > 1e-2:
        raise ValueError(
            f'{name}: expected a rotation, got R R^T off from identity by {error:.3g}'
        )
    left, _, right = np.linalg.svd(rotation)
    result = np.eye(4)
    result[:3, :3] = left @ right
    result[:3, 3] = transform[:3, 3]
    return result


def rounded_pose(transform: Float[Array, '*n 4 4']) -> Float[Array, '*n 4 4']:
    """Returns poses whose positions are multiples of about a millionth of a metre.

    Poses that differ only by rounding, such as those of one camera in two world frames far apart,
    become equal; so does all that is learnt from them.
    """
    result = np.array(transform, dtype=np.float64)
    result[..., :3, 3] = np.round(result[..., :3, 3] / POSE_STEP_M) * POSE_STEP_M
    return result


def rotation_from_quaternion(quaternion_xyzw: Float[Array, '4']) -> Float[Array, '3 3']:
    """Returns the rotation matrix of a quaternion (x, y, z, w).

    Raises:
        ValueError: The quaternion is not finite or its length is not 1 within 1e-2.
    """
    q = np.asarray(quaternion_xyzw, dtype=np.float64)
    norm = float(np.linalg.norm(q))
    if not math.isfinite(norm) or abs(norm - 1) > 1e-2:
        raise ValueError(f'quaternion: expected unit length (x, y, z, w), got {q.tolist()}')
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: Float[Array, '3 3']) -> Float[Array, '4']:
    """Returns the quaternion (x, y, z, w) of a rotation matrix, with w >= 0."""
    m = np.asarray(rotation, dtype=np.float64)
    # The largest of the four squared components is computed first: the others follow from it
    # without loss of precision.
    squares = np.array(
        [
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
            1 + m[0, 0] + m[1, 1] + m[2, 2],
        ]
    )
    largest = int(np.argmax(squares))
    if largest == 0:
        q = [squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]]
    elif largest == 1:
        q = [m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]]
    elif largest == 2:
        q = [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]]
    else:
        q = [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]]
    result = np.array(q) / np.linalg.norm(q)
    return -result if result[3] < 0 else result


def pose_matrix(
    position_m: Float[Array, '3'], quaternion_xyzw: Float[Array, '4']
) -> Float[Array, '4 4']:
    """Returns the (4, 4) transform of a position in metres and a quaternion (x, y, z, w)."""
    result = np.eye(4)
    result[:3, :3] = rotation_from_quaternion(quaternion_xyzw)
    result[:3, 3] = position_m
    return result


def rotation_angle(rotation: Float[Array, '3 3']) -> float:
    """Returns the angle of a rotation matrix, in radians."""
    return math.acos(float(np.clip((np.trace(rotation) - 1) / 2, -1.0, 1.0)))


def look_at(
    camera_position_m: Float[Array, '3'],
    target_m: Float[Array, '3'],
    up: Float[Array, '3'] | None = None,
) -> Float[Array, '4 4']:
    """Returns ``camera_to_world`` of a camera that looks at a point, with ``up`` upwards in view.

    Args:
        camera_position_m: The camera's position in the world.
        target_m: The point it looks at.
        up: World direction that shall be up in the image; +z if None.

    Raises:
        ValueError: The camera sits on the target, or looks along ``up``.
    """
    position = np.asarray(camera_position_m, dtype=np.float64)
    forward = np.asarray(target_m, dtype=np.float64) - position
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]) if up is None else up)
    if np.linalg.norm(right) < 1e-9:
        raise ValueError('look_at: the camera sits on its target or looks along the up direction')
    forward /= np.linalg.norm(forward)
    right /= np.linalg.norm(right)
    result = np.eye(4)
    result[:3, 0], result[:3, 1], result[:3, 2] = right, np.cross(forward, right), forward
    result[:3, 3] = position
    return result


def inside_box(
    points: Float[Array, 'n 3'], minimum_m: Float[Array, '3'], maximum_m: Float[Array, '3']
) -> Bool[Array, ' n']:
    """Tells which points lie inside an axis-aligned box, borders included."""
    inside = np.ones(points.shape[:-1], bool)
    # Axis by axis: a reduction over a short last axis costs far more.
    for axis in range(points.shape[-1]):
        along = points[..., axis]
        inside &= along >= minimum_m[axis : axis + 1]
        inside &= along <= maximum_m[axis : axis + 1]
    return inside
