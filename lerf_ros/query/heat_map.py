"""Relevancy of a view: what each pixel shows, read at the place in the world that it shows."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int
from scipy.spatial import cKDTree
from torch import Tensor

from lerf_ros.geometry import PinholeCamera, backproject, pixel_centres, transform_points
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.relevancy import EmbeddingField, phrase_relevancy
from lerf_ros.scheduling.pieces import Pieces, each_within

Array = np.ndarray

# A few milliseconds of work.
CHUNK_POINTS = {'cpu': 8192, 'cuda': 131_072}
# Pixels within so small a cube have the same closest surface point, or one as good.
CELL_M = 0.004


def view_points(
    depth_m: Float[Array, 'height width'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
) -> tuple[Float[Array, 'n 3'], Int[Array, ' n']]:
    """Returns the world position of each pixel of known depth, and the pixel's flat index."""
    known = np.flatnonzero(np.isfinite(depth_m) & (depth_m > 0))
    uv = pixel_centres(camera).reshape(-1, 2)[known]
    points_camera = backproject(camera, uv, depth_m.reshape(-1)[known].astype(np.float64))
    return transform_points(camera_to_world, points_camera).astype(np.float32), known


def closest_points(tree: cKDTree, positions: Float[Tensor, 'n 3']) -> Int[Array, ' n']:
    """Returns the point of a tree closest to each position, the same one within each cell."""
    cells = torch.floor(positions / CELL_M).long()
    # 21 bits an axis: four kilometres either way.
    keys = (cells[:, 0] << 42) + (cells[:, 1] << 21) + cells[:, 2]
    unique, inverse = keys.unique(return_inverse=True)
    numbers = torch.arange(len(keys), device=keys.device)
    first = torch.empty_like(unique).scatter_(0, inverse, numbers)
    return tree.query(positions[first].cpu().numpy())[1][inverse.cpu().numpy()]


@each_within(torch.no_grad)
def view_relevancy(
    field: EmbeddingField,
    depth_m: Float[Array, 'height width'],
    camera: PinholeCamera,
    camera_to_world: Float[Array, '4 4'],
    scales: tuple[cKDTree, Float[Array, ' n']],
    phrase: Phrase,
) -> Pieces[Float32[Array, 'height width']]:
    """Returns the relevancy of what each pixel shows, NaN where that is unknown.

    Args:
        field: The field to read.
        depth_m: Depth of the view, NaN where unknown.
        camera: Its intrinsics.
        camera_to_world: Its pose.
        scales: Surface points, and the scale at which each of them is read.
        phrase: What is looked for.
    """
    tree, scale_m = scales
    texts = phrase.compared
    positions, pixels = view_points(depth_m, camera, camera_to_world)
    result = np.full(depth_m.size, np.nan, np.float32)
    count = CHUNK_POINTS.get(texts.device.type, CHUNK_POINTS['cpu'])
    for start in range(0, len(pixels), count):
        chunk = slice(start, start + count)
        here = torch.from_numpy(positions[chunk]).to(texts.device)
        features = field.language_features(here)
        own_m = torch.from_numpy(scale_m[closest_points(tree, here)]).to(texts.device)
        embeddings = F.normalize(field.embed(features, own_m), dim=-1)
        values = phrase_relevancy(embeddings @ texts.T, phrase).cpu().numpy()
        result[pixels[chunk]] = values
        yield
    return result.reshape(depth_m.shape)
