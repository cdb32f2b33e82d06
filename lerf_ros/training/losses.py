"""What the field is trained towards: pure functions from a rendering and measurements to a loss.

Every function returns a mean over rays that does not depend on their number, so weights keep their
meaning when the batch grows. Measured depth is NaN where unknown.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lerf_ros.field.rendering import ProposalStage, Rendering
from lerf_ros.field.sampling import GUIDE_SIGMAS, depth_sigma, known

# LERF's constant for CLIP (Kerr et al. 2023, section 3.3).
HUBER_DELTA = 1.25
# Share of depth measurements that may be wrong altogether.
_OUTLIER_SHARE = 0.05


def colour_loss(rgb: Float[Tensor, 'n 3'], target: Float[Tensor, 'n 3']) -> Float[Tensor, '']:
    """Returns the mean squared error of colours."""
    return F.mse_loss(rgb, target)


def depth_losses(
    rendering: Rendering, depth_m: Float[Tensor, ' n'], noise_share: float
) -> tuple[Float[Tensor, ''], Float[Tensor, '']]:
    """Returns the losses that put matter at the measured depth and none before it.

    The first is the negative logarithm of the chance to stop at the measured depth, in a mixture
    with outliers: a wrong measurement has a bounded say. (The plain distance of the mean depth
    stalls: its gradient is as thin as the samples around the surface are.)

    Args:
        rendering: The rendered rays.
        depth_m: Measured depth, NaN where unknown.
        noise_share: Standard deviation of depth as a share of it.

    Returns:
        The depth loss, and the share of light that is lost before the depth.
    """
    valid = known(depth_m)
    count = valid.sum().clamp(min=1)
    depth_m = torch.where(valid, depth_m, 1.0)
    sigma = depth_sigma(depth_m, noise_share)
    offset = (rendering.samples.depth_m - depth_m[:, None]) / sigma[:, None]
    before = (rendering.weights * (offset < -GUIDE_SIGMAS)).sum(dim=-1)
    near = (rendering.weights * torch.exp(-0.5 * offset.square())).sum(dim=-1)
    stops = -torch.log(near.clamp(min=0) * (1 - _OUTLIER_SHARE) + _OUTLIER_SHARE)
    return (stops * valid).sum() / count, (before * valid).sum() / count


def language_loss(
    embedding: Float[Tensor, 'm d'], target: Float[Tensor, 'm d'], valid: Tensor
) -> Float[Tensor, '']:
    """Returns LERF's Huber loss of embeddings, summed over dimensions, and the cosine distance.

    Args:
        embedding: Decoded embeddings, of any length.
        target: Unit embeddings.
        valid: Which rays have a target.
    """
    count = valid.sum().clamp(min=1)
    huber = F.huber_loss(embedding, target, delta=HUBER_DELTA, reduction='none').sum(dim=-1)
    distance = 1 - F.cosine_similarity(embedding, target, dim=-1)
    return ((huber + distance) * valid).sum() / count


def dense_loss(
    features: Float[Tensor, 'm c'], target: Float[Tensor, 'm c'], valid: Tensor
) -> Float[Tensor, '']:
    """Returns the squared error of dense features, summed over dimensions."""
    error = (features - target).square().sum(dim=-1)
    return (error * valid).sum() / valid.sum().clamp(min=1)


def interlevel_loss(rendering: Rendering, stage: ProposalStage) -> Float[Tensor, '']:
    """Returns how much final weight lies where the proposal promised less.

    Barron et al. 2022, Mip-NeRF 360, equations 12 and 13. Only the proposal gets a gradient.
    """
    weights = rendering.weights[stage.rows].detach()
    edges = rendering.samples.edges_m[stage.rows]
    promised = torch.cat(
        [torch.zeros_like(stage.weights[:, :1]), stage.weights.cumsum(dim=-1)], dim=-1
    )
    proposal_edges = stage.edges_m.contiguous()
    last = promised.shape[-1] - 1
    low = torch.searchsorted(proposal_edges, edges[:, :-1].contiguous(), right=True) - 1
    high = torch.searchsorted(proposal_edges, edges[:, 1:].contiguous())
    bound = promised.gather(-1, high.clamp(0, last)) - promised.gather(-1, low.clamp(0, last))
    excess = (weights - bound).clamp(min=0)
    return (excess.square() / (weights + 1e-7)).sum(dim=-1).mean()


def distortion_loss(
    weights: Float[Tensor, 'n k'], edges_m: Float[Tensor, 'n k1'], scale_m: float
) -> Float[Tensor, '']:
    """Returns how far the weights of a ray are spread (Mip-NeRF 360, equation 15).

    Distances are compressed as ``t / (t + scale_m)``, so that far spread counts less.
    """
    s = edges_m / (edges_m + scale_m)
    middle, length = (s[:, 1:] + s[:, :-1]) / 2, s[:, 1:] - s[:, :-1]
    # Sums over pairs in linear time: the middles rise.
    total = weights.cumsum(dim=-1) - weights
    moment = (weights * middle).cumsum(dim=-1) - weights * middle
    pairs = 2 * (weights * (middle * total - moment)).sum(dim=-1)
    return (pairs + (weights.square() * length).sum(dim=-1) / 3).mean()
