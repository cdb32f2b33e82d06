"""Poses of the keyframes of one submap: corrected as they arrive, and after a loop closure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lerf_ros.config import LerfConfig
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.geometry import inverse_transform
from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.registration import DepthRegistration

logger = logging.getLogger(__name__)


def registration_of(config: LerfConfig) -> DepthRegistration | None:
    """Returns what corrects poses by depth; None where that is not wanted or cannot be had.

    Voxels as coarse as the greatest correction do not tell where a keyframe was: on a kitchen in
    voxels of 3 cm, 7 of 27 pictures were found with corrections of up to 2 cm and 15 without.
    """
    limit_m = config.training.registration_limit_m
    if limit_m <= config.query.voxel_m:
        if limit_m:
            logger.info('poses of keyframes stay as they came: query.voxel_m is too coarse')
        return None
    try:
        return DepthRegistration(limit_m, config.query.max_range_m)
    except ValueError as error:
        logger.warning('poses of keyframes stay as they came: %s', error)
        return None


def registered(
    keyframe: Keyframe, registration: DepthRegistration, surface_map: SurfaceMap
) -> Keyframe:
    """Returns a keyframe with its pose corrected by its depth; unchanged without depth."""
    frame = keyframe.frame
    if frame.depth is None:
        return keyframe
    pose = registration.correct(
        surface_map.points(), frame.depth, frame.camera, frame.camera_to_world
    )
    return replace(keyframe, frame=replace(frame, camera_to_world=pose))


def move_keyframes(
    store: KeyframeStore,
    surface_map: SurfaceMap,
    ids: Sequence[KeyframeId],
    camera_to_world: Float[np.ndarray, 'n 4 4'],
) -> None:
    """Moves keyframes, and the surface with those that saw it.

    Raises:
        ValueError: A pose is no rigid transform, the numbers differ, or an id is unknown;
            nothing has moved.
    """
    before = {id_: store.pose(id_) for id_ in ids if id_ in store}
    store.update_poses(ids, camera_to_world)
    surface_map.move(
        {id_: store.pose(id_) @ inverse_transform(pose) for id_, pose in before.items()}
    )
