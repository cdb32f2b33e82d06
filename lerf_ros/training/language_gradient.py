"""The gradient of the language loss at surface points, written out.

Autograd asks for the same products, and spends as long again between them: an update is dozens of
small operators, and several updates follow each training step. Here torch multiplies matrices, and
C++ does the rest. The readable form is the loss itself,
:func:`lerf_ros.training.losses.language_loss`, with autograd; a test holds one against the other.
"""

from __future__ import annotations

import ctypes
import functools

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lerf_ros.config import TrainingOptions
from lerf_ros.features.precision import multiplies_bfloat16
from lerf_ros.field.language import LanguageField, encode_scale
from lerf_ros.field.native import is_available, load_library, pointer
from lerf_ros.training.losses import HUBER_DELTA

# Weights of a last layer from which its products are the most of an update.
LARGE_LAYER = 2**15


@functools.cache
def _library() -> ctypes.CDLL:
    library = load_library('language_loss')
    library.lerf_language_loss.restype = ctypes.c_float
    return library


def native_language_loss(
    embedding: Float[Tensor, 'n d'],
    target: Float[Tensor, 'n d'],
    valid: Bool[Tensor, ' n'],
    weight: float,
) -> tuple[Float[Tensor, ''], Float[Tensor, 'n d'], Float[Tensor, ' n']]:
    """Returns the language loss, its gradient, and the cosines of embeddings with targets.

    Args:
        embedding: Decoded embeddings, of any length, on the CPU.
        target: Unit embeddings.
        valid: Which rows have a target.
        weight: Factor of the gradient.
    """
    grad, cosine = torch.empty(embedding.shape), torch.empty(len(embedding))
    inputs = embedding.contiguous(), target.contiguous(), valid.contiguous()
    loss = _library().lerf_language_loss(
        *map(pointer, inputs),
        ctypes.c_int64(len(embedding)),
        ctypes.c_int(embedding.shape[1]),
        ctypes.c_float(HUBER_DELTA),
        ctypes.c_float(weight),
        *map(pointer, (grad, cosine)),
    )
    return torch.tensor(loss), grad, cosine


def is_written_out(language: LanguageField) -> bool:
    """Tells whether this field is one of those whose gradient is written out here.

    They have native grids, a head of one hidden layer without a basis, and no dense features; and
    the loss in C++ is there.
    """
    return (
        language.dense_head is None
        and len(language.head.hidden) == 0
        and type(language.head.last) is nn.Linear
        and all(grid.backend == 'native' for grid in language.hash_grids)
        and is_available('language_loss')
    )


def product_dtype(language: LanguageField, options: TrainingOptions) -> torch.dtype:
    """Returns in which precision the last layer of a field's head is multiplied.

    For 1024 points, a width of 256 and 484 numbers an embedding its three products take 8.5 ms of
    an update's 11 in single precision, and 3.9 in bfloat16. A small head gains nothing.
    """
    last = language.head.last
    large = type(last) is nn.Linear and last.weight.numel() >= LARGE_LAYER
    half = options.precision in ('auto', 'bfloat16') and multiplies_bfloat16()
    return torch.bfloat16 if large and half else torch.float32


@torch.no_grad()
def add_language_gradient(
    language: LanguageField,
    positions_world: Float[Tensor, 'n 3'],
    scale_m: Float[Tensor, ' n'],
    target: Float[Tensor, 'n d'],
    valid: Bool[Tensor, ' n'],
    weight: float,
    dtype: torch.dtype = torch.float32,
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
        dtype: In which the last layer is multiplied, see :func:`product_dtype`.

    Returns:
        The loss before weighting, and the cosine of each embedding with its target.
    """
    head = language.head
    unit = language.scene_box.to_unit(positions_world)
    features = torch.cat([grid(unit) for grid in language.hash_grids], dim=-1)
    scales = encode_scale(scale_m)
    hidden = head.feature_layer(features).addmm_(scales, head.scale_layer.weight.T).relu_()
    narrow, last = hidden.to(dtype), head.last.weight.to(dtype)
    embedding = F.linear(narrow, last, head.last.bias.to(dtype)).float()

    loss, grad, cosine = native_language_loss(embedding, target, valid, weight)
    narrow_grad = grad.to(dtype)
    grad_hidden = (narrow_grad @ last).float()
    _library().lerf_relu_backward(
        *map(pointer, (hidden, grad_hidden)), ctypes.c_int64(hidden.numel())
    )
    head.last.weight.grad = (narrow_grad.T @ narrow).float()
    head.last.bias.grad = grad.sum(dim=0)
    head.feature_layer.weight.grad = grad_hidden.T @ features
    head.feature_layer.bias.grad = grad_hidden.sum(dim=0)
    head.scale_layer.weight.grad = grad_hidden.T @ scales
    grad_features = grad_hidden @ head.feature_layer.weight
    first = 0
    for grid in language.hash_grids:
        own = grad_features[:, first : first + grid.layout.width]
        grid.take_gradient(unit, own)
        first += grid.layout.width
    return loss, cosine
