"""What one depth image says of the surface: positions and normals of its usable pixels.

Voxels are named by one 64-bit key, 21 bits an axis, so that a set of voxels is a sorted array.
Depth here is 0 where unknown: OpenCV's filters cannot handle NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from lerf_ros.geometry import PinholeCamera, camera_directions

Array = np.ndarray

KEY_BITS = 21
KEY_OFFSET = 1 << (KEY_BITS - 1)
# Pixels to either side between which the slope of depth is taken.
_STEP = 2


@dataclass(frozen=True, eq=False)
class ViewPixels:
    """Some pixels of a depth image, in the world.

    Attributes:
        pixels: Flat index of each pixel.
        depth_m: Depth.
        positions: World position.
        normals: Unit normal towards the camera; zero where unknown.
    """

    pixels: Int[Array, ' n']
    depth_m: Float[Array, ' n']
    positions: Float[Array, 'n 3']
    normals: Float[Array, 'n 3']

    def at(self, chosen: Bool[Array, ' n']) -> ViewPixels:
        """Returns the chosen pixels."""
        return ViewPixels(
            self.pixels[chosen],
            self.depth_m[chosen],
            self.positions[chosen],
            self.normals[chosen],
        )


def view_pixels(
    depth_m: Float32[Array, 'height width'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    voxel_m: float,
    turn: int,
) -> ViewPixels:
    """Returns about as many pixels as thinning to voxels needs.

    Args:
        depth_m: Depth, 0 where unknown.
        camera: Intrinsics.
        camera_to_world: Pose.
        voxel_m: Side of the voxels.
        turn: Which pixels are taken changes with this number.
    """
    known = depth_m[depth_m > 0]
    footprint_m = float(np.median(known)) / camera.fx if known.size else voxel_m
    # About three pixels a voxel are enough of one view.
    stride = max(1, round(0.6 * voxel_m / footprint_m))
    first_row, first_col = turn % stride, turn // stride % stride
    # Only what is taken is looked at: a ninth of a picture, where a voxel is ten pixels wide.
    taken = slice(first_row, None, stride), slice(first_col, None, stride)
    v, u = np.nonzero((depth_m[taken] > 0) & ~_flying(depth_m, taken))
    v, u = v * stride + first_row, u * stride + first_col
    depth = depth_m[v, u]
    points_camera = camera_directions(camera, np.stack([u, v], axis=-1) + 0.5) * depth[:, None]
    rotation = camera_to_world[:3, :3]
    return ViewPixels(
        pixels=v * camera.width + u,
        depth_m=depth,
        positions=points_camera @ rotation.T + camera_to_world[:3, 3],
        normals=_normals_at(depth_m, camera, v, u) @ rotation.T.astype(np.float32),
    )


def voxel_keys(positions: Float[Array, 'n 3'], voxel_m: float) -> Int[Array, ' n']:
    """Returns the key of the voxel that holds each position."""
    cells = np.floor(positions / voxel_m).astype(np.int64) + KEY_OFFSET
    cells = np.clip(cells, 0, 2 * KEY_OFFSET - 1)
    return (cells[:, 0] << 2 * KEY_BITS) | (cells[:, 1] << KEY_BITS) | cells[:, 2]


def cube_keys(keys: Int[Array, ' n'], voxels: int) -> Int[Array, ' n']:
    """Returns the key of the cube of so many voxels a side, a power of two, that holds each."""
    mask = ((1 << KEY_BITS) - 1) & -voxels
    return keys & ((mask << 2 * KEY_BITS) | (mask << KEY_BITS) | mask)


def voxel_corners(keys: Int[Array, ' n'], voxel_m: float) -> Float[Array, 'n 3']:
    """Returns the corner of least x, y and z of the voxels with these keys."""
    mask = (1 << KEY_BITS) - 1
    cells = np.stack([keys >> 2 * KEY_BITS, keys >> KEY_BITS & mask, keys & mask], axis=1)
    return (cells - KEY_OFFSET) * voxel_m


def _flying(
    depth_m: Float32[Array, 'height width'], taken: tuple[slice, slice]
) -> Bool[Array, 'rows cols']:
    """Marks pixels in the middle of a jump in depth: sensors that interpolate invent them.

    Args:
        depth_m: Depth, 0 where unknown.
        taken: The rows and columns that are looked at.
    """
    padded = np.pad(depth_m, 1, mode='edge')
    here = depth_m[taken]
    jump = 0.01 + 0.02 * here
    result = np.zeros(here.shape, bool)
    for before, after in (
        (padded[1:-1, :-2][taken], padded[1:-1, 2:][taken]),
        (padded[:-2, 1:-1][taken], padded[2:, 1:-1][taken]),
    ):
        result |= (before - here > jump) & (here - after > jump) & (after > 0)
        result |= (here - before > jump) & (after - here > jump) & (before > 0)
    return result


def _normals_at(
    depth_m: Float32[Array, 'height width'],
    camera: PinholeCamera,
    rows: Int[Array, ' n'],
    cols: Int[Array, ' n'],
) -> Float32[Array, 'n 3']:
    """Returns unit normals of some pixels, in the camera frame; see :func:`depth_normals`."""
    share, smooth = _smoothed(depth_m)
    flat, width = smooth.ravel(), camera.width
    at = rows * width + cols
    here = flat[at]

    def slope(place: Int[Array, ' n'], size: int, stride: int) -> Float32[Array, ' n']:
        inner = (place >= _STEP) & (place < size - _STEP)
        reach = np.where(inner, _STEP * stride, 0)
        return np.where(inner, (flat[at + reach] - flat[at - reach]) / (2 * _STEP), 0)

    du, dv = slope(cols, width, 1), slope(rows, camera.height, width)
    u = (cols.astype(np.float32) + 0.5 - camera.cx).astype(np.float32)
    v = (rows.astype(np.float32) + 0.5 - camera.cy).astype(np.float32)
    x, y, z = du * camera.fx, dv * camera.fy, -(here + du * u + dv * v)
    length = np.sqrt(x * x + y * y + z * z)
    sharp = (np.abs(du) + np.abs(dv)) * 2 * _STEP > 0.01 + 0.06 * here
    valid = (length > 0) & (share.ravel()[at] > 0.5) & ~sharp
    length = np.maximum(length, 1e-9)
    normals = np.stack([np.where(valid, axis / length, 0) for axis in (x, y, z)], axis=-1)
    return normals.astype(np.float32)


def depth_normals(
    depth_m: Float32[Array, 'height width'], camera: PinholeCamera
) -> Float32[Array, 'height width 3']:
    """Returns unit normals in the camera frame, towards the camera; zero where unknown.

    This is the readable form; of each picture only a part of the pixels is needed.
    """
    share, smooth = _smoothed(depth_m)
    du = np.zeros_like(smooth)
    dv = np.zeros_like(smooth)
    du[:, _STEP:-_STEP] = (smooth[:, 2 * _STEP :] - smooth[:, : -2 * _STEP]) / (2 * _STEP)
    dv[_STEP:-_STEP] = (smooth[2 * _STEP :] - smooth[: -2 * _STEP]) / (2 * _STEP)
    # The surface is z(u, v); its normal is the gradient of z(u, v) * ray(u, v) crossed.
    u = (np.arange(camera.width, dtype=np.float32) + 0.5 - camera.cx)[None, :]
    v = (np.arange(camera.height, dtype=np.float32) + 0.5 - camera.cy)[:, None]
    x = du * camera.fx
    y = dv * camera.fy
    normals = np.stack([x, y, -(smooth + du * u + dv * v)], axis=-1)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    sharp = (np.abs(du) + np.abs(dv)) * 2 * _STEP > 0.01 + 0.06 * smooth
    valid = (length[..., 0] > 0) & (share > 0.5) & ~sharp
    return np.where(valid[..., None], normals / np.maximum(length, 1e-9), 0).astype(np.float32)


def _smoothed(
    depth_m: Float32[Array, 'height width'],
) -> tuple[Float32[Array, 'height width'], Float32[Array, 'height width']]:
    """Returns the share of known pixels around each, and the mean of their depth.

    The difference of two noisy depths is mostly noise.
    """
    share = cv2.blur((depth_m > 0).astype(np.float32), (5, 5))
    return share, cv2.blur(depth_m, (5, 5)) / np.maximum(share, 1e-6)
