"""Holes in the depth that are closed: screens, panes of glass and shiny boards give a camera none.

A hole is closed where what surrounds it lies in one plane and nothing at its border lies far
behind. The shadow that a thing throws in the depth has two sides at different distances, and a
doorway is large and shows a floor beyond: both stay open.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from lerf_ros.geometry import Array, PinholeCamera

# Pixels of a picture of 640: a hole holds a disk of this radius, a border is so wide.
_LEAST_PX, _BORDER_PX = 16, 3
# A small hole may hide a small thing, which a plane would flatten: metres across that are screens.
LEAST_M = 0.1
# Border pixels that are looked at, and planes through three of them that are tried.
_MOST_RING, _TRIALS = 400, 64
# So much of the border must lie in the plane, this near to it; so little far behind it.
LEAST_IN_PLANE, MOST_BEHIND = 0.65, 0.03
PLANE_M, PLANE_SHARE = 0.01, 0.01
BEHIND_M = 0.25
# The plane is not followed to where it is this much nearer or farther than at the border.
FARTHER = 1.25


def without_holes(
    depth_m: Float[Array, 'height width'],
    camera: PinholeCamera,
    max_hole_m2: float,
    visible: Bool[Array, 'height width'] | None = None,
) -> Float[Array, 'height width']:
    """Returns depth in which holes that a plane closes hold that plane.

    Args:
        depth_m: Depth along the optical axis, metres, NaN where unknown.
        camera: Its intrinsics.
        max_hole_m2: Holes that are larger in their plane stay open, square metres.
        visible: Where the picture may be looked at; the rest is no hole.
    """
    unknown = ~(np.isfinite(depth_m) & (depth_m > 0))
    holes = unknown if visible is None else unknown & visible
    # A disk does not reach into corners; one that is wider by half the diagonal does.
    radii_px = np.array([_LEAST_PX, 2**0.5 * _LEAST_PX, _BORDER_PX]) * camera.width / 640
    disk, whole, brush = map(_disk, radii_px)
    cores = cv2.erode(holes.astype(np.uint8), disk, borderType=cv2.BORDER_REPLICATE)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(cores, connectivity=4)
    closed = depth_m
    for label in range(1, count):
        left, top, width, height = boxes[label, :4]
        # The core, the border of the hole, and what surrounds it.
        margin = len(whole) + len(brush)
        rows = slice(max(top - margin, 0), top + height + margin)
        columns = slice(max(left - margin, 0), left + width + margin)
        corner = np.array([rows.start, columns.start])
        core = (labels[rows, columns] == label).astype(np.uint8)
        hole = (cv2.dilate(core, whole) > 0) & holes[rows, columns]
        around = (cv2.dilate(hole.astype(np.uint8), brush) > 0) & ~unknown[rows, columns]
        found = _plane(depth_m, camera, np.argwhere(around) + corner)
        if found is None:
            continue
        plane, known_m = found
        across_px = 2 * cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max()
        if across_px * np.median(known_m) < LEAST_M * camera.fx:
            continue
        pixels = np.argwhere(hole) + corner
        inverse = _rays(camera, pixels) @ plane
        low, high = known_m.min() / FARTHER, known_m.max() * FARTHER
        if (inverse < 1 / high).any() or (inverse > 1 / low).any():
            continue
        # What a pixel shows of a plane: its footprint across the line of sight over the cosine.
        pixel_m2 = inverse**-3 * np.linalg.norm(plane) / (camera.fx * camera.fy)
        if float(pixel_m2.sum()) > max_hole_m2:
            continue
        closed = depth_m.copy() if closed is depth_m else closed
        closed[tuple(pixels.T)] = 1 / inverse
    return closed


def _plane(
    depth_m: Float[Array, 'height width'], camera: PinholeCamera, ring: Int[Array, 'n 2']
) -> tuple[Float[Array, '3'], Float[Array, ' k']] | None:
    """Returns the plane in which most of a border lies, and the depth there; None without one.

    The plane is the vector whose product with a ray is 1 / depth.
    """
    if len(ring) < 3:
        return None
    ring = ring[:: -(-len(ring) // _MOST_RING)]
    z, rays = depth_m[tuple(ring.T)].astype(np.float64), _rays(camera, ring)
    # The same border gives the same plane.
    corners = np.random.default_rng(len(ring)).integers(len(ring), size=(_TRIALS, 3))
    corners = corners[np.abs(np.linalg.det(rays[corners])) > 1e-7]
    planes = np.linalg.solve(rays[corners], 1 / z[corners][..., None])[..., 0]
    within = (PLANE_M + PLANE_SHARE * z) / z**2
    near = np.abs(planes @ rays.T - 1 / z) <= within
    if not len(near):
        return None
    best = near[near.sum(axis=1).argmax()]
    plane = np.linalg.lstsq(rays[best], 1 / z[best], rcond=None)[0]
    inverse = rays @ plane
    best = np.abs(inverse - 1 / z) <= within
    behind = 1 / z < inverse / (1 + BEHIND_M * np.maximum(inverse, 0))
    if best.mean() < LEAST_IN_PLANE or behind.mean() > MOST_BEHIND:
        return None
    return plane, z[best]


def _disk(radius_px: float) -> UInt8[Array, 'size size']:
    reach = max(1, round(radius_px))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))


def _rays(camera: PinholeCamera, pixels: Int[Array, 'n 2']) -> Float[Array, 'n 3']:
    """Returns the rays through pixels (row, column), 1 long along the optical axis."""
    rows, columns = pixels.T + 0.5
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return np.column_stack([x, y, np.ones(len(pixels))])
