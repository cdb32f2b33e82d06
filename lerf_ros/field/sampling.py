"""Where along a ray the field is evaluated.

Rays are ``origin + t * direction``. Directions come from pixels with z = 1 in the camera frame, so
``t`` is depth in metres, not length. Samples are intervals: ``edges (n, k + 1)`` in rising order,
evaluated in the middle of each. Random offsets are drawn only where a generator is given, else
every interval is the middle one, for repeatable renderings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# Half the width of the guided interval, in standard deviations of the depth.
GUIDE_SIGMAS = 3.0
# Least standard deviation of a measured depth.
MIN_SIGMA_M = 0.004
# Samples behind a measured depth, in case it is wrong.
TAIL_SAMPLES = 2


@dataclass(frozen=True, eq=False)
class RayBundle:
    """Rays in the world frame.

    Attributes:
        origins_world: Camera centres, metres.
        directions_world: Directions with z = 1 in the camera frame, so that t is depth.
        depth_guide_m: Measured depth, NaN where unknown.
    """

    origins_world: Float[Tensor, 'n 3']
    directions_world: Float[Tensor, 'n 3']
    depth_guide_m: Float[Tensor, ' n']

    def __post_init__(self) -> None:
        count = self.origins_world.shape[0]
        shapes = tuple(self.directions_world.shape), tuple(self.depth_guide_m.shape)
        if self.origins_world.shape != (count, 3) or shapes != ((count, 3), (count,)):
            raise ValueError(
                'rays: expected origins (n, 3), directions (n, 3) and depth (n,), '
                f'got {tuple(self.origins_world.shape)}, {shapes[0]} and {shapes[1]}'
            )

    def __len__(self) -> int:
        return self.origins_world.shape[0]

    def __getitem__(self, index: slice | Tensor) -> RayBundle:
        return RayBundle(
            self.origins_world[index], self.directions_world[index], self.depth_guide_m[index]
        )


@dataclass(frozen=True, eq=False)
class RaySamples:
    """Intervals along rays.

    Attributes:
        edges_m: Borders of the intervals as depths, rising.
        positions_world: Middle of each interval.
        lengths_m: Length of each interval along the ray (not its extent in depth).
    """

    edges_m: Float[Tensor, 'n k1']
    positions_world: Float[Tensor, 'n k 3']
    lengths_m: Float[Tensor, 'n k']

    @property
    def depth_m(self) -> Float[Tensor, 'n k']:
        """Depth of the middle of each interval."""
        return (self.edges_m[:, 1:] + self.edges_m[:, :-1]) / 2


def samples_at(rays: RayBundle, edges_m: Float[Tensor, 'n k1']) -> RaySamples:
    """Returns the intervals between the given depths."""
    middle = (edges_m[:, 1:] + edges_m[:, :-1]) / 2
    positions = rays.origins_world[:, None] + rays.directions_world[:, None] * middle[..., None]
    stretch = rays.directions_world.norm(dim=-1, keepdim=True)
    return RaySamples(edges_m, positions, (edges_m[:, 1:] - edges_m[:, :-1]) * stretch)


def depth_sigma(depth_m: Float[Tensor, ' n'], noise_share: float) -> Float[Tensor, ' n']:
    """Returns the standard deviation of a measured depth."""
    return (depth_m * noise_share).clamp(min=MIN_SIGMA_M)


def guided_edges(
    depth_m: Float[Tensor, ' n'],
    near_m: float,
    coarse: int,
    guided: int,
    noise_share: float,
    generator: torch.Generator | None,
) -> Float[Tensor, 'n k1']:
    """Returns edges for rays with a measured depth.

    ``guided`` intervals lie around the depth. Of the ``coarse`` ones, the last two lie behind it,
    where a wrong depth would hide something, the others before it, where space should be empty.
    """
    sigma = depth_sigma(depth_m, noise_share)
    first = (depth_m - GUIDE_SIGMAS * sigma).clamp(min=0.02)
    last = first + 2 * GUIDE_SIGMAS * sigma
    near = torch.minimum(torch.full_like(first, near_m), first / 2)
    tail = min(TAIL_SAMPLES, coarse - 1)
    end = last + 0.5 * depth_m
    parts = [
        _stratified(near, first, coarse - tail, generator, depth_m),
        _stratified(first, last, guided, generator, depth_m),
        _stratified(last, end, tail, generator, depth_m),
        end[:, None],
    ]
    return torch.cat(parts, dim=-1)


def _stratified(low, high, count, generator, like) -> Tensor:
    """Returns ``count`` rising depths from low to high, one random one in each equal part."""
    offsets = torch.arange(count, dtype=like.dtype, device=like.device).expand(len(like), count)
    if generator is not None:
        noise = torch.rand(len(like), count, generator=generator, device=like.device)
        offsets = offsets + noise
    return low[:, None] + offsets / count * (high - low)[:, None]


def spread_edges(
    count: int,
    rays: RayBundle,
    near_m: float,
    linear_m: Float[Tensor, ''],
    far_m: Float[Tensor, ''],
    generator: torch.Generator | None,
) -> Float[Tensor, 'n k1']:
    """Returns edges for rays without depth: half evenly up to ``linear_m``, half in disparity.

    Args:
        count: Number of intervals.
        rays: The rays.
        near_m: First edge.
        linear_m: Depth up to which edges are evenly spaced, about where the scene box ends.
        far_m: Last edge.
        generator: Source of the random offset of each ray; None for no offset.
    """
    like = rays.depth_guide_m
    steps = torch.linspace(0, 1, count + 1, device=like.device).expand(len(rays), -1)
    if generator is not None:
        noise = torch.rand(len(rays), count + 1, generator=generator, device=like.device)
        steps = (steps + (noise - 0.5) / count).clamp(0, 1)
        steps = steps.sort(dim=-1).values
    near_part = near_m + (linear_m - near_m) * steps * 2
    disparity = (2 - 2 * steps) / linear_m + (2 * steps - 1) / far_m
    return torch.where(steps <= 0.5, near_part, 1 / torch.maximum(disparity, 1 / far_m))


def resample_edges(
    edges_m: Float[Tensor, 'n k1'],
    weights: Float[Tensor, 'n k'],
    count: int,
    generator: torch.Generator | None,
    padding: float = 0.01,
) -> Float[Tensor, 'n m1']:
    """Returns new edges that are dense where the weights are large, by inverting their sum.

    Args:
        edges_m: Edges of the weighted intervals.
        weights: Weight of each interval.
        count: Number of new intervals.
        generator: Source of the random offsets; None for evenly spaced quantiles.
        padding: Weight added to each interval, so that nothing is left out for ever.
    """
    pdf = weights.detach() + padding / weights.shape[-1]
    cdf = (pdf / pdf.sum(dim=-1, keepdim=True)).cumsum(dim=-1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], dim=-1)
    quantiles = torch.linspace(0, 1, count + 1, device=edges_m.device).expand(len(edges_m), -1)
    if generator is not None:
        noise = torch.rand(len(edges_m), count + 1, generator=generator, device=edges_m.device)
        quantiles = (quantiles + (noise - 0.5) / count).clamp(0, 1).sort(dim=-1).values
    # Just short of 1, so that the last edge lies where the weights end, not where the ray does.
    quantiles = quantiles.clamp(max=1 - 1e-5).contiguous()
    upper = torch.searchsorted(cdf, quantiles, right=True).clamp(1, cdf.shape[-1] - 1)
    c0, c1 = cdf.gather(-1, upper - 1), cdf.gather(-1, upper)
    e0, e1 = edges_m.gather(-1, upper - 1), edges_m.gather(-1, upper)
    share = ((quantiles - c0) / (c1 - c0).clamp(min=1e-9)).clamp(0, 1)
    return e0 + share * (e1 - e0)


def proposal_edges(
    rays: RayBundle,
    density: Callable[[Float[Tensor, 'n k 3']], Float[Tensor, 'n k']],
    edges_m: Float[Tensor, 'n k1'],
    count: int,
    generator: torch.Generator | None,
    anneal: float = 1.0,
) -> tuple[Float[Tensor, 'n m1'], Float[Tensor, 'n k']]:
    """Returns edges drawn from a cheap density, and that density's weights (with gradient).

    Args:
        rays: The rays.
        density: Positions (world) to density (1/m).
        edges_m: Edges at which the density is looked at.
        count: Number of new intervals.
        generator: Source of the random offsets.
        anneal: Exponent of the weights; below 1 it flattens them, early in training.
    """
    samples = samples_at(rays, edges_m)
    weights = weights_of(density(samples.positions_world), samples.lengths_m)
    return resample_edges(edges_m, weights.detach().pow(anneal), count, generator), weights


def weights_of(
    density: Float[Tensor, 'n k'], lengths_m: Float[Tensor, 'n k']
) -> Float[Tensor, 'n k']:
    """Returns the share of light that each interval sends back (Max 1995, equation 10).

    The weights of a ray sum to its opacity, at most 1.
    """
    optical = density * lengths_m
    through = torch.exp(-optical.cumsum(dim=-1))
    before = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=-1)
    return before - through


def known(depth_m: Float[Tensor, ' n']) -> Bool[Tensor, ' n']:
    """Tells which depths were measured."""
    return torch.isfinite(depth_m) & (depth_m > 0)
