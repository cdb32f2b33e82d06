"""Recollection: what a map said, when it was loaded, of places that no keyframe shows any more.

A file holds few of the keyframes that a map was made of. One that learnt on with these alone would
be taught what they show and what is new, and forget the rest, for all places share weights. So it
goes on learning what it said itself (Li and Hoiem, "Learning without Forgetting", ECCV 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.config import FeatureOptions
from lerf_ros.field.language import LanguageField
from lerf_ros.field.readable import ReadableField
from lerf_ros.keyframes.point_targets import PointTargets
from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.surface.cloud import SurfaceMap


class Recollection:
    """Completes the targets of surface points that only forgotten keyframes have seen.

    Args:
        language: The language field as it was loaded; its copy is made when it is first needed.
        make: Makes a field of the same sizes; holds no trainer, which would outlive its submap.
        features: Tile sizes of the pyramid that it learnt.
        device: Where to train.

    Attributes:
        forgotten: Which points of the surface these are.
    """

    def __init__(
        self,
        language: LanguageField,
        make: Callable[[], ReadableField],
        features: FeatureOptions,
        device: torch.device,
    ) -> None:
        self._learning, self._make = language, make
        self._said: LanguageField | None = None
        self._shares = np.array([features.tile_share_min, features.tile_share_max], np.float32)
        self._device = device
        self.forgotten: Bool[Tensor, ' n'] = torch.zeros(0, dtype=torch.bool, device=device)
        # Least and greatest scale that was learnt at each point.
        self._spans_m: Float[Tensor, 'n 2'] = torch.zeros(0, 2, device=device)

    def follow(self, surface: SurfaceMap, store: KeyframeStore) -> bool:
        """Finds the points that only forgotten keyframes have seen; tells whether there are any.

        Args:
            surface: The surface as it stands.
            store: The keyframes that are left.
        """
        points = surface.points()
        # Row -1, nobody, is the last one.
        gone = np.array([id_ not in store for id_ in surface.keyframe_ids] + [True])
        forgotten = gone[points.seen_by].all(axis=1)
        self.forgotten = torch.from_numpy(forgotten).to(self._device)
        self._spans_m = torch.from_numpy(points.visible_height_m * self._shares).to(self._device)
        if not forgotten.any():
            return False
        if self._said is None:
            self._said = self._make().language.requires_grad_(False)
            self._said.load_state_dict(self._learning.state_dict())
        return True

    @torch.no_grad()
    def completed(
        self,
        targets: PointTargets,
        chosen: Int[Tensor, ' k'],
        positions_world: Float[Tensor, 'k 3'],
        generator: torch.Generator | None = None,
    ) -> PointTargets:
        """Returns targets in which forgotten points have what the field said of them.

        Args:
            targets: What keyframes say.
            chosen: The points, of the surface that was followed last.
            positions_world: Where they are.
            generator: Source of randomness, on the device.
        """
        share = torch.rand(len(chosen), generator=generator, device=self._device)
        rows = self.forgotten[chosen].nonzero()[:, 0]
        if self._said is None or not len(rows):
            return targets
        low_m, high_m = self._spans_m[chosen[rows]].unbind(dim=1)
        scale_m = low_m * (high_m / low_m) ** share[rows]
        features = self._said.features(positions_world[rows])
        said = F.normalize(self._said.head(features, scale_m).float(), dim=-1)
        known = torch.ones_like(rows, dtype=torch.bool)
        completed = replace(
            targets,
            embedding=targets.embedding.index_copy(0, rows, said.to(targets.embedding)),
            scale_m=targets.scale_m.index_copy(0, rows, scale_m.to(targets.scale_m)),
            valid=targets.valid.index_copy(0, rows, known),
        )
        if targets.dense is None or self._said.dense_head is None:
            return completed
        dense = self._said.dense_head(features).to(targets.dense)
        return replace(
            completed,
            dense=targets.dense.index_copy(0, rows, dense),
            seen=targets.seen.index_copy(0, rows, known),
        )
