"""The browser's camera: where it looks from, and how to send it somewhere.

viser's cameras have optical axes as ours; its quaternions are ``wxyz``.
"""

from __future__ import annotations

import math
import time

import numpy as np
from jaxtyping import Float
from viser import CameraHandle, ClientHandle

from lerf_ros.geometry import (
    PinholeCamera,
    inverse_transform,
    pose_matrix,
    quaternion_from_rotation,
    transform_points,
)

Array = np.ndarray
Transform = Float[Array, '4 4']

UP = (0.0, 0.0, 1.0)
# A flight, in pictures and seconds.
FLIGHT_STEPS = 6
FLIGHT_S = 0.3
# What is up for the cameras is the world's z if it leans no more than 60 degrees from it.
UPRIGHT = 0.5
# How close a person is brought, in times of a thing's size, and at least.
CLOSE_SIZES = 5.0
CLOSE_M = 0.35
# The first look shows this part of the points, from so many times as far as they reach.
MOST, AWAY = 0.75, 2.0
# Cameras closer to the middle than this part of where the points reach stand among them.
INSIDE = 0.8


def pose_of(camera: CameraHandle) -> Transform:
    """Returns `camera_to_world` of a browser's camera."""
    w, x, y, z = camera.wxyz
    return pose_matrix(np.array(camera.position), np.array([x, y, z, w]))


def intrinsics_of(camera: CameraHandle, width: int) -> PinholeCamera:
    """Returns a browser's camera in a picture of this width."""
    height = max(1, round(width / max(float(camera.aspect), 0.1)))
    return PinholeCamera.from_vertical_fov(width, height, math.degrees(float(camera.fov)))


def wxyz_of(camera_to_world: Transform) -> tuple[float, float, float, float]:
    """Returns the rotation of a pose as viser wants it."""
    x, y, z, w = (float(value) for value in quaternion_from_rotation(camera_to_world[:3, :3]))
    return w, x, y, z


def vertical_fov(camera: PinholeCamera) -> float:
    """Returns the opening angle from top to bottom, radians."""
    return 2 * math.atan(camera.height / 2 / camera.fy)


def up_of(poses: Float[Array, 'k 4 4']) -> Float[Array, '3']:
    """Returns which way is up: z, unless the cameras stood otherwise, as where a SLAM began.

    Args:
        poses: `camera_to_world` of the cameras.
    """
    if len(poses) == 0:
        return np.array(UP)
    up = -poses[:, :3, 1].mean(axis=0)
    if up[2] >= UPRIGHT * np.linalg.norm(up):
        return np.array(UP)
    axis = int(np.abs(up).argmax())
    return math.copysign(1.0, up[axis]) * np.eye(3)[axis]


def fly(
    client: ClientHandle,
    eye_m: Float[Array, '3'],
    target_m: Float[Array, '3'],
    up: Float[Array, '3'],
) -> None:
    """Moves a browser's camera to a place, looking at a target."""
    camera = client.camera
    eye, target = np.array(camera.position), np.array(camera.look_at)
    for step in range(1, FLIGHT_STEPS + 1):
        share = step / FLIGHT_STEPS
        share = share * share * (3 - 2 * share)
        place(client, eye + share * (eye_m - eye), target + share * (target_m - target), up)
        if step < FLIGHT_STEPS:
            time.sleep(FLIGHT_S / FLIGHT_STEPS)  # the flight is as slow as the eye needs it


def place(
    client: ClientHandle,
    eye_m: Float[Array, '3'],
    target_m: Float[Array, '3'],
    up: Float[Array, '3'],
) -> None:
    """Puts a browser's camera at a place at once, looking at a target."""
    with client.atomic():
        client.camera.up_direction = up
        client.camera.position = eye_m
        client.camera.look_at = target_m


def look_from(client: ClientHandle, camera: PinholeCamera, camera_to_world: Transform) -> None:
    """Puts a browser's camera where a keyframe was taken."""
    eye = camera_to_world[:3, 3]
    with client.atomic():
        client.camera.up_direction = -camera_to_world[:3, 1]
        client.camera.fov = vertical_fov(camera)
        client.camera.position = eye
        client.camera.look_at = eye + 0.5 * camera_to_world[:3, 2]


def eye_for(
    place_m: Float[Array, '3'],
    size_m: float,
    viewpoints: Float[Array, 'v 3'],
    here: Float[Array, '3'],
) -> Float[Array, '3']:
    """Returns from where to look at a place: as the nearest camera that saw it did, but closer."""
    if len(viewpoints):
        here = viewpoints[((viewpoints - here) ** 2).sum(axis=1).argmin()]
    away = here.astype(np.float64) - place_m
    length = float(np.linalg.norm(away))
    away = away / length if length > 1e-6 else np.array([0.5, -0.5, 0.7])
    return place_m + away * max(CLOSE_SIZES * size_m, CLOSE_M)


def picked(
    origin_m: Float[Array, '3'],
    direction: Float[Array, '3'],
    points: Float[Array, 'n 3'],
    reach_m: float,
) -> int | None:
    """Returns the first point that a ray passes within reach of; None if there is none.

    Args:
        origin_m: Where the ray starts.
        direction: Where it goes.
        points: The points.
        reach_m: How close is close enough.
    """
    along = direction / np.linalg.norm(direction)
    offset = points - origin_m
    depth_m = offset @ along
    apart = (offset**2).sum(axis=1) - depth_m**2
    near = np.flatnonzero((depth_m > 0) & (apart <= reach_m**2))
    return int(near[depth_m[near].argmin()]) if len(near) else None


def overview(
    points: Float[Array, 'n 3'], poses: Float[Array, 'k 4 4']
) -> tuple[Float[Array, '3'], Float[Array, '3']]:
    """Returns an eye and a target for the first look at a map.

    What was looked at from around is shown from above, from the side of the first camera. In a
    room, whose walls stand around the cameras, one looks from where that camera stood.

    Args:
        points: The surface.
        poses: Of the cameras that saw it, the first one first.
    """
    target = np.median(points, axis=0).astype(np.float64)
    radius_m = max(float(np.quantile(np.linalg.norm(points - target, axis=1), MOST)), 0.05)
    away = poses[0, :3, 3] - target if len(poses) else np.array([0.6, -0.8, 0.0])
    if len(poses):
        camera_m = float(np.median(np.linalg.norm(poses[:, :3, 3] - target, axis=1)))
        if camera_m < INSIDE * radius_m:
            return poses[0, :3, 3], target
    up = up_of(poses)
    flat = away - (away @ up) * up
    length = float(np.linalg.norm(flat))
    flat = flat / length if length > 1e-6 else np.roll(up, 1)
    return target + AWAY * radius_m * (0.8 * flat + 0.6 * up), target


def distance_m(points: Float[Array, 'n 3'], camera_to_world: Transform) -> Float[Array, ' n']:
    """Returns the depth of points before a camera; NaN behind it."""
    depth = transform_points(inverse_transform(camera_to_world), points.astype(np.float64))[:, 2]
    return np.where(depth > 0, depth, np.nan)
