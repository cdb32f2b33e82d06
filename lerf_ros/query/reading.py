"""Reading the language field fast: at many points and scales.

Two exact shortcuts through the language head, each with its twin in
:mod:`lerf_ros.query.relevancy`:

* The first layer is a sum of a part that knows only the features and one that knows only the
  scale. The first is computed once for all scales.
* The last layer is linear: with weights W and bias b its cosine with a text t is
  ``(t W h + t b) / |W h + b|``. ``t W`` is folded beforehand, and ``|W h + b|^2`` is a quadratic
  form in h, so the embedding itself is never made. That pays where an embedding is longer than
  the head is wide, as CLIP's 512 are.
"""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.field.language import LanguageHead, encode_scale
from lerf_ros.field.native_head import native_unit_embeddings, suits_native_head
from lerf_ros.query.objects import DenseReader
from lerf_ros.query.relevancy import EmbeddingField

CHUNK_POINTS = 4096
# A GPU waits for the host between chunks; these are its own size.
CUDA_CHUNK_POINTS = 65_536


@runtime_checkable
class HeadedField(EmbeddingField, Protocol):
    """A field whose language head is known from inside."""

    @property
    def language_head(self) -> LanguageHead:
        """What makes embeddings of features and scales."""
        ...

    def dense(self, features: Float[Tensor, 'n f']) -> Float[Tensor, 'n c']:
        """Returns dense features of language features; only where dense_size is not 0."""
        ...


def read_embeddings(
    field: EmbeddingField, positions_world: Float[Tensor, 'n 3'], scales_m: Float[Tensor, ' s']
) -> Float[Tensor, 'n s d']:
    """Returns unit embeddings of points at every scale."""
    features = field.language_features(positions_world)
    scales_m = scales_m.to(features.device)
    head = getattr(field, 'language_head', None)
    if isinstance(head, LanguageHead):
        if suits_native_head(head, features):
            return native_unit_embeddings(head, features, scales_m)
        with _as_trained(features.device):
            embeddings = head.last(_hidden(head, features, scales_m))
        return F.normalize(embeddings.float(), dim=-1)
    # A field of another make has only its public face.
    columns = [field.embed(features, scale_m.expand(len(features))) for scale_m in scales_m]
    return F.normalize(torch.stack(columns, dim=1), dim=-1)


class FieldReader:
    """Reads one field at some scales.

    Args:
        field: The field.
        scales_m: The scales.
    """

    def __init__(self, field: EmbeddingField, scales_m: Float[Tensor, ' s']) -> None:
        self._field, self._scales_m = field, scales_m

    def __call__(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, 'n s d']:
        """Returns unit embeddings."""
        return read_embeddings(self._field, positions_world, self._scales_m)

    def cosines(
        self, positions_world: Float[Tensor, 'n 3'], texts: Float[Tensor, 'k d']
    ) -> Float[Tensor, 'n s k']:
        """Returns cosines with texts, without making the embeddings where the field allows it."""
        if isinstance(getattr(self._field, 'language_head', None), LanguageHead):
            field = cast(HeadedField, self._field)
            return folded_cosines(field, positions_world, self._scales_m, texts)
        parts = [self(chunk) @ texts.T for chunk in positions_world.split(CHUNK_POINTS)]
        return torch.cat(parts)


def dense_reader(
    field: EmbeddingField, positions_world: Float[np.ndarray, 'n 3'], device: torch.device
) -> DenseReader | None:
    """Returns what reads unit dense features of chosen points; None where the field has none."""
    if not getattr(field, 'dense_size', 0):
        return None

    @torch.no_grad()
    def read(indices: Int[np.ndarray, ' k']) -> Float[np.ndarray, 'k c']:
        chosen = torch.from_numpy(positions_world[indices]).to(device)
        features = cast(HeadedField, field).dense(field.language_features(chosen))
        return F.normalize(features.float(), dim=-1).cpu().numpy()

    return read


class FoldedTexts:
    """Text embeddings folded into the last layer of a language head.

    Args:
        head: The head; its weights are read now and not again.
        texts: Unit embeddings.
    """

    def __init__(self, head: LanguageHead, texts: Float[Tensor, 'k d']) -> None:
        weight, bias = head.last.weight, head.last.bias
        self._head = head
        self._weight = texts @ weight
        self._bias = texts @ bias
        # |W h + b|^2 = h Q h + 2 q h + c. A factor of Q with as many rows as its rank makes h Q h
        # a sum of squares, which rounding cannot make negative.
        self._root = _square_root(weight)
        self._linear = 2 * bias @ weight
        self._constant = bias @ bias

    def cosines(
        self, features: Float[Tensor, 'n f'], scales_m: Float[Tensor, ' s']
    ) -> Float[Tensor, 'n s k']:
        """Returns the cosine of each point at each scale with each text."""
        with _as_trained(features.device):
            hidden = _hidden(self._head, features, scales_m.to(features.device))
            squares = (hidden @ self._root.T).float().square().sum(dim=-1)
            linear, dots = (hidden @ self._linear).float(), (hidden @ self._weight.T).float()
        norm = (squares + linear + self._constant).clamp(min=1e-12).sqrt()
        return (dots + self._bias) / norm[..., None]


def folded_cosines(
    field: HeadedField,
    positions_world: Float[Tensor, 'n 3'],
    scales_m: Float[Tensor, ' s'],
    texts: Float[Tensor, 'k d'],
) -> Float[Tensor, 'n s k']:
    """Returns the cosine of each point at each scale with each text, without any embedding."""
    folded = FoldedTexts(field.language_head, texts)
    points = CUDA_CHUNK_POINTS if positions_world.is_cuda else CHUNK_POINTS
    chunks = [
        folded.cosines(field.language_features(chunk), scales_m)
        for chunk in positions_world.split(points)
    ]
    return torch.cat(chunks) if chunks else texts.new_zeros((0, len(scales_m), len(texts)))


def _as_trained(device: torch.device) -> torch.autocast:
    """Returns what makes networks multiply as in training: in half precision on a GPU."""
    return torch.autocast(device.type, torch.float16, enabled=device.type == 'cuda')


def _hidden(
    head: LanguageHead, features: Float[Tensor, 'n f'], scales_m: Float[Tensor, ' s']
) -> Float[Tensor, 'n s w']:
    """Returns what the head's last layer reads, for every point and scale."""
    points = head.feature_layer(features)[:, None]
    scales = head.scale_layer(encode_scale(scales_m))[None]
    # In place: at all scales together these are the largest numbers of an answer.
    return head.hidden((points + scales).relu_())


def _square_root(weight: Float[Tensor, 'd w']) -> Float[Tensor, 'r w']:
    """Returns R with ``R^T R = W^T W`` and as few rows as W allows."""
    rows, columns = weight.shape
    if rows <= columns:
        return weight
    return torch.linalg.qr(weight.double()).R.to(weight.dtype)
