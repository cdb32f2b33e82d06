"""What a real RGB-D camera does to a perfect picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.simulation.truth import View


@dataclass(frozen=True)
class SensorOptions:
    """Strength of each defect; 0 switches it off.

    Attributes:
        blur_px: Standard deviation of the lens blur, drawn up to this, pixels.
        motion_blur_px: Length of the motion blur, drawn up to this, pixels.
        exposure_ev: Standard deviation of the exposure error, stops.
        white_balance: Standard deviation of the gain of red and blue.
        vignetting: Loss of light in the corners, drawn up to this.
        shot_noise: Noise of a mid-grey pixel, in [0, 1] of full scale.
        read_noise: Noise of a black pixel, in [0, 1] of full scale.
        depth_noise: Noise at 1 m, metres; grows with the square of the distance.
        depth_step: Quantisation at 1 m, metres; grows with the square of the distance.
        depth_edge_px: Width of the holes along the edges of things, pixels.
        depth_hole_share: Share of the picture that is lost in scattered patches.
        depth_range_m: Depth nearer or farther than this is unknown, metres.
        without_depth: Whether there is no depth camera at all.
        pose_noise_m: Standard deviation of each coordinate of the reported position, metres.
        pose_noise_deg: Standard deviation of the turn about each axis of the camera, degrees.
    """

    blur_px: float = 0.7
    motion_blur_px: float = 2.0
    exposure_ev: float = 0.15
    white_balance: float = 0.03
    vignetting: float = 0.15
    shot_noise: float = 0.012
    read_noise: float = 0.006
    depth_noise: float = 0.0025
    depth_step: float = 0.0015
    depth_edge_px: float = 1.5
    depth_hole_share: float = 0.015
    depth_range_m: tuple[float, float] = (0.15, 4.0)
    without_depth: bool = False
    pose_noise_m: float = 0.0
    pose_noise_deg: float = 0.0


# Cameras by name. The hard one loses a third of its depth and twice the border of everything, and
# its poses are those of a mediocre tracker.
SENSORS = {
    'usual': SensorOptions(),
    'hard': SensorOptions(
        motion_blur_px=4.0,
        exposure_ev=0.3,
        white_balance=0.06,
        depth_noise=0.005,
        depth_step=0.003,
        depth_edge_px=3.0,
        depth_hole_share=0.35,
        pose_noise_m=0.004,
        pose_noise_deg=0.4,
    ),
    'colour': SensorOptions(without_depth=True),
}


def sense(
    view: View,
    camera: PinholeCamera,
    reported_pose: Float[np.ndarray, '4 4'],
    stamp_ns: int,
    options: SensorOptions,
    rng: np.random.Generator,
) -> PosedFrame:
    """Returns what the camera makes of a perfect view.

    Args:
        view: The perfect picture from the true pose.
        camera: Intrinsics.
        reported_pose: What :func:`sense_pose` makes of the true pose.
        stamp_ns: Time of exposure.
        options: Defects.
        rng: Draws them.
    """
    image = sense_colour(view.image, options, rng)
    depth = None if options.without_depth else sense_depth(view.depth, options, rng)
    return PosedFrame(image, depth, camera, reported_pose, stamp_ns=stamp_ns, frame_id='camera')


def sense_pose(
    camera_to_world: Float[np.ndarray, '4 4'], options: SensorOptions, rng: np.random.Generator
) -> Float[np.ndarray, '4 4']:
    """Returns ``camera_to_world`` as a tracker would report it."""
    pose = np.array(camera_to_world, dtype=np.float64)
    if options.pose_noise_deg > 0:
        turn, _ = cv2.Rodrigues(np.radians(rng.normal(0, options.pose_noise_deg, 3)))
        pose[:3, :3] = pose[:3, :3] @ turn
    if options.pose_noise_m > 0:
        pose[:3, 3] += rng.normal(0, options.pose_noise_m, 3)
    return pose


def sense_colour(
    image: UInt8[np.ndarray, 'height width 3'], options: SensorOptions, rng: np.random.Generator
) -> UInt8[np.ndarray, 'height width 3']:
    """Returns the picture as a camera would have taken it."""
    height, width = image.shape[:2]
    light = image.astype(np.float32) / 255
    sigma = rng.uniform(0, options.blur_px)
    if sigma > 0.15:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma))
    length = rng.uniform(0, options.motion_blur_px)
    angle = rng.uniform(0, np.pi)
    if length > 0.5:
        light = np.asarray(cv2.filter2D(light, -1, _line_kernel(length, angle)))
    gain = 2 ** rng.normal(0, options.exposure_ev) * np.array(
        [1 + rng.normal(0, options.white_balance), 1, 1 + rng.normal(0, options.white_balance)]
    )
    v = np.linspace(-1, 1, height)[:, None]
    u = np.linspace(-1, 1, width)[None]
    fall = 1 - rng.uniform(0, options.vignetting) * (u * u + v * v) / 2
    light = light * gain.astype(np.float32) * fall.astype(np.float32)[..., None]
    sigma_map = np.sqrt(options.read_noise**2 + options.shot_noise**2 * np.clip(light, 0, 1) / 0.5)
    light = light + sigma_map * rng.standard_normal(light.shape, dtype=np.float32)
    return np.clip(np.round(light * 255), 0, 255).astype(np.uint8)


def sense_depth(
    depth_m: Float[np.ndarray, 'height width'], options: SensorOptions, rng: np.random.Generator
) -> Float[np.ndarray, 'height width']:
    """Returns the depth as a structured-light camera would have measured it, NaN where unknown."""
    depth = np.nan_to_num(depth_m, nan=0.0).astype(np.float32)
    near, far = options.depth_range_m
    known = (depth >= near) & (depth <= far)
    if options.depth_edge_px > 0:
        # 1 / depth is linear in u and v on every plane however slanted, so that only a jump bends
        # it. A jump hides a strip behind it from the projector or from the other eye.
        inverse = 1 / np.maximum(depth, 1e-3)
        jump = np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) * depth > 0.03
        reach = 2 * max(1, round(options.depth_edge_px)) - 1
        known &= cv2.dilate(jump.astype(np.uint8), np.ones((reach, reach), np.uint8)) == 0
    if options.depth_hole_share > 0:
        cells = (depth.shape[1] // 6, depth.shape[0] // 6)
        patches = rng.random((cells[1], cells[0]), dtype=np.float32)
        field = cv2.resize(patches, depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
        known &= field > np.quantile(field, options.depth_hole_share)
    square = depth * depth
    noise = rng.standard_normal(depth.shape, dtype=np.float32)
    # Neighbours share a matching window, hence part of their error.
    noise = 0.5 * noise + 1.2 * cv2.GaussianBlur(noise, (0, 0), 1.0)
    measured = depth + options.depth_noise * square * noise
    if options.depth_step > 0:
        step = np.maximum(options.depth_step * square, 1e-4)
        measured = np.round(measured / step) * step
    return np.where(known, measured, np.nan).astype(np.float32)


def _line_kernel(length_px: float, angle: float) -> Float[np.ndarray, 'k k']:
    size = 2 * int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((size, size), dtype=np.float32)
    for at in np.linspace(-length_px / 2, length_px / 2, 4 * size):
        row = round(size // 2 + at * np.sin(angle))
        col = round(size // 2 + at * np.cos(angle))
        kernel[row, col] += 1
    return kernel / kernel.sum()
