"""What a method must beat: chance, the phrase's colour, and fusion without a field.

All of them answer over the surface cloud of the map, in metres in the world frame.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from lerf_ros.features.pyramid import FeaturePyramid
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import backproject, transform_points
from lerf_ros.surface.depth_view import voxel_keys
from lerf_ros.surface.points import SurfacePoints

Array = np.ndarray

CHANCE_RADIUS_M = 0.05
# A colour difference of 2.3 in Lab is just noticeable; shading and noise of one surface span some
# ten times as much.
COLOUR_REACH = 30.0
NEIGHBOUR_VOXELS = 2.0


@dataclass(frozen=True, eq=False)
class Place:
    """A baseline's answer.

    Attributes:
        position_m: Where; None if nowhere.
        confidence: That it exists, 0 to 1; present from 0.5 on.
        point_indices: The thing's points in the cloud.
    """

    position_m: Float[Array, '3'] | None
    confidence: float
    point_indices: Int[Array, ' k']


NOWHERE = Place(None, 0.0, np.zeros(0, dtype=np.int64))


def chance(phrase: str, seed: int, surface: SurfacePoints) -> Place:
    """Returns a random surface point and what is around it; a coin says whether it exists.

    The same phrase and seed give the same numbers.
    """
    if not len(surface):
        return NOWHERE
    generator = np.random.default_rng([seed, zlib.crc32(phrase.encode())])
    centre = surface.positions[generator.integers(len(surface))]
    near = np.linalg.norm(surface.positions - centre, axis=1) <= CHANCE_RADIUS_M
    return Place(centre.astype(np.float64), float(generator.uniform()), np.flatnonzero(near))


def brightest_colour(
    phrase: str, colours: Mapping[str, Float[Array, '3']], surface: SurfacePoints
) -> Place:
    """Returns the largest patch that has the phrase's colour.

    Args:
        phrase: What is asked; without a colour word the answer is nowhere.
        colours: RGB in [0, 1] of each colour word.
        surface: The cloud.
    """
    words = re.findall(r'\w+', phrase.lower())
    colour = next((colours[word] for word in words if word in colours), None)
    if colour is None or not len(surface):
        return NOWHERE
    points = cv2.cvtColor((surface.colours[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    wanted = cv2.cvtColor(np.asarray(colour, np.float32)[None, None], cv2.COLOR_RGB2LAB)[0, 0]
    # Shading moves lightness far more than hue.
    distance = np.linalg.norm((points - wanted) * (0.5, 1.0, 1.0), axis=1)
    matching = np.flatnonzero(distance < COLOUR_REACH)
    if not len(matching):
        return NOWHERE
    likeness = 1 - distance[matching] / COLOUR_REACH
    groups = _groups(surface.positions[matching], NEIGHBOUR_VOXELS * surface.voxel_m)
    best = int(np.argmax(np.bincount(groups, weights=likeness)))
    patch = matching[groups == best]
    # An object of 3 cm shows some ten voxels of a centimetre: half as many are noise.
    confidence = min(1.0, len(patch) / 20)
    return Place(surface.positions[patch].mean(axis=0).astype(np.float64), confidence, patch)


class FusionField:
    """Pyramid embeddings averaged on voxels: what a mapper does that learns nothing.

    It answers like a language field, so that relevancy, maxima and existence are those of the
    query engine: what differs is only where the embeddings come from.

    Args:
        embedding_size: Length of an embedding.
        scales_m: Scales that are kept, ascending; between them embeddings are interpolated.
        voxel_m: Side of the voxels.
        max_range_m: Depth beyond this is left out, as the surface leaves it out.
    """

    def __init__(
        self,
        embedding_size: int,
        scales_m: Float[Tensor, ' s'],
        voxel_m: float,
        max_range_m: float = math.inf,
    ) -> None:
        self._max_range_m = max_range_m
        self._scales_m = scales_m.float()
        self._voxel_m = voxel_m
        self._size = embedding_size
        # Keys in ascending order, and the row of each.
        self._keys = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.int64)
        self._sums = torch.zeros(0, len(scales_m), embedding_size)
        self._positions = np.zeros((0, 3))
        self._tree: cKDTree | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def area_m2(self) -> float:
        """About the surface that it covers."""
        return len(self) * self._voxel_m**2

    @property
    def bytes(self) -> int:
        """Memory of its embeddings."""
        return len(self) * len(self._scales_m) * self._size * self._sums.element_size()

    def within(self, limit_bytes: int) -> FusionField:
        """Returns this with no more memory for its embeddings, made the most of.

        Half precision and every second scale cost little; what still does not fit is summed on
        coarser voxels.
        """
        kept = torch.arange(len(self._scales_m) - 1, -1, -2).flip(0)
        result = FusionField(self._size, self._scales_m[kept], self._voxel_m)
        most = max(limit_bytes // (2 * len(kept) * self._size), 1)
        positions, sums = self._positions, self._sums[: len(self)][:, kept]
        while True:
            keys, voxel = np.unique(voxel_keys(positions, result._voxel_m), return_inverse=True)
            if len(keys) <= most:
                break
            result._voxel_m *= 1.05
        rows = torch.from_numpy(voxel.reshape(-1))
        total = torch.zeros(len(keys), *sums.shape[1:]).index_add_(0, rows, sums)
        count = np.bincount(voxel.reshape(-1))[:, None]
        places = np.stack([np.bincount(voxel.reshape(-1), w) for w in positions.T], axis=1)
        result._keys, result._rows = keys, np.arange(len(keys))
        result._sums = F.normalize(total, dim=-1).half()
        result._positions = places / count
        return result

    def add(self, frame: PosedFrame, pyramid: FeaturePyramid, stride: int = 2) -> None:
        """Adds what one keyframe sees to the voxels it sees; frames without depth add nothing."""
        if frame.depth is None:
            return
        looked_at = frame.depth[::stride, ::stride]
        v, u = np.nonzero(np.isfinite(looked_at) & (looked_at <= self._max_range_m))
        uv = np.stack([u, v], axis=1) * stride + 0.5
        depth_m = frame.depth[v * stride, u * stride].astype(np.float64)
        world = transform_points(frame.camera_to_world, backproject(frame.camera, uv, depth_m))
        keys, first = np.unique(voxel_keys(world, self._voxel_m), return_index=True)
        rows = self._reserve(keys, world[first])
        pixels = torch.from_numpy(uv[first]).float()
        depth = torch.from_numpy(depth_m[first]).float()
        low, high = pyramid.tile_range_px
        for index, scale_m in enumerate(self._scales_m):
            tile_px = scale_m * frame.camera.fy / depth
            # Sizes far off the pyramid's would be answered with another size's embedding.
            inside = torch.nonzero((tile_px >= 0.8 * low) & (tile_px <= 1.25 * high))[:, 0]
            if len(inside):
                found = pyramid.lookup(pixels[inside], tile_px[inside]).float().cpu()
                self._sums[rows[inside], index] += found

    def language_features(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, 'n f']:
        """Returns the embeddings at all scales of the nearest voxel, side by side."""
        if self._tree is None:
            self._tree = cKDTree(self._positions)
        _, nearest = self._tree.query(positions_world.detach().cpu().numpy())
        means = F.normalize(self._sums[torch.from_numpy(nearest)].float(), dim=-1)
        return _fill_empty(means).flatten(1).to(positions_world.device)

    def embed(
        self, features: Float[Tensor, 'n f'], scale_m: Float[Tensor, ' n']
    ) -> Float[Tensor, 'n d']:
        """Returns the embedding at a scale, linear between the logarithms of two kept scales."""
        kept = features.reshape(len(features), -1, self._size)
        scales = self._scales_m.to(features.device)
        scale = scale_m.clamp(scales[0], scales[-1])
        upper = torch.searchsorted(scales, scale).clamp(1, len(scales) - 1)
        lower = upper - 1
        blend = torch.log(scale / scales[lower]) / torch.log(scales[upper] / scales[lower])
        index = torch.arange(len(features), device=features.device)
        return torch.lerp(kept[index, lower], kept[index, upper], blend[:, None])

    def _reserve(
        self, keys: Int[Array, ' k'], positions: Float[Array, 'k 3']
    ) -> Int[Tensor, ' k']:
        """Returns the row of each voxel, with new rows for new voxels; keys ascend."""
        at = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), dtype=bool)
        inside = at < len(self._keys)
        known[inside] = self._keys[at[inside]] == keys[inside]
        new = ~known
        if new.any():
            first = len(self)
            count = first + int(new.sum())
            self._keys = np.insert(self._keys, at[new], keys[new])
            self._rows = np.insert(self._rows, at[new], np.arange(first, count))
            if count > len(self._sums):
                grown = max(count - len(self._sums), len(self._sums), 4096)
                empty = torch.zeros(grown, len(self._scales_m), self._size)
                self._sums = torch.cat([self._sums, empty])
            self._positions = np.concatenate([self._positions, positions[new]])
            self._tree = None
        return torch.from_numpy(self._rows[np.searchsorted(self._keys, keys)])


def _fill_empty(means: Float[Tensor, 'n s d']) -> Float[Tensor, 'n s d']:
    """Gives scales that no view showed the embedding of the nearest scale that one did."""
    known = means.abs().amax(dim=-1) > 0
    count = means.shape[1]
    index = torch.arange(count)
    gap = (index[None, :, None] - index[None, None, :]).abs().float()
    gap = gap.expand(len(means), count, count).masked_fill(~known[:, None, :], count + 1.0)
    nearest = gap.argmin(dim=-1)
    return torch.gather(means, 1, nearest[..., None].expand_as(means))


def _groups(positions: Float[Array, 'n 3'], reach_m: float) -> Int[Array, ' n']:
    """Numbers the connected groups of points; neighbours are within reach."""
    pairs = cKDTree(positions).query_pairs(reach_m, output_type='ndarray')
    ones = np.ones(len(pairs), dtype=bool)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(positions),) * 2)
    return connected_components(graph, directed=False)[1]
