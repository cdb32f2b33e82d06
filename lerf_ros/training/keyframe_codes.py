"""What is learnt for each keyframe beside the field: its exposure, and a correction of its pose.

A pose correction is a small turn and shift in the world frame. The first keyframe is never moved:
it fixes the gauge, for otherwise field and cameras could drift together.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.config import FieldOptions, TrainingOptions
from lerf_ros.field.sampling import RayBundle

# Pulls corrections to zero: they stay where the pictures do not ask for them.
_POSE_DECAY = 1e-4


class KeyframeCodes:
    """Appearance codes and pose corrections, by order of arrival.

    Args:
        field: Size of appearance codes.
        training: Learning rates.
        device: Where they are used.
    """

    def __init__(
        self, field: FieldOptions, training: TrainingOptions, device: torch.device
    ) -> None:
        self._appearance_size = field.appearance_size
        self._rates = training.network_learning_rate, training.pose_learning_rate
        self._device = device
        self._resize(0)

    @property
    def refines_poses(self) -> bool:
        """Whether pose corrections are learnt."""
        return self._rates[1] > 0

    @property
    def used(self) -> bool:
        """Whether anything is learnt for keyframes."""
        return self._appearance_size > 0 or self.refines_poses

    def _resize(self, count: int) -> None:
        def rows(width: int, old: Tensor | None) -> Tensor:
            fresh = torch.zeros(count, width, device=self._device)
            if old is not None:
                fresh[: len(old)] = old.detach()
            return fresh.requires_grad_()

        self.appearance = rows(self._appearance_size, getattr(self, 'appearance', None))
        self.motion = rows(6, getattr(self, 'motion', None))
        groups = [
            {'params': [self.appearance], 'lr': self._rates[0]},
            {'params': [self.motion], 'lr': self._rates[1], 'weight_decay': _POSE_DECAY},
        ]
        self._adam = torch.optim.Adam(groups, betas=(0.9, 0.99))

    def reserve(self, count: int) -> None:
        """Makes room for so many keyframes."""
        if self.used and count > len(self.motion):
            self._resize(max(2 * len(self.motion), count, 64))

    def appearance_of(self, order: Int[Tensor, 'n']) -> Float[Tensor, 'n a'] | None:
        """Returns the appearance code of each ray, None where there are none."""
        return self.appearance[order] if self._appearance_size else None

    def mean_appearance(self, keyframes: int) -> Float[Tensor, 'a'] | None:
        """Returns the code with which new views are rendered: the mean of all keyframes'."""
        if not self._appearance_size:
            return None
        return self.appearance.detach()[: max(keyframes, 1)].mean(dim=0)

    def corrected(self, rays: RayBundle, order: Int[Tensor, 'n']) -> RayBundle:
        """Returns rays as seen from the corrected poses."""
        if not self.refines_poses:
            return rays
        motion = self.motion[order] * (order > 0)[:, None]
        turn = torch.linalg.cross(motion[:, :3], rays.directions_world)
        return RayBundle(
            rays.origins_world + motion[:, 3:], rays.directions_world + turn, rays.depth_guide_m
        )

    def step(self) -> None:
        """Moves the codes and forgets their gradients."""
        if self.used:
            self._adam.step()
            self._adam.zero_grad(set_to_none=True)

    def discard(self) -> None:
        """Forgets the gradients."""
        self._adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the codes by name."""
        return {'appearance': self.appearance.detach(), 'motion': self.motion.detach()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over codes.

        Raises:
            ValueError: They are of another size.
        """
        appearance, motion = state['appearance'], state['motion']
        if appearance.shape[1] != self._appearance_size or motion.shape[1] != 6:
            raise ValueError(
                f'appearance: expected {self._appearance_size} numbers a keyframe, '
                f'got {appearance.shape[1]}'
            )
        self._resize(len(motion))
        with torch.no_grad():
            self.appearance.copy_(appearance)
            self.motion.copy_(motion)
