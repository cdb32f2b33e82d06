"""Relevancy of a view: what each pixel shows, read at the place in the world that it shows."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int
from scipy.spatial import cKDTree

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


def closest_points(tree: cKDTree, positions: Float[Array, 'n 3']) -> Int[Array, ' n']:
    """Returns the point of a tree closest to each position, the same one within each cell."""
    cells = np.floor(positions / CELL_M).astype(np.int64)
    # 21 bits an axis: four kilometres either way.
    keys = ((cells[:, 0] << 42) + (cells[:, 1] << 21)) + cells[:, 2]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return tree.query(positions[first])[1][inverse]


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
        nearest = closest_points(tree, positions[chunk])
        features = field.language_features(torch.from_numpy(positions[chunk]).to(texts.device))
        own_m = torch.from_numpy(scale_m[nearest]).to(texts.device)
        embeddings = F.normalize(field.embed(features, own_m), dim=-1)
        values = phrase_relevancy(embeddings @ texts.T, phrase).cpu().numpy()
        result[pixels[chunk]] = values
        yield
    return result.reshape(depth_m.shape)
