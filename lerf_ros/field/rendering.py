"""From samples along rays to what a camera sees: pure functions of weights and values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.field.sampling import RaySamples


@dataclass(frozen=True, eq=False)
class ProposalStage:
    """A proposal's intervals and the final ones, for the interlevel loss.

    Attributes:
        rows: Rays of the bundle that were proposed for; those without depth come first.
        blind: How many of them have no depth.
        edges_m: Edges of the proposal's intervals.
        weights: Weights of the proposal's intervals, with gradient.
    """

    rows: Int[Tensor, ' m']
    blind: int
    edges_m: Float[Tensor, 'm k1']
    weights: Float[Tensor, 'm k']


@dataclass(frozen=True, eq=False)
class Rendering:
    """What rays see.

    Attributes:
        rgb: Colour in [0, 1].
        depth_m: Mean depth of what was hit, metres along the optical axis.
        accumulation: Opacity of the ray.
        weights: Weight of each sample.
        samples: The samples.
        language_features: Rendered language features of the first rays, if asked for.
        embedding: Language embedding of the first rays, if scales were given; not unit length.
        scale_m: Scale in metres of each of these embeddings.
        proposal: The proposal stage, where one took place.
    """

    rgb: Float[Tensor, 'n 3']
    depth_m: Float[Tensor, ' n']
    accumulation: Float[Tensor, ' n']
    weights: Float[Tensor, 'n k']
    samples: RaySamples
    language_features: Float[Tensor, 'm f'] | None = None
    embedding: Float[Tensor, 'm d'] | None = None
    scale_m: Float[Tensor, ' m'] | None = None
    proposal: ProposalStage | None = None


def accumulate(
    weights: Float[Tensor, 'n k'], values: Float[Tensor, 'n k c']
) -> Float[Tensor, 'n c']:
    """Returns the weighted sum of the values along each ray."""
    return torch.bmm(weights[:, None], values)[:, 0]


def mean_depth(
    weights: Float[Tensor, 'n k'], samples: RaySamples
) -> tuple[Float[Tensor, ' n'], Float[Tensor, ' n']]:
    """Returns the mean depth of the weights of each ray, and their sum."""
    accumulation = weights.sum(dim=-1)
    depth_m = (weights * samples.depth_m).sum(dim=-1) / accumulation.clamp(min=1e-6)
    return depth_m, accumulation


def heaviest(
    weights: Float[Tensor, 'n k'], count: int
) -> tuple[Float[Tensor, 'n m'], Int[Tensor, 'n m']]:
    """Returns the largest weights of each ray, normalised to sum to 1, and their samples.

    They are detached: language never moves geometry.
    """
    top, index = weights.detach().topk(min(count, weights.shape[-1]), dim=-1)
    return top / top.sum(dim=-1, keepdim=True).clamp(min=1e-6), index
