"""Moving a submap as a whole when the poses of its keyframes are corrected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import Array, inverse_transform, require_rigid, rotation_angle


def rigid_fit(local: Float[Array, 'n 4 4'], world: Float[Array, 'n 4 4']) -> Float[Array, '4 4']:
    """Returns the rigid ``submap_to_world`` that best explains corrected camera poses.

    Each pose alone tells turn and shift; the mean turn is that of least squared chordal distance,
    and the shift then puts the middle of the cameras where it belongs.

    Args:
        local: Poses of cameras in the submap.
        world: Poses of the same cameras in the world.

    Raises:
        ValueError: There is no pose, or the numbers differ.
    """
    if len(local) == 0 or len(local) != len(world):
        raise ValueError(
            f'poses: expected as many in the world as in the submap and at least one, got '
            f'{len(local)} and {len(world)}'
        )
    total = sum(there[:3, :3] @ here[:3, :3].T for here, there in zip(local, world, strict=True))
    left, _, right = np.linalg.svd(total)
    sign = np.diag([1.0, 1.0, math.copysign(1.0, np.linalg.det(left @ right))])
    rotation = left @ sign @ right
    result = np.eye(4)
    result[:3, :3] = rotation
    result[:3, 3] = world[:, :3, 3].mean(axis=0) - rotation @ local[:, :3, 3].mean(axis=0)
    return require_rigid(result, 'submap_to_world')


def residual_large(
    submap_to_world: Float[Array, '4 4'],
    local: Float[Array, 'n 4 4'],
    world: Float[Array, 'n 4 4'],
    move_m: float,
    turn_deg: float,
) -> Bool[Array, ' n']:
    """Tells which poses a move of the whole submap leaves too far from where they belong."""
    world_to_submap = inverse_transform(submap_to_world)
    large = []
    for here, there in zip(local, world, strict=True):
        wanted = world_to_submap @ there
        moved_m = float(np.linalg.norm(wanted[:3, 3] - here[:3, 3]))
        turned = rotation_angle(wanted[:3, :3] @ here[:3, :3].T)
        large.append(moved_m > move_m or turned > math.radians(turn_deg))
    return np.array(large, dtype=bool)


# Stamps this close are one: seconds in floating point are rounded by a quarter of a microsecond.
STAMP_SLACK_NS = 1000


def named_by_stamp(
    stamps_ns: Sequence[int],
    camera_to_world: Float[Array, 'n 4 4'],
    stamps: Mapping[KeyframeId, int],
    source: str | None = None,
) -> tuple[list[KeyframeId], Float[Array, 'k 4 4']]:
    """Returns the keyframes of corrected poses that name times, each with its pose.

    Args:
        stamps_ns: Times of the poses; those without a keyframe are left out.
        camera_to_world: The poses.
        stamps: Stamps of the keyframes. Two cameras may share one.
        source: The stream whose keyframes they are, of which none may have come yet; None: any.

    Raises:
        ValueError: None of the times is that of a keyframe of any stream, or the numbers differ.
    """
    if len(stamps_ns) != len(camera_to_world):
        raise ValueError(
            f'corrected poses: expected one a stamp, got {len(stamps_ns)} stamps and '
            f'{len(camera_to_world)} poses'
        )
    own = [id_ for id_ in stamps if source in (None, id_.source)]
    rows = np.full(len(own), -1)
    if stamps_ns and own:
        wanted = np.array([stamps[id_] for id_ in own], dtype=np.int64)
        rows = _closest(np.array(stamps_ns, dtype=np.int64), wanted)
    ids = [id_ for id_, row in zip(own, rows, strict=True) if row >= 0]
    if not ids and source is not None:
        return [], np.zeros((0, 4, 4))
    if not ids:
        raise ValueError(
            f'corrected poses: expected stamps of keyframes, got {len(stamps_ns)} of which none is'
        )
    return ids, np.asarray(camera_to_world)[rows[rows >= 0]]


def _closest(told_ns: Int[Array, ' n'], wanted_ns: Int[Array, ' k']) -> Int[Array, ' k']:
    """Returns the row of the time closest to each, the last of equal ones; -1 without any."""
    order = np.argsort(told_ns, kind='stable')
    told_ns = told_ns[order]
    before = np.searchsorted(told_ns, wanted_ns, side='right') - 1
    after = np.minimum(before + 1, len(told_ns) - 1)
    before = np.maximum(before, 0)
    closer = np.abs(told_ns[after] - wanted_ns) < np.abs(told_ns[before] - wanted_ns)
    rows = np.where(closer, after, before)
    near = np.abs(told_ns[rows] - wanted_ns) <= STAMP_SLACK_NS
    return np.where(near, order[rows], -1)
