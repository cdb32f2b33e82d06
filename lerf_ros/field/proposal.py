"""A small density field that only says where along a ray to look."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.config import FieldOptions
from lerf_ros.field.encoding import HashGrid
from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.network import OneHiddenLayer
from lerf_ros.field.radiance import to_density
from lerf_ros.field.scene_box import SceneBox


class ProposalField(nn.Module):
    """Density of a coarse hash grid; trained to bound the weights of the radiance field.

    Args:
        options: Sizes.
        scene_box: Where the grid lies.
        generator: Source of the first weights.
        device: Where the field lives.
    """

    def __init__(
        self,
        options: FieldOptions,
        scene_box: SceneBox,
        generator: torch.Generator | None = None,
        device: torch.device | str = 'cpu',
    ) -> None:
        super().__init__()
        self.scene_box = scene_box
        layout = GridLayout(
            options.proposal_levels,
            2,
            options.min_resolution,
            options.proposal_max_resolution,
            options.proposal_table_log2,
        )
        self.grid = HashGrid(layout, options.backend, device, generator)
        self.net = OneHiddenLayer(layout.width, 16, 1)

    def forward(self, positions_world: Float[Tensor, '*n 3']) -> Float[Tensor, '*n']:
        """Returns density per metre."""
        flat = positions_world.reshape(-1, 3)
        raw = self.net(self.grid(self.scene_box.to_unit(flat)))[:, 0]
        return to_density(raw, self.scene_box).reshape(positions_world.shape[:-1])
