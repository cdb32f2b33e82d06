"""Language learnt at surface points: from many keyframes at once, and without any ray.

Along rays every target is what one keyframe says, and most of a step goes into finding the
surface. Where the surface is known already, the language field is asked at its points, and the
target is the mean of the keyframes that saw them. Density and colour take no part: language never
moves geometry.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.config import FeatureOptions, TrainingOptions
from lerf_ros.field.language import LanguageField
from lerf_ros.field.native import is_available
from lerf_ros.field.readable import ReadableField
from lerf_ros.frames import KeyframeId
from lerf_ros.keyframes.native_targets import native_drawn_views
from lerf_ros.keyframes.point_targets import PointTargets, drawn_views
from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.surface.cloud import SurfaceMap, SurfacePoints
from lerf_ros.training import losses
from lerf_ros.training.captured import CapturedPass
from lerf_ros.training.hard_points import HardPoints
from lerf_ros.training.language_gradient import (
    add_language_gradient,
    is_written_out,
    product_dtype,
)
from lerf_ros.training.optimizer import FieldOptimizer
from lerf_ros.training.recollection import Recollection

# A loss, and its terms before weighting.
Losses = tuple[Tensor, dict[str, Tensor]]


class SurfaceSupervision:
    """Moves the language field towards what keyframes say of the surface.

    Its optimiser is its own: gradients along rays are of another size and direction, and would
    spoil its moments.

    Args:
        language: The language field.
        store: The keyframes.
        options: Sizes and rates.
        device: Where to train.

    Attributes:
        optimizer: What moves the language field.
    """

    def __init__(
        self,
        language: LanguageField,
        store: KeyframeStore,
        options: TrainingOptions,
        device: torch.device,
    ) -> None:
        self._language, self._store, self._options = language, store, options
        self._device = device
        self.optimizer = FieldOptimizer(language, options, options.surface_half_steps)
        self._written_out = is_written_out(language)
        self._product_dtype = product_dtype(language, options)
        self._pass = CapturedPass(language.parameters())
        self._hard = HardPoints(device)
        self._recollection: Recollection | None = None
        self._points: SurfacePoints | None = None
        self._names: tuple[list[KeyframeId], list[KeyframeId]] | None = None

    def configure(self, options: TrainingOptions) -> None:
        """Takes over options that may change while training goes on: weights of losses."""
        self._options = options
        self._pass.forget()

    def recollect(self, make: Callable[[], ReadableField], features: FeatureOptions) -> None:
        """Keeps what the field says now, where keyframes no longer show it, from being forgotten.

        Args:
            make: Makes a field of the same sizes, for a copy.
            features: Tile sizes of the pyramid that it learnt.
        """
        self._recollection = Recollection(self._language, make, features, self._device)

    def can_teach(self, surface: SurfaceMap) -> bool:
        """Tells whether the surface shows what most keyframes saw.

        Without depth it grows slowly, and what it does not show yet can be learnt along rays only.
        """
        return (
            self._options.surface_updates > 0
            and 2 * surface.keyframe_count >= len(self._store)
            and len(surface.points()) > 0
        )

    def teach(
        self,
        surface: SurfaceMap,
        step: int,
        generator: torch.Generator | None = None,
        count: int | None = None,
    ) -> tuple[Losses, Tensor]:
        """Learns at some points of the surface, several times.

        Args:
            surface: The surface as it stands; it has points.
            step: Number of training steps so far.
            generator: Source of randomness, on the device.
            count: Points of an update; those of the options if None.

        Returns:
            The last loss with its terms before weighting, and whether all numbers were finite.
        """
        changed = surface.points() is not self._points
        self._follow(surface.points())
        self._place(surface)
        if changed and self._recollection and not self._recollection.follow(surface, self._store):
            self._recollection = None  # keyframes show all of it
        count = count or self._options.surface_points
        results = [
            self._update(step, generator, count) for _ in range(self._options.surface_updates)
        ]
        return results[-1][0], torch.stack([finite for _, finite in results]).all()

    def _update(
        self, step: int, generator: torch.Generator | None, count: int
    ) -> tuple[Losses, Tensor]:
        """Learns once; returns the loss with its terms, and whether all numbers were finite."""
        chosen = self._hard.draw(count, generator)
        positions = self._positions[chosen]
        views = self._seeing(chosen, generator)
        targets = self._store.point_targets(positions, views, generator)
        if self._recollection is not None:
            targets = self._recollection.completed(targets, chosen, positions, generator)
        self.optimizer.listen()
        if self._written_out:
            weight = self._options.language_weight
            value, cosine = add_language_gradient(
                self._language,
                positions,
                targets.scale_m,
                targets.embedding,
                targets.valid,
                weight,
                self._product_dtype,
            )
            result = weight * value, {'language': value}
            finite = self.optimizer.all_finite(result[0])
        else:
            result, cosine, finite = self._backward(positions, targets)
        self.optimizer.step(step, finite)
        # What no keyframe on the device shows at this scale counts as explained: it cannot be
        # learnt now.
        self._hard.report(chosen, torch.where(targets.valid, 1 - cosine, 0.0))
        return result, finite

    def _backward(
        self, positions: Float[Tensor, 'n 3'], targets: PointTargets
    ) -> tuple[Losses, Float[Tensor, ' n'], Bool[Tensor, '']]:
        """Computes gradients; returns the losses, cosines with targets, and if all is finite."""
        dense = () if targets.dense is None else (targets.dense, targets.seen)
        loss, cosine, *values = self._pass(
            self._run, positions, targets.scale_m, targets.embedding, targets.valid, *dense
        )
        terms = dict(zip(('language', 'dense'), values, strict=False))
        return (loss, terms), cosine, self.optimizer.unscale(loss)

    def _run(
        self,
        positions: Float[Tensor, 'n 3'],
        scale_m: Float[Tensor, ' n'],
        wanted: Float[Tensor, 'n d'],
        valid: Bool[Tensor, ' n'],
        dense: Float[Tensor, 'n c'] | None = None,
        seen: Bool[Tensor, ' n'] | None = None,
    ) -> tuple[Tensor, ...]:
        """Computes gradients; returns the loss, cosines with targets, and each loss unweighted.

        Args:
            positions: The points.
            scale_m: Scale of each.
            wanted: Unit embedding of each.
            valid: Which points have one.
            dense: Dense features of each, None without any.
            seen: Which points have these.
        """
        dtype = self.optimizer.autocast_dtype
        with torch.autocast(self._device.type, dtype, enabled=dtype is not None):
            features = self._language.features(positions)
            embedding = self._language.head(features, scale_m)
            values = [losses.language_loss(embedding, wanted, valid)]
            loss = self._options.language_weight * values[0]
            if dense is not None and seen is not None and self._language.dense_head is not None:
                values.append(losses.dense_loss(self._language.dense_head(features), dense, seen))
                loss = loss + self._options.dense_weight * values[1]
        self.optimizer.propagate(loss)
        cosine = torch.cosine_similarity(embedding.detach().float(), wanted, dim=-1)
        return loss.detach(), cosine, *(value.detach() for value in values)

    def discard(self) -> None:
        """Forgets the gradients of an update that failed."""
        self.optimizer.discard()

    def _follow(self, points: SurfacePoints) -> None:
        """Takes over the points of a surface that has changed."""
        if points is self._points:
            return
        self._points = points
        self._positions = torch.from_numpy(points.positions).to(self._device)
        self._seen_by = torch.from_numpy(points.seen_by).to(self._device)
        self._hard.follow(points.keys)

    def _place(self, surface: SurfaceMap) -> None:
        """Notes where on the device the keyframe of each row of cameras is, -1 for none.

        One more -1 at the end stands for no row. It is brought to the device only when changed.
        """
        names = surface.keyframe_ids, self._store.device_ids
        if names != self._names:
            self._names = names
            slots = F.pad(self._store.slots_of(names[0]), (0, 1), value=-1)
            self._slots = slots.to(self._device)

    def _seeing(self, chosen: Tensor, generator: torch.Generator | None) -> Int[Tensor, 'k v']:
        """Returns places of some keyframes that saw each point, -1 for none."""
        shape = len(chosen), self._seen_by.shape[1]
        order = torch.rand(shape, generator=generator, device=self._device)
        native = self._device.type == 'cpu' and is_available('point_targets')
        draw = native_drawn_views if native else drawn_views
        return draw(self._seen_by, self._slots, chosen, order, self._options.surface_views)
