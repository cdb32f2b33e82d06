"""Unit embeddings of surface points at every scale, kept between queries.

A query then is one product with the phrase's embeddings. Entries belong to voxels, so they outlive
the growth of the surface; each knows the training step it was read at. Entries that are missing or
too old are read when a query needs them; :meth:`EmbeddingCache.refresh` renews a few of the oldest
between two training steps, so that a query finds little to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.surface.points import SurfacePoints

logger = logging.getLogger(__name__)

# Reads unit embeddings (n, s, d) at positions (n, 3).
Reader = Callable[[Tensor], Tensor]

MISSING = -1
CHUNK_POINTS = 2048


class EmbeddingCache:
    """Embeddings of one field at the points of one surface.

    Args:
        limit_bytes: Bound on the memory of the embeddings. Points beyond it are read anew by each
            query.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.clear()

    def clear(self) -> None:
        """Forgets all entries."""
        self._keys: Int[np.ndarray, 'n'] = np.zeros(0, np.int64)
        self._steps: Int[np.ndarray, 'n'] = np.zeros(0, np.int64)
        self._embeddings: Float[Tensor, 'n s d'] | None = None
        self._surface: SurfacePoints | None = None

    @property
    def steps(self) -> Int[np.ndarray, 'n']:
        """Training step of each point's entry, -1 for none."""
        return self._steps

    def follow(self, surface: SurfacePoints, scales: int, size: int, device: torch.device) -> None:
        """Makes the entries those of this surface's points, in their order.

        Args:
            surface: The points.
            scales: Number of scales.
            size: Length of an embedding.
            device: Where the entries live.
        """
        shape = (scales, size)
        if self._embeddings is not None and (
            tuple(self._embeddings.shape[1:]) != shape or self._embeddings.device != device
        ):
            self.clear()
        if surface is self._surface:
            return
        # Half precision pays on a GPU; CPUs multiply it slower than they save on reading it.
        dtype = torch.float16 if device.type == 'cuda' else torch.float32
        bytes_each = dtype.itemsize * scales * size
        count = min(len(surface), self._limit_bytes // bytes_each)
        if count < len(surface) and (self._surface is None or count == len(self._keys)):
            logger.info(
                'the embedding cache holds %d of %d surface points; raise query.cache_limit_mb '
                'for faster answers',
                count,
                len(surface),
            )
        keys = surface.keys[:count]
        embeddings = torch.empty((count, *shape), dtype=dtype, device=device)
        steps = np.full(count, MISSING, np.int64)
        if self._embeddings is not None and len(self._keys):
            order = np.argsort(self._keys)
            at = np.searchsorted(self._keys, keys, sorter=order)
            old = order[np.minimum(at, len(order) - 1)]
            known = np.flatnonzero(self._keys[old] == keys)
            embeddings[torch.from_numpy(known)] = self._embeddings[torch.from_numpy(old[known])]
            steps[known] = self._steps[old[known]]
        self._keys, self._steps, self._embeddings = keys, steps, embeddings
        self._surface = surface

    def refresh(self, read: Reader, step: int, budget_points: int, min_age_steps: int = 0) -> int:
        """Reads the oldest entries anew; returns how many.

        Args:
            read: Reads embeddings at positions.
            step: The training step they belong to.
            budget_points: Most points to read.
            min_age_steps: Younger entries stay; missing ones are read first.
        """
        if self._surface is None or self._embeddings is None:
            return 0
        age = step - self._steps
        old = np.flatnonzero((self._steps == MISSING) | (age >= max(min_age_steps, 1)))
        if len(old) > budget_points:
            # Missing entries have the lowest step, so they come first.
            order = np.argpartition(self._steps[old], budget_points)
            old = np.sort(old[order[:budget_points]])
        for start in range(0, len(old), CHUNK_POINTS):
            rows = old[start : start + CHUNK_POINTS]
            positions = torch.from_numpy(self._surface.positions[rows])
            values = read(positions.to(self._embeddings.device))
            self._embeddings[torch.from_numpy(rows)] = values.to(self._embeddings.dtype)
        self._steps[old] = step
        return len(old)

    def cosines(self, read: Reader, texts: Float[Tensor, 'k d']) -> Float[Tensor, 'n s k']:
        """Returns the cosine of every point at every scale with every text.

        Points without an entry, for which there was no room, are read now.
        """
        assert self._surface is not None
        assert self._embeddings is not None
        count, scales, size = self._embeddings.shape
        device = self._embeddings.device
        result = torch.empty((len(self._surface), scales, len(texts)), device=device)
        flat = self._embeddings.reshape(-1, size)
        own = texts.T.to(flat.dtype)
        result[:count] = (flat @ own).float().reshape(count, scales, -1)
        for start in range(count, len(self._surface), CHUNK_POINTS):
            rows = slice(start, start + CHUNK_POINTS)
            positions = torch.from_numpy(self._surface.positions[rows]).to(device)
            result[rows] = read(positions) @ texts.T
        return result

    def embeddings(self, read: Reader, rows: Int[np.ndarray, 'k']) -> Float[Tensor, 'k s d']:
        """Returns the unit embeddings of some points."""
        assert self._surface is not None
        assert self._embeddings is not None
        count = len(self._embeddings)
        device = self._embeddings.device
        result = torch.empty((len(rows), *self._embeddings.shape[1:]), device=device)
        cached = rows < count
        result[torch.from_numpy(cached)] = self._embeddings[torch.from_numpy(rows[cached])].float()
        if not cached.all():
            positions = torch.from_numpy(self._surface.positions[rows[~cached]]).to(device)
            result[torch.from_numpy(~cached)] = read(positions)
        return result

    def means(self) -> Float[Tensor, 's d']:
        """Returns the unit mean of all cached embeddings at each scale: what the scene shows."""
        assert self._embeddings is not None
        return F.normalize(self._embeddings.float().mean(dim=0), dim=-1)

    def cosines_by_scale(self, read: Reader, each: Float[Tensor, 's d']) -> Float[Tensor, 'n s']:
        """Returns the cosine of every point at every scale with that scale's own vector."""
        assert self._surface is not None
        assert self._embeddings is not None
        count, scales, _ = self._embeddings.shape
        device = self._embeddings.device
        result = torch.empty((len(self._surface), scales), device=device)
        own = each.to(self._embeddings.dtype)
        for scale in range(scales):
            result[:count, scale] = (self._embeddings[:, scale] @ own[scale]).float()
        for start in range(count, len(self._surface), CHUNK_POINTS):
            rows = slice(start, start + CHUNK_POINTS)
            positions = torch.from_numpy(self._surface.positions[rows]).to(device)
            result[rows] = (read(positions) * each).sum(dim=-1)
        return result
