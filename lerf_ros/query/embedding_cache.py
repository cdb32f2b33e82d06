"""Unit embeddings of surface points at every scale, kept between queries.

A query then is one product with the phrase's embeddings. Entries belong to voxels: each has its
row for as long as its voxel is part of the surface, so a surface that grows costs only its new
points. Each entry knows the training step it was read at. Entries that are missing or too old are
read when a query needs them; :meth:`EmbeddingCache.refresh` renews a few of the oldest between two
training steps, so that a query finds little to do. Points for which there is no room are read by
every query, as cosines and not as embeddings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.surface.points import SurfacePoints

logger = logging.getLogger(__name__)

MISSING = -1
# Entries that were never read are zero.
_SHORTEST = 1e-6
CHUNK_POINTS = 2048
# Rows are taken in blocks, so that no entry is ever moved.
BLOCK_ROWS = 4096


@runtime_checkable
class Reader(Protocol):
    """Reads the field at positions (n, 3)."""

    def __call__(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, 'n s d']:
        """Returns unit embeddings at every scale."""
        ...

    def cosines(
        self, positions_world: Float[Tensor, 'n 3'], texts: Float[Tensor, 'k d']
    ) -> Float[Tensor, 'n s k']:
        """Returns their cosines with unit embeddings of texts."""
        ...


class EmbeddingCache:
    """Embeddings of one field at the points of one surface.

    Args:
        limit_bytes: Bound on the memory of the embeddings. Points beyond it are read anew by each
            query.
        by_pieces: Whether surfaces are pieces of a larger one: what is not in the piece of now is
            kept as long as there is room, what was asked for longest ago goes first.
    """

    def __init__(self, limit_bytes: int, *, by_pieces: bool = False) -> None:
        self._limit_bytes, self._by_pieces = limit_bytes, by_pieces
        self.clear()

    def clear(self) -> None:
        """Forgets all entries."""
        self._blocks: list[Float[Tensor, 'b s d']] = []
        self._steps: Int[np.ndarray, ' r'] = np.zeros(0, np.int64)
        # When each row was last part of the surface, in surfaces.
        self._used: Int[np.ndarray, ' r'] = np.zeros(0, np.int64)
        self._turn = 0
        # The voxels that have a row, in ascending order, and these rows.
        self._keys: Int[np.ndarray, ' m'] = np.zeros(0, np.int64)
        self._key_rows: Int[np.ndarray, ' m'] = np.zeros(0, np.int64)
        self._surface: SurfacePoints | None = None
        self._rows: Int[np.ndarray, ' n'] = np.zeros(0, np.int64)
        self._told_full = False

    @property
    def steps(self) -> Int[np.ndarray, ' m']:
        """Training step of each point's entry, -1 for none; points without a row are left out."""
        return self._steps[self._rows[self._rows >= 0]]

    def follow(self, surface: SurfacePoints, scales: int, size: int, device: torch.device) -> None:
        """Gives the points of this surface their rows.

        Args:
            surface: The points.
            scales: Number of scales.
            size: Length of an embedding.
            device: Where the entries live.
        """
        if self._blocks and (
            tuple(self._blocks[0].shape[1:]) != (scales, size) or self._blocks[0].device != device
        ):
            self.clear()
        if surface is self._surface:
            return
        order = np.argsort(surface.keys, kind='stable')
        keys = surface.keys[order]
        rows = np.full(len(keys), -1)
        at = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        if len(self._keys):
            known = self._keys[at] == keys
            rows[known] = self._key_rows[at[known]]
        new = np.sort(order[rows < 0])
        other = self._others(rows[rows >= 0], len(new), scales * size * _dtype(device).itemsize)
        taken = np.zeros(len(self._steps), bool)
        taken[rows[rows >= 0]] = True
        taken[self._key_rows[other]] = True
        # What is no longer seen gives its row to what is new.
        self._steps[~taken] = MISSING
        self._grow(int(taken.sum()) + len(new), scales, size, device)
        free = np.flatnonzero(
            np.pad(~taken, (0, len(self._steps) - len(taken)), constant_values=1)
        )
        by_point = np.empty_like(rows)
        by_point[order] = rows
        by_point[new[: len(free)]] = free[: len(new)]
        self._rows, self._surface = by_point, surface
        held = by_point[order] >= 0
        named = np.concatenate([keys[held], self._keys[other]])
        sorted_ = np.argsort(named, kind='stable')
        self._key_rows = np.concatenate([by_point[order][held], self._key_rows[other]])[sorted_]
        self._keys = named[sorted_]
        self._turn += 1
        self._used[by_point[by_point >= 0]] = self._turn
        if len(new) > len(free) and not self._told_full:
            self._told_full = True
            logger.info(
                'the embedding cache holds %d of %d surface points; raise query.cache_limit_mb '
                'for faster answers',
                int(held.sum()),
                len(surface),
            )

    def _others(
        self, present: Int[np.ndarray, ' p'], new: int, entry_bytes: int
    ) -> Int[np.ndarray, ' o']:
        """Returns which of the known voxels keep their rows though they are not in this piece."""
        if not self._by_pieces:
            return np.zeros(0, np.int64)
        here = np.zeros(len(self._steps), bool)
        here[present] = True
        others = np.flatnonzero(~here[self._key_rows])
        room = max(0, self._limit_bytes // entry_bytes - len(present) - new)
        # The ones asked for last stay.
        latest = np.argsort(-self._used[self._key_rows[others]], kind='stable')
        return np.sort(others[latest[:room]])

    def _grow(self, rows: int, scales: int, size: int, device: torch.device) -> None:
        """Takes blocks until there are so many rows, or as many as the bound allows."""
        dtype = _dtype(device)
        limit = self._limit_bytes // (dtype.itemsize * scales * size)
        while len(self._steps) < min(rows, limit):
            count = min(BLOCK_ROWS, limit - len(self._steps))
            self._blocks.append(torch.zeros((count, scales, size), dtype=dtype, device=device))
            self._steps = np.append(self._steps, np.full(count, MISSING))
            self._used = np.append(self._used, np.zeros(count, np.int64))

    def refresh(self, read: Reader, step: int, budget_points: int, min_age_steps: int = 0) -> int:
        """Reads the oldest entries anew; returns how many.

        Args:
            read: Reads embeddings at positions.
            step: The training step they belong to.
            budget_points: Most points to read.
            min_age_steps: Younger entries stay; missing ones are read first.
        """
        if self._surface is None or not self._blocks:
            return 0
        steps = np.where(self._rows >= 0, self._steps[self._rows], step)
        age = step - steps
        old = np.flatnonzero((steps == MISSING) | (age >= max(min_age_steps, 1)))
        if len(old) > budget_points:
            # Missing entries have the lowest step, so they come first.
            order = np.argpartition(steps[old], budget_points)
            old = np.sort(old[order[:budget_points]])
        for start in range(0, len(old), CHUNK_POINTS):
            points = old[start : start + CHUNK_POINTS]
            self._write(self._rows[points], read(self._positions(points)))
        self._steps[self._rows[old]] = step
        return len(old)

    def cosines(self, read: Reader, texts: Float[Tensor, 'k d']) -> Float[Tensor, 'n s k']:
        """Returns the cosine of every point at every scale with every text."""
        return self._by_point(
            lambda block: (
                (block.flatten(end_dim=1) @ texts.T.to(block.dtype))
                .float()
                .reshape(*block.shape[:2], -1)
            ),
            lambda positions: read.cosines(positions, texts),
        )

    def cosines_by_scale(self, read: Reader, each: Float[Tensor, 's d']) -> Float[Tensor, 'n s']:
        """Returns the cosine of every point at every scale with that scale's own vector."""
        return self._by_point(
            lambda block: torch.einsum('rsd,sd->rs', block, each.to(block.dtype)).float(),
            lambda positions: read.cosines(positions, each).diagonal(dim1=1, dim2=2),
        )

    def lengths(
        self, read: Reader, part: Callable[[Float[Tensor, '*n d']], Float[Tensor, '*n d']]
    ) -> Float[Tensor, 'n s']:
        """Returns the length of a part of the embedding of every point at every scale.

        Args:
            read: Reads embeddings at positions.
            part: Returns the unit vectors along that part.
        """

        def of(embeddings: Float[Tensor, 'k s d']) -> Float[Tensor, 'k s']:
            chunks = embeddings.split(CHUNK_POINTS)
            lengths = [(each * part(each)).sum(dim=-1).float() for each in chunks]
            return torch.cat(lengths).clamp(min=_SHORTEST)

        return self._by_point(
            of,
            lambda positions: torch.cat(
                [of(read(each)) for each in positions.split(CHUNK_POINTS)]
            ),
        )

    def embeddings(self, read: Reader, points: Int[np.ndarray, ' k']) -> Float[Tensor, 'k s d']:
        """Returns the unit embeddings of some points."""
        rows = self._rows[points]
        parts, places = [], []
        for number, block in enumerate(self._blocks):
            own = np.flatnonzero((rows >= 0) & (rows // BLOCK_ROWS == number))
            if len(own):
                parts.append(block[torch.from_numpy(rows[own] % BLOCK_ROWS)].float())
                places.append(own)
        if (rows < 0).any() or not parts:
            own = np.flatnonzero(rows < 0)
            parts.append(read(self._positions(points[own])))
            places.append(own)
        result = torch.empty_like(torch.cat(parts))
        result[torch.from_numpy(np.concatenate(places))] = torch.cat(parts)
        return result

    def means(self) -> Float[Tensor, 's d']:
        """Returns the unit mean of all cached embeddings at each scale: what the scene shows."""
        filled = torch.from_numpy((self._steps != MISSING).astype(np.float32))
        total = sum(
            torch.tensordot(own.to(block.device), block.float(), dims=1)
            for block, own in zip(self._blocks, filled.split(BLOCK_ROWS), strict=True)
        )
        return F.normalize(torch.as_tensor(total), dim=-1)

    def _positions(self, points: Int[np.ndarray, ' k'] | Bool[np.ndarray, ' n']) -> Tensor:
        assert self._surface is not None
        positions = torch.from_numpy(self._surface.positions[points])
        return positions.to(self._blocks[0].device) if self._blocks else positions

    def _write(self, rows: Int[np.ndarray, ' k'], values: Float[Tensor, 'k s d']) -> None:
        numbers = np.unique(rows // BLOCK_ROWS)
        for number in numbers:
            own = np.flatnonzero(rows // BLOCK_ROWS == number)
            block = self._blocks[number]
            # A copy of all values is saved where they belong to one block.
            chosen = (
                values if len(numbers) == 1 else values[torch.from_numpy(own).to(values.device)]
            )
            block[torch.from_numpy(rows[own] % BLOCK_ROWS)] = chosen.to(block.dtype)

    def _by_point(
        self, of_block: Callable[[Tensor], Tensor], of_positions: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Computes values of all rows and of the points without one, in the order of points."""
        without = self._rows < 0
        if without.all():
            return of_positions(self._positions(without))
        rows = torch.from_numpy(np.maximum(self._rows, 0)).to(self._blocks[0].device)
        if self._by_pieces:  # most rows are of other pieces
            parts, places = [], []
            for number in (rows // BLOCK_ROWS).unique().tolist():
                own = (rows // BLOCK_ROWS == number).nonzero()[:, 0]
                parts.append(of_block(self._blocks[number][rows[own] % BLOCK_ROWS]))
                places.append(own)
            result = torch.cat(parts)
            result[torch.cat(places)] = result.clone()
        else:
            result = torch.cat([of_block(block) for block in self._blocks])[rows]
        if without.any():
            result[torch.from_numpy(without)] = of_positions(self._positions(without))
        return result


def _dtype(device: torch.device) -> torch.dtype:
    """Half precision pays on a GPU; CPUs multiply it slower than they save on reading it."""
    return torch.float16 if device.type == 'cuda' else torch.float32
