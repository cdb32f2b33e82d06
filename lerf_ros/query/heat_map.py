"""Relevancy of a view: what each pixel shows, read at the place in the world that it shows."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.geometry import PinholeCamera, backproject, pixel_centres, transform_points
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.relevancy import EmbeddingField, relevancy

Array = np.ndarray

CHUNK_POINTS = 16384


def view_points(
    depth_m: Float[Array, 'height width'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
) -> tuple[Float[Array, 'n 3'], Int[Array, 'n']]:
    """Returns the world position of each pixel of known depth, and the pixel's flat index."""
    known = np.flatnonzero(np.isfinite(depth_m) & (depth_m > 0))
    uv = pixel_centres(camera).reshape(-1, 2)[known]
    points_camera = backproject(camera, uv, depth_m.reshape(-1)[known].astype(np.float64))
    return transform_points(camera_to_world, points_camera).astype(np.float32), known


def point_relevancy(
    field: EmbeddingField,
    positions_world: Float[Tensor, 'n 3'],
    scale_m: Float[Tensor, 'n'],
    phrase: Phrase,
    temperature: float,
) -> Float[Tensor, 'n']:
    """Returns the relevancy of points, each at a scale of its own."""
    texts = torch.cat([phrase.positives, phrase.negatives])
    chunks = []
    for positions, scales in zip(
        positions_world.split(CHUNK_POINTS), scale_m.split(CHUNK_POINTS), strict=True
    ):
        embeddings = F.normalize(field.embed(field.language_features(positions), scales), dim=-1)
        chunks.append(relevancy(embeddings @ texts.T, len(phrase.positives), temperature))
    return torch.cat(chunks) if chunks else scale_m.new_zeros(0)
