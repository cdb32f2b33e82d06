"""Where the scene lies, and how world positions become the unit cube of the hash grids.

The field's only change of units: outside this module everything is metres in the world frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class SceneBox:
    """A cube of space that is resolved finely; all the rest is contracted around it.

    Attributes:
        centre_m: Centre of the cube in the world frame.
        half_extent_m: Half the side of the cube.
    """

    centre_m: tuple[float, float, float]
    half_extent_m: float
    _centres: dict[tuple[torch.device, torch.dtype], Tensor] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if len(self.centre_m) != 3 or not all(abs(value) < 1e9 for value in self.centre_m):
            raise ValueError(f'centre_m: expected three finite numbers, got {self.centre_m}')
        if not 0 < self.half_extent_m < 1e9:
            raise ValueError(
                f'half_extent_m: expected a positive number of metres, got {self.half_extent_m}'
            )

    def centre_like(self, positions: Tensor) -> Float[Tensor, '3']:
        """Returns the centre, of the type of some positions and where they are.

        It is kept: to bring three numbers to a GPU takes as long as a step's largest operator.
        """
        key = positions.device, positions.dtype
        if key not in self._centres:
            with torch.inference_mode(False):
                self._centres[key] = torch.tensor(
                    self.centre_m, dtype=positions.dtype, device=positions.device
                )
        return self._centres[key]

    def to_unit(self, positions_world: Float[Tensor, '*n 3']) -> Float[Tensor, '*n 3']:
        """Returns positions in [0, 1]^3; the box itself becomes [0.25, 0.75]^3.

        Space outside the box is contracted (Barron et al. 2022, Mip-NeRF 360, equation 10, with
        the maximum norm, so that the box stays a cube).
        """
        x = (positions_world - self.centre_like(positions_world)) / self.half_extent_m
        radius = x.abs().amax(dim=-1, keepdim=True).clamp(min=1.0)
        return (x * ((2 - 1 / radius) / radius)).mul(0.25).add(0.5)

    def contains(self, positions_world: Float[Tensor, '*n 3']) -> Tensor:
        """Tells which positions lie in the box, borders included."""
        offset = positions_world - self.centre_like(positions_world)
        return offset.abs().amax(dim=-1) <= self.half_extent_m


def box_around(points_world: Float[Tensor, 'n 3'], margin: float = 1.2) -> SceneBox:
    """Returns the box that holds nearly all of some points.

    Args:
        points_world: Points in the world frame; the 5 % farthest along each axis are ignored.
        margin: Factor on the half side.

    Raises:
        ValueError: There is no finite point.
    """
    points = points_world[torch.isfinite(points_world).all(dim=-1)].double()
    if len(points) == 0:
        raise ValueError('points_world: expected at least one finite point, got none')
    bounds = torch.quantile(
        points[:: max(1, len(points) // 20_000)], points.new_tensor([0.025, 0.975]), dim=0
    )
    centre = bounds.mean(dim=0)
    half = float((bounds[1] - bounds[0]).amax()) / 2 * margin
    x, y, z = centre.tolist()
    return SceneBox(centre_m=(x, y, z), half_extent_m=max(half, 0.05))


def box_between_cameras(camera_to_world: Float[Tensor, 'n 4 4']) -> SceneBox:
    """Returns a box for cameras without depth: around what they look at, as wide as their orbit.

    The centre is the point nearest to all optical axes; it is kept in front of the cameras, and
    parallel axes or a single camera give a box one baseline (at least 1 m) ahead.
    """
    origins, forward = camera_to_world[:, :3, 3].double(), camera_to_world[:, :3, 2].double()
    mean = origins.mean(dim=0)
    spread_m = float((origins - mean).norm(dim=-1).amax())
    # Normal equations of the point with the least summed squared distance to the axes.
    across = torch.eye(3, dtype=torch.float64) - forward[:, :, None] * forward[:, None, :]
    matrix, right = across.sum(dim=0), (across @ origins[..., None]).sum(dim=0)[:, 0]
    ahead = forward.mean(dim=0)
    ahead = ahead / ahead.norm().clamp(min=1e-9)
    centre = mean + ahead * max(spread_m, 1.0)
    if float(torch.linalg.eigvalsh(matrix)[0]) > 1e-3 * len(origins):
        focus = torch.linalg.solve(matrix, right)
        depth = ((focus - origins) * forward).sum(dim=-1)
        if float(depth.median()) > 0:
            centre = focus
    half = float((origins - centre).norm(dim=-1).amax())
    x, y, z = centre.tolist()
    return SceneBox(centre_m=(x, y, z), half_extent_m=max(half, 1e-3))
