"""Training: one step at a time, for as long as keyframes may come."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.config import LerfConfig, TrainingOptions
from lerf_ros.field.basis import BasisLinear
from lerf_ros.field.model import LerfField
from lerf_ros.field.readable import ReadableField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.field.threads import only_native_threads
from lerf_ros.field.view import RenderedView, render_view
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.box_finding import find_scene_box
from lerf_ros.training.device_memory import FittingSteps
from lerf_ros.training.language_mean import LanguageMean
from lerf_ros.training.memory import MemoryEstimate, check_memory
from lerf_ros.training.objective import weighted_losses
from lerf_ros.training.optimizer import FieldOptimizer
from lerf_ros.training.skipped_steps import SkippedSteps
from lerf_ros.training.step_report import StepReport
from lerf_ros.training.surface_supervision import SurfaceSupervision

if TYPE_CHECKING:
    from lerf_ros.features.dense import FeatureMap
    from lerf_ros.features.pyramid import FeaturePyramid

_log = logging.getLogger(__name__)

# Rays with depth from which the proposal learns in each step.
_EXPLORE_RAYS = 64
# Steps in which the proposal's weights sharpen.
_ANNEAL_STEPS = 500
# Keyframes without depth that are needed before the scene box can be guessed.
_BLIND_KEYFRAMES = 8
# Tiles from which the basis of embeddings is fitted.
_BASIS_TILES = 2000
# ATen gives an operator of so many numbers to one thread; a step whose samples are no more is made
# of operators that are all too short for two.
_SMALL_STEP = 32_768

# The loss, its terms before weighting, and whether all numbers were finite.
Learnt = tuple[Tensor, dict[str, Tensor], Tensor]


class Trainer:
    """Learns a field from keyframes.

    Args:
        config: All options.
        embedding_size: Size of a language embedding.
        dense_size: Size of a dense feature; 0 for none.
        device: Where to train; the CPU if None.

    Attributes:
        store: The keyframes.
        field: The field; None until the scene box is fixed.
        step_count: Number of steps so far.
        memory: What training will take.
    """

    def __init__(
        self,
        config: LerfConfig,
        *,
        embedding_size: int,
        dense_size: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        self.config = config
        self.device = torch.device(device or 'cpu')
        self.embedding_size, self.dense_size = embedding_size, dense_size
        self.memory: MemoryEstimate = check_memory(config, embedding_size, self.device, dense_size)
        self.store = KeyframeStore(config.training, embedding_size, dense_size, self.device)
        self.field: LerfField | None = None
        self.step_count = 0
        self._sizes = FittingSteps(config.training, self.device)
        self._skipped = SkippedSteps(self.device)
        self._generator = torch.Generator(self.device).manual_seed(config.training.seed)
        self._optimizer: FieldOptimizer | None = None
        self._supervision: SurfaceSupervision | None = None
        self._mean: LanguageMean | None = None

    @property
    def skipped_count(self) -> int:
        """Number of steps in which weights stayed as they were; waits for the device."""
        return self._skipped.count

    def configure(self, config: LerfConfig) -> None:
        """Takes over options that may change while training goes on: weights and replay."""
        self.config = config
        self.store.configure(config.training)
        self._sizes.configure(config.training)
        if self._supervision is not None:
            self._supervision.configure(config.training)

    def add_keyframe(
        self, keyframe: Keyframe, pyramid: FeaturePyramid, dense: FeatureMap | None = None
    ) -> None:
        """Takes in a keyframe. The first one with depth, or the eighth, fixes the scene box.

        Raises:
            ValueError: The keyframe is in the map already or its features do not fit.
        """
        self.store.add(keyframe, pyramid, dense)
        if self.field is None:
            depth = keyframe.frame.depth
            has_depth = depth is not None and np.isfinite(depth).any()
            if has_depth or len(self.store) >= _BLIND_KEYFRAMES:
                self.fix_scene_box()
        self._fit_basis(keyframe.id)

    def _fit_basis(self, *ids: KeyframeId) -> None:
        """Lets the basis of embeddings hold what keyframes show, where there is a basis."""
        last = self.field.language_head.last if self.field is not None else None
        if not isinstance(last, BasisLinear):
            return
        embeddings = torch.cat([self.store.embeddings(id_) for id_ in ids])
        embeddings = embeddings[:: max(1, len(embeddings) // _BASIS_TILES)]
        if last.extend(embeddings, self.config.field.language_basis_residual):
            _log.info('language basis: %d of %d directions', int(last.used), last.rank)
            self.settle()

    def fix_scene_box(self) -> None:
        """Makes the field, in a box from the options or around what the keyframes see.

        Called by itself; call it to start before it would, or, before the first step, to fit the
        box to all keyframes of a recording.

        Raises:
            ValueError: There is no keyframe, or the field has begun to learn.
        """
        if self.step_count:
            raise ValueError('scene box: it is fixed, the field has begun to learn')
        scene_box = find_scene_box(self.config, self.store)
        self._adopt(self._new_field(scene_box))
        centre = [round(value, 2) for value in scene_box.centre_m]
        _log.info('scene box: centre %s m, half extent %.2f m', centre, scene_box.half_extent_m)
        self._fit_basis(*self.store.ids[-_BLIND_KEYFRAMES:])

    def _new_field(self, scene_box: SceneBox) -> LerfField:
        sizes, seed = (self.embedding_size, self.dense_size), self.config.training.seed
        return LerfField(self.config.field, scene_box, *sizes, seed, self.device)

    def _adopt(self, field: LerfField, moments: Mapping[str, Tensor] | None = None) -> None:
        """Trains this field from now on.

        Raises:
            ValueError: The moments do not fit the field; it is not adopted.
        """
        options = self.config.training
        optimizer = FieldOptimizer(field, options)
        supervision = SurfaceSupervision(field.language, self.store, options, self.device)
        optimizer.load_state_dict(_of_group(moments or {}, 'optimizer.'))
        supervision.optimizer.load_state_dict(_of_group(moments or {}, 'surface_optimizer.'))
        self.field, self._optimizer, self._supervision = field, optimizer, supervision
        self._mean = None
        if options.mean_steps:
            mean = self._makes_readable(field.scene_box)()
            self._mean = LanguageMean(field.language, mean, options.mean_steps)

    def _makes_readable(self, scene_box: SceneBox) -> Callable[[], ReadableField]:
        sizes = self.config.field, scene_box, self.embedding_size, self.dense_size
        return partial(ReadableField.of, *sizes, self.device)

    @property
    def readable(self) -> ReadableField | None:
        """What questions read: the mean of the last steps, or the field; None without one."""
        return self.field if self._mean is None else self._mean.field

    def settle(self) -> None:
        """Lets questions read the weights as they are: something else than steps moved them."""
        if self._mean is not None:
            self._mean.settle()

    def step(self, surface: SurfaceMap | None = None) -> StepReport:
        """Trains one step.

        Args:
            surface: The surface as it stands. Once it is there, language learns at its points and
                no more along rays.

        Raises:
            ValueError: There is no keyframe.
            DeviceMemoryError: Not even a small step fits into the device's memory.
        """
        start = time.perf_counter()
        if self.field is None:
            self.fix_scene_box()
        assert self._supervision is not None
        taught = surface if surface and self._supervision.can_teach(surface) else None
        small = only_native_threads() if self._is_small() else contextlib.nullcontext()
        with small:
            total, terms, finite = self._sizes.run(partial(self._learn, taught), self._discard)
        self.step_count += 1
        if self._mean is not None:
            self._mean.follow(self.step_count)
        self._skipped.follow(self.step_count, finite)
        seconds = time.perf_counter() - start
        return StepReport(self.step_count, seconds, total, terms, finite)

    def _is_small(self) -> bool:
        """Tells whether a second thread would slow torch's operators down."""
        options = self.config.field
        samples = self._sizes.options.rays_per_step * (
            options.coarse_samples + options.guided_samples
        )
        return self.device.type == 'cpu' and samples <= _SMALL_STEP

    def _discard(self) -> None:
        """Forgets the gradients of a step that failed."""
        if self._optimizer is not None:
            self._optimizer.discard()
        if self._supervision is not None:
            self._supervision.discard()

    def _learn(self, surface: SurfaceMap | None, training: TrainingOptions) -> Learnt:
        """Learns from rays, and at the points of a surface where there is one to be taught."""
        total, terms, finite = self._learn_from_rays(surface is None, training)
        if surface is not None:
            assert self._supervision is not None
            (loss, more), all_finite = self._supervision.teach(
                surface, self.step_count, self._generator, training.surface_points
            )
            total, terms, finite = total + loss, terms | more, finite & all_finite
        return total, terms, finite

    def _learn_from_rays(self, language: bool, training: TrainingOptions) -> Learnt:
        assert self.field is not None
        assert self._optimizer is not None
        self._optimizer.listen()
        batch = self.store.sample_rays(
            training.rays_per_step,
            self._generator,
            language_rays=training.language_rays_per_step if language else 0,
        )
        dtype = self._optimizer.autocast_dtype
        with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
            rendering = self.field.render(
                batch.rays,
                language=len(batch.embedding) > 0,
                language_rays=len(batch.embedding),
                scale_per_depth=batch.scale_per_depth,
                generator=self._generator,
                explore=_EXPLORE_RAYS,
                anneal=min(1.0, 0.1 + self.step_count / _ANNEAL_STEPS),
            )
            terms = weighted_losses(self.config, self.field, batch, rendering)
            zero = torch.zeros((), device=self.device)
            loss = sum((weight * value for weight, value in terms.values()), start=zero)
        errors = (rendering.rgb.detach() - batch.rgb).square().mean(dim=-1)
        self.store.report_errors(batch.slots, errors)
        finite = self._optimizer.backward(loss)
        self._optimizer.step(self.step_count, finite)
        parts = {name: value.detach() for name, (_, value) in terms.items()}
        return loss.detach(), parts, finite

    def render(
        self,
        camera: PinholeCamera,
        camera_to_world: Float[np.ndarray, '4 4'],
        depth_guide_m: Float[np.ndarray, 'height width'] | None = None,
    ) -> RenderedView:
        """Renders the map.

        Args:
            camera: Intrinsics of the view.
            camera_to_world: Pose of the view.
            depth_guide_m: About where each pixel's surface is, NaN where unknown; makes it fast.

        Raises:
            ValueError: There is no field yet.
        """
        if self.field is None:
            raise ValueError('render: there is no field yet, no keyframe has come')
        return render_view(self.field, camera, camera_to_world, depth_guide_m)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the weights and their moments, the scene box and the number of steps, by name.

        Raises:
            ValueError: There is no field yet.
        """
        if self.field is None:
            raise ValueError('state: there is no field yet, no keyframe has come')
        state = {f'field.{name}': value for name, value in self.field.state_dict().items()}
        if self._mean is not None:  # what loads it answers alike, and learns on from there
            mean = self._mean.field.language.state_dict()
            state |= {f'field.language.{name}': value for name, value in mean.items()}
        box = self.field.scene_box
        state['scene_box'] = torch.tensor([*box.centre_m, box.half_extent_m], dtype=torch.float64)
        state['step_count'] = torch.tensor(self.step_count)
        assert self._optimizer is not None
        assert self._supervision is not None
        for group, optimizer in (
            ('optimizer', self._optimizer),
            ('surface_optimizer', self._supervision.optimizer),
        ):
            state |= {f'{group}.{name}': value for name, value in optimizer.state_dict().items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over weights and their moments, or stays as it was; keyframes are the store's.

        Raises:
            ValueError: The weights are of a field of other sizes, or not finite.
        """
        try:
            x, y, z, half = state['scene_box'].tolist()
            field = self._new_field(SceneBox((x, y, z), half))
            weights = _of_group(state, 'field.')
            field.load_state_dict(weights)
            step_count = int(state['step_count'])
        except (KeyError, RuntimeError) as error:
            raise ValueError(f'the weights do not fit these options: {error}') from error
        if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
            raise ValueError('the weights are not finite')
        self._adopt(field, state)
        assert self._supervision is not None
        make = self._makes_readable(field.scene_box)
        self._supervision.recollect(make, self.config.features)
        self.step_count = step_count


def _of_group(state: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    """Returns what a state holds under names that begin so, without that beginning."""
    return {
        name.removeprefix(group): value for name, value in state.items() if name.startswith(group)
    }
