"""The gradient of the language loss at surface points, written out.

Autograd asks for the same products, and spends as long again between them: an update is a dozen
small operators, several of which follow each training step. The readable form is the loss itself,
:func:`lerf_ros.training.losses.language_loss`, with autograd; a test holds one against the other.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lerf_ros.field.language import LanguageField, encode_scale
from lerf_ros.training.losses import HUBER_DELTA

# Lengths below this count as this long, as in torch's cosine similarity.
_SHORTEST = 1e-8


def is_written_out(language: LanguageField) -> bool:
    """Tells whether this field is one of those whose gradient is written out here.

    They have native grids, a head of one hidden layer without a basis, and no dense features.
    """
    return (
        language.dense_head is None
        and len(language.head.hidden) == 0
        and type(language.head.last) is nn.Linear
        and all(grid.backend == 'native' for grid in language.hash_grids)
    )


@torch.no_grad()
def add_language_gradient(
    language: LanguageField,
    positions_world: Float[Tensor, 'n 3'],
    scale_m: Float[Tensor, ' n'],
    target: Float[Tensor, 'n d'],
    valid: Bool[Tensor, ' n'],
    weight: float,
) -> tuple[Float[Tensor, ''], Float[Tensor, ' n']]:
    """Gives the head's weights their gradients and those of features to the grids' optimiser.

    Args:
        language: The field, see :func:`is_written_out`; its weights have no gradients yet, and
            its grids send theirs to an optimiser.
        positions_world: The points.
        scale_m: Scale of each.
        target: Unit embedding of each.
        valid: Which points have a target.
        weight: Factor of the loss.

    Returns:
        The loss before weighting, and the cosine of each embedding with its target.
    """
    head = language.head
    unit = language.scene_box.to_unit(positions_world)
    features = torch.cat([grid(unit) for grid in language.hash_grids], dim=-1)
    scales = encode_scale(scale_m)
    hidden = head.feature_layer(features).addmm_(scales, head.scale_layer.weight.T).relu_()
    embedding = head.last(hidden)

    length = torch.linalg.vector_norm(embedding, dim=-1, keepdim=True).clamp(min=_SHORTEST)
    target_length = torch.linalg.vector_norm(target, dim=-1, keepdim=True).clamp(min=_SHORTEST)
    direction, wanted = embedding / length, target / target_length
    cosine = (direction * wanted).sum(dim=-1, keepdim=True)
    difference = embedding - target
    clipped = difference.clamp(-HUBER_DELTA, HUBER_DELTA)
    # |x| (clipped) - clipped^2 / 2 is x^2 / 2 within the bound and linear beyond it.
    huber = (clipped * (difference - clipped / 2)).sum(dim=-1)
    share = valid / valid.sum().clamp(min=1)
    loss = ((huber + 1 - cosine[:, 0]) * share).sum()

    grad = clipped + (cosine * direction - wanted) / length
    grad *= (weight * share)[:, None]
    grad_hidden = (grad @ head.last.weight) * (hidden > 0)
    head.last.weight.grad, head.last.bias.grad = grad.T @ hidden, grad.sum(dim=0)
    head.feature_layer.weight.grad = grad_hidden.T @ features
    head.feature_layer.bias.grad = grad_hidden.sum(dim=0)
    head.scale_layer.weight.grad = grad_hidden.T @ scales
    grad_features = grad_hidden @ head.feature_layer.weight
    first = 0
    for grid in language.hash_grids:
        own = grad_features[:, first : first + grid.layout.width]
        grid.take_gradient(unit, own)
        first += grid.layout.width
    return loss, cosine[:, 0]
