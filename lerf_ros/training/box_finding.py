"""Where the field is to resolve finely: as the options say, or around what the keyframes see."""

from __future__ import annotations

import numpy as np
import torch

from lerf_ros.config import LerfConfig
from lerf_ros.field.scene_box import SceneBox, box_around, box_between_cameras
from lerf_ros.geometry import rounded_pose
from lerf_ros.keyframes.store import KeyframeStore

# Points of the keyframes' depth around which the box lies, and the fewest that tell.
_POINTS, _LEAST_POINTS = 20_000, 100


def find_scene_box(config: LerfConfig, store: KeyframeStore) -> SceneBox:
    """Returns the scene box of the options, else one around depth, else one between cameras.

    Raises:
        ValueError: The options name no box and there is no keyframe.
    """
    options = config.field
    if options.half_extent_m > 0:
        centre = (options.centre_x_m, options.centre_y_m, options.centre_z_m)
        return SceneBox(centre, options.half_extent_m)
    if len(store) == 0:
        raise ValueError('scene box: expected at least one keyframe, got none')
    generator = torch.Generator(store.device).manual_seed(config.training.seed)
    points = store.point_sample(_POINTS, generator).cpu()
    if len(points) >= _LEAST_POINTS:
        return box_around(points)
    poses = np.stack([store.pose(id_) for id_ in store.ids])
    return box_between_cameras(torch.from_numpy(rounded_pose(poses)))
