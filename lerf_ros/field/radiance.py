"""Density and colour.

Density is per metre. Colour is decoded from geometry features and the viewing direction, by
default once a ray, from the features rendered along it: a quarter of the cost of a step.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.config import FieldOptions
from lerf_ros.field.encoding import HashGrid
from lerf_ros.field.encoding.layout import GridLayout
from lerf_ros.field.network import OneHiddenLayer
from lerf_ros.field.scene_box import SceneBox

DIRECTION_WIDTH = 9
# exp(10) half extents is opaque within a millimetre of a room; larger would only overflow.
_MAX_LOG_DENSITY = 10.0


class RadianceField(nn.Module):
    """A hash grid with a small network for density and one for colour.

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
        self.grid = HashGrid(
            GridLayout(
                options.levels,
                options.features_per_level,
                options.min_resolution,
                options.max_resolution,
                options.table_log2,
            ),
            options.backend,
            device,
            generator,
        )
        self.geometry_net = OneHiddenLayer(
            self.grid.layout.width, options.geometry_width, 1 + options.geometry_features
        )
        colour_in = options.geometry_features + DIRECTION_WIDTH
        self.colour_net = nn.Sequential(
            nn.Linear(colour_in, options.colour_width),
            nn.ReLU(inplace=True),
            nn.Linear(options.colour_width, options.colour_width),
            nn.ReLU(inplace=True),
            nn.Linear(options.colour_width, 3),
        )

    def geometry(
        self, positions_world: Float[Tensor, 'n 3']
    ) -> tuple[Float[Tensor, ' n'], Float[Tensor, 'n g']]:
        """Returns density (1/m) and geometry features."""
        out = self.geometry_net(self.grid(self.scene_box.to_unit(positions_world)))
        return to_density(out[:, 0], self.scene_box), out[:, 1:]

    def colour(
        self, features: Float[Tensor, 'n g'], directions_world: Float[Tensor, 'n 3']
    ) -> Float[Tensor, 'n 3']:
        """Returns colours in [0, 1] of geometry features seen along directions of any length."""
        seen = torch.cat([features, encode_directions(directions_world)], dim=-1)
        return torch.sigmoid(self.colour_net(seen))


def to_density(raw: Float[Tensor, ' n'], scene_box: SceneBox) -> Float[Tensor, ' n']:
    """Returns density per metre of a network's output."""
    return torch.exp(raw.clamp(max=_MAX_LOG_DENSITY)) / scene_box.half_extent_m


def encode_directions(directions: Float[Tensor, 'n 3']) -> Float[Tensor, 'n 9']:
    """Returns the real spherical harmonics of degree 0 to 2, up to their constant factors."""
    unit = torch.nn.functional.normalize(directions, dim=-1)
    x, y, z = unit.unbind(dim=-1)
    return torch.stack(
        [torch.ones_like(x), x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], dim=-1
    )
