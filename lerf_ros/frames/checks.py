"""What a frame says about itself that is probably wrong."""

from __future__ import annotations

import numpy as np

from lerf_ros.frames.frame import PosedFrame

# A principal point farther from the middle than this share of the picture is told of.
FAR_FROM_MIDDLE = 0.15
# Rooms that robots map, and what their depth cameras see.
NEAR_M, FAR_M = 0.1, 8.0
LEAST_IN_RANGE = 0.2
# Depth that half of the picture lacks is usual; this little is none.
LEAST_KNOWN = 0.02
# Units that are met in the wild: what 1 means, metres.
UNITS_M = (1e-3, 1 / 5000, 1 / 6553.5, 2.5e-4, 1e-4, 1 / 256, 1.0)
BODY_FRAMES = ('base_link', 'base_footprint', 'base', 'body', 'odom', 'map', 'world', 'imu_link')


def doubts(frame: PosedFrame) -> list[str]:
    """Returns a sentence for everything about a frame that a person should look at."""
    found = [principal_point_doubt(frame), depth_doubt(frame.depth), frame_name_doubt(frame)]
    return [sentence for sentence in found if sentence]


def principal_point_doubt(frame: PosedFrame) -> str:
    """Returns a sentence where the principal point fits pictures of another size or window."""
    camera = frame.camera
    off_u, off_v = camera.cx / camera.width - 0.5, camera.cy / camera.height - 0.5
    if max(abs(off_u), abs(off_v)) <= FAR_FROM_MIDDLE:
        return ''
    return (
        f'the principal point ({camera.cx:.1f}, {camera.cy:.1f}) is far from the middle of the '
        f'picture of {camera.width}x{camera.height}: is the calibration that of another size?'
    )


def depth_doubt(depth_m: np.ndarray | None) -> str:
    """Returns a sentence where depth is absent or not in metres."""
    if depth_m is None or not depth_m.size:
        return ''
    known = depth_m[np.isfinite(depth_m)]
    if len(known) < LEAST_KNOWN * depth_m.size:
        return f'depth is known in {len(known) / depth_m.size:.1%} of the picture only'
    median_m = float(np.median(known))
    in_range = float(((known >= NEAR_M) & (known <= FAR_M)).mean())
    if NEAR_M <= median_m <= FAR_M and in_range >= LEAST_IN_RANGE:
        return ''
    likely = [factor for factor in UNITS_M if 0.4 <= median_m / 1e-3 * factor <= 4.0]
    hint = f'; a unit of {likely[0]:g} m would give {median_m / 1e-3 * likely[0]:.2f} m' * bool(
        likely
    )
    return (
        f'hardly any depth lies in range: its median is {median_m:.4g} m, {in_range:.0%} lies '
        f'between {NEAR_M:g} and {FAR_M:g} m: is the depth unit right?{hint}'
    )


def frame_name_doubt(frame: PosedFrame) -> str:
    """Returns a sentence where images say that they are in the frame of a body."""
    name = frame.frame_id.rstrip('/').rpartition('/')[2].lower()
    if name in BODY_FRAMES or (name.endswith('_link') and 'optical' not in name):
        return (
            f'images are in the frame {frame.frame_id!r}, whose name is no optical one (x right, '
            'y down, z forward): give the camera frame or its extrinsic if it is a body frame'
        )
    return ''
