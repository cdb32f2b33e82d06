"""The language field: features of positions, and the heads that turn them into embeddings.

``features(positions)`` is a hash grid; ``head(features, scale_m)`` gives an embedding that is not
of unit length. A scale is the height in metres of the image crop whose embedding is meant.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.config import FieldOptions
from lerf_ros.field.basis import BasisLinear
from lerf_ros.field.encoding import HashGrid
from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.scene_box import SceneBox

SCALE_WIDTH = 3
# Scales are read as octaves around this one.
_REFERENCE_SCALE_M = 0.2


def encode_scale(scale_m: Float[Tensor, ' n']) -> Float[Tensor, 'n 3']:
    """Returns the inputs of the head that stand for a scale: logarithm, square, and a soft step.

    Crops twice as high differ as much at 5 cm as at 50 cm, so the logarithm is what is even.
    """
    octaves = torch.log2(scale_m.clamp(min=1e-4) / _REFERENCE_SCALE_M)
    return torch.stack([octaves / 2, octaves * octaves / 8, torch.sin(octaves)], dim=-1)


class LanguageHead(nn.Module):
    """The network from features and scale to an embedding.

    The first layer is split: ``feature_layer`` (with the bias) and ``scale_layer`` are summed, so
    that a search over scales computes the feature part once. The last layer, ``last``, is linear,
    so that phrases can be folded into it.

    Args:
        features: Number of input features.
        width: Width of the hidden layers.
        depth: Number of hidden layers, the first included.
        embedding_size: Number of outputs.
        basis: Most directions of a basis of the outputs; 0 for none.
    """

    def __init__(
        self, features: int, width: int, depth: int, embedding_size: int, basis: int = 0
    ) -> None:
        super().__init__()
        self.feature_layer = nn.Linear(features, width)
        self.scale_layer = nn.Linear(SCALE_WIDTH, width, bias=False)
        hidden: list[nn.Module] = []
        for _ in range(depth - 1):
            hidden += [nn.Linear(width, width), nn.ReLU(inplace=True)]
        self.hidden = nn.Sequential(*hidden)
        self.last: nn.Linear | BasisLinear
        if 0 < basis < embedding_size:
            self.last = BasisLinear(width, embedding_size, basis)
        else:
            self.last = nn.Linear(width, embedding_size)

    def forward(
        self, features: Float[Tensor, 'n f'], scale_m: Float[Tensor, ' n']
    ) -> Float[Tensor, 'n d']:
        """Returns embeddings, not of unit length."""
        first = self.feature_layer(features) + self.scale_layer(encode_scale(scale_m))
        return self.last(self.hidden(torch.relu(first)))


class LanguageField(nn.Module):
    """Hash grids of language features with a language head and, if wanted, a dense head.

    Args:
        options: Sizes.
        scene_box: Where the grids lie.
        embedding_size: Size of a language embedding.
        dense_size: Size of a dense feature; 0 for no dense head.
        generator: Source of the first weights.
        device: Where the field lives.
        drawn: Whether the grids have first entries.
    """

    def __init__(
        self,
        options: FieldOptions,
        scene_box: SceneBox,
        embedding_size: int,
        dense_size: int = 0,
        generator: torch.Generator | None = None,
        device: torch.device | str = 'cpu',
        *,
        drawn: bool = True,
    ) -> None:
        super().__init__()
        self.scene_box = scene_box
        layouts = grid_layouts(options)
        self.grids = nn.ModuleList(
            HashGrid(layout, options.backend, device, generator, drawn) for layout in layouts
        )
        width = sum(layout.width for layout in layouts)
        self.head = LanguageHead(
            width,
            options.language_width,
            options.language_depth,
            embedding_size,
            options.language_basis,
        )
        self.dense_head = None
        if dense_size:
            self.dense_head = nn.Sequential(
                nn.Linear(width, options.language_width),
                nn.ReLU(inplace=True),
                nn.Linear(options.language_width, dense_size),
            )

    @property
    def hash_grids(self) -> list[HashGrid]:
        """The grids, in the order of their features."""
        return [grid for grid in self.grids if isinstance(grid, HashGrid)]

    def features(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, 'n f']:
        """Returns the language features of positions."""
        unit = self.scene_box.to_unit(positions_world)
        return torch.cat([grid(unit) for grid in self.grids], dim=-1)


def grid_layouts(options: FieldOptions) -> list[GridLayout]:
    """Returns one grid, or two that share the range of resolutions (LERF's base and big)."""
    low, high = options.language_min_resolution, options.language_max_resolution
    split = options.language_split_resolution
    ranges = [(low, split), (split, high)] if low < split < high else [(low, high)]
    return [
        GridLayout(
            options.language_levels,
            options.language_features_per_level,
            first,
            last,
            options.language_table_log2,
        )
        for first, last in ranges
    ]
