"""A few embeddings for each cell of a surface: where in a large map an exact look is worth while.

A cell is a cube of space. A few of its surface points stand for it, those that differ most, each
at a few scales; their unit embeddings are kept in 8 bits, along the few directions in which those
of a submap differ. The index answers in which cells a phrase may be, not where exactly; it stays
in memory while its submap sleeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int8
from torch import Tensor

from lerf_ros.query.phrase import Phrase
from lerf_ros.query.reading import CHUNK_POINTS, read_embeddings
from lerf_ros.query.relevancy import EmbeddingField
from lerf_ros.surface.points import SurfacePoints

# Crops of things one carries: as wide as they are, and up to three times as wide.
SCALES_M = (0.08, 0.13, 0.21, 0.34)
_UNIT = 127.0
# How much of the closest distractor's cosine counts against a cell, and how far apart points are
# that differ as much by their place as black does from white by its colour. In four maps of two
# flats 361 of 370 things lay in the pieces that were chosen by whole differences of cosines at
# points drawn by chance; 367 with these, in fewer pieces.
_DISTRACTOR_SHARE = 2 / 3
_AS_BLACK_FROM_WHITE_M = 0.25
# Directions that are kept: so many that this share of the squared length is left, or all.
_KEPT_SHARE = 0.998
_MOST_DIRECTIONS = 64
# Share of all cells, those closest to a phrase, that are compared with distractors; at least and
# at most so many, so that a floor costs little more than a flat. Nothing was lost by it in flats.
_COMPARED_SHARE, _LEAST_COMPARED, _MOST_COMPARED = 0.1, 256, 4096


@dataclass(frozen=True, eq=False)
class CoarseIndex:
    """The cells of one submap.

    Attributes:
        centres: Middle of the points that stand for each cell, metres, in the submap's frame.
        embeddings: Their unit embeddings times 127, by point and scale, along the basis.
        basis: Orthonormal directions.
        step: Training step they were read at.
    """

    centres: Float32[np.ndarray, 'm 3']
    embeddings: Int8[Tensor, 'm e k']
    basis: Float[Tensor, 'k d']
    step: int

    def __len__(self) -> int:
        return len(self.centres)

    def closeness(self, phrase: Phrase) -> Float[np.ndarray, ' m']:
        """Returns the greatest cosine of each cell with a phrase that is rounded to 8 bits.

        Processors multiply whole numbers of 8 bits several times as fast as they widen them.
        """
        along = phrase.positives.to(self.basis) @ self.basis.T
        unit = along.abs().amax(dim=1).clamp(min=1e-12) / _UNIT
        whole = (along / unit[:, None]).round().to(torch.int8)
        products = _products(self.embeddings.flatten(end_dim=1), whole.T.contiguous())
        best = products.unflatten(0, self.embeddings.shape[:2]).amax(dim=1) * (unit / _UNIT)
        return best.amax(dim=1).numpy()

    def advantage(self, phrase: Phrase, cells: Int[np.ndarray, ' c']) -> Float[np.ndarray, ' c']:
        """Returns how close some cells are to a phrase, less what else they could be.

        That is the greatest cosine with the phrase less a share of that with the closest of its
        distractors. Relevancy, which knows the negatives only, is high wherever anything lies. The
        whole difference finds what is like nothing else before what is like the phrase: a spoon
        that looks even more like a fork came after all that looks like neither.
        """
        others = phrase.distractors if len(phrase.distractors) else phrase.negatives
        embeddings = self.embeddings[torch.from_numpy(cells)].float() / _UNIT

        def cosines(texts: Float[Tensor, 't d']) -> Float[Tensor, 'c e']:
            return (embeddings @ (texts.to(self.basis) @ self.basis.T).T).amax(dim=2)

        best = cosines(phrase.positives)
        if len(others):
            best = best - _DISTRACTOR_SHARE * cosines(others)
        return best.amax(dim=1).numpy()

    def means(self) -> Float[Tensor, 's d']:
        """Returns the unit mean embedding at each scale: what the submap shows."""
        by_scale = self.embeddings.float().unflatten(1, (-1, len(SCALES_M))).mean(dim=(0, 1))
        return torch.nn.functional.normalize(by_scale @ self.basis, dim=-1)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything as tensors, for a map file."""
        return {
            'centres': torch.from_numpy(self.centres),
            'embeddings': self.embeddings,
            'basis': self.basis,
            'step': torch.tensor(self.step),
        }

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> CoarseIndex:
        """Returns the index of a map file.

        Raises:
            ValueError: Something is missing or of another shape.
        """
        try:
            centres, embeddings = state['centres'].numpy(), state['embeddings']
            basis = state['basis']
            if centres.shape != (len(embeddings), 3) or embeddings.dtype != torch.int8:
                raise ValueError(f'index: expected cells, got {centres.shape}')
            if embeddings.dim() != 3 or embeddings.shape[2] != len(basis):
                raise ValueError(f'index: expected a basis of {embeddings.shape}')
            return cls(centres, embeddings, basis, int(state['step']))
        except KeyError as error:
            raise ValueError(f'index: the saved state lacks {error}') from error


def _products(rows: Int8[Tensor, 'm k'], columns: Int8[Tensor, 'k p']) -> Float[Tensor, 'm p']:
    """Returns ``rows @ columns`` in whole numbers."""
    try:
        return torch._int_mm(rows, columns).float()
    except (AttributeError, RuntimeError):  # a torch without it on CPUs
        return rows.float() @ columns.float()


@torch.no_grad()
def promises(indices: Sequence[CoarseIndex], phrase: Phrase) -> list[Float[np.ndarray, ' _']]:
    """Returns for each submap what each cell promises, see :meth:`CoarseIndex.advantage`.

    Cells far from the phrase are not compared with anything else: minus infinity.
    """
    near = [
        index.closeness(phrase) if len(index) else np.zeros(0, np.float32) for index in indices
    ]
    everywhere = np.concatenate([np.zeros(0, np.float32), *near])
    share = math.ceil(_COMPARED_SHARE * len(everywhere))
    count = min(max(_LEAST_COMPARED, min(share, _MOST_COMPARED)), len(everywhere))
    least = np.partition(everywhere, -count)[-count] if count else np.inf
    scores = []
    for index, values in zip(indices, near, strict=True):
        scores.append(np.full(len(index), -np.inf, np.float32))
        cells = np.flatnonzero(values >= least)
        if len(cells):
            scores[-1][cells] = index.advantage(phrase, cells)
    return scores


@torch.no_grad()
def build_index(
    field: EmbeddingField,
    points: SurfacePoints,
    cell_m: float,
    points_each: int,
    step: int,
    device: torch.device,
) -> CoarseIndex:
    """Reads the index of a surface.

    Args:
        field: The submap's field.
        points: Its surface.
        cell_m: Side of a cell.
        points_each: Points that stand for a cell; cells with fewer repeat theirs.
        step: The training step.
        device: Where the field lives.
    """
    cells = np.floor(points.positions / cell_m).astype(np.int64)
    cells -= cells.min(axis=0, initial=0)
    spans = cells.max(axis=0, initial=0) + 1
    names = (cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2]
    rows = _differing_rows(points, names, points_each)
    chosen = torch.from_numpy(points.positions[rows.ravel()]).to(device)
    scales = torch.tensor(SCALES_M)
    read = [read_embeddings(field, chunk, scales) for chunk in chosen.split(CHUNK_POINTS)]
    basis = _basis_of(read)
    narrow = [(chunk @ basis.T * _UNIT).round().to(torch.int8).cpu() for chunk in read]
    embeddings = torch.cat(narrow) if narrow else torch.zeros(0, dtype=torch.int8)
    centres = points.positions[rows].mean(axis=1) if len(rows) else np.zeros((0, 3), np.float32)
    return CoarseIndex(
        centres.astype(np.float32),
        embeddings.reshape(len(rows), points_each * len(SCALES_M), len(basis)),
        basis.cpu(),
        step,
    )


def _differing_rows(
    points: SurfacePoints, names: Int[np.ndarray, ' n'], count: int
) -> Int[np.ndarray, 'm count']:
    """Returns points that stand for each cell: what lies on a shelf differs from the shelf.

    The first is the closest to the mean, each further one the farthest from those before it, in
    colour and place. The same surface gives the same points.

    Args:
        points: A surface.
        names: Number of the cell of each point.
        count: Points for each cell; a cell with fewer repeats them.
    """
    order = np.lexsort((points.keys, names))
    starts = np.flatnonzero(np.diff(names[order], prepend=-1))
    if not len(starts):
        return np.zeros((0, count), np.int64)
    counts = np.diff(np.append(starts, len(order)))
    cell = np.repeat(np.arange(len(starts)), counts)
    colours = points.colours[order].astype(np.float64) / 255
    looks = np.hstack([colours, points.positions[order] / _AS_BLACK_FROM_WHITE_M])
    means = np.add.reduceat(looks, starts) / counts[:, None]
    least = -((looks - means[cell]) ** 2).sum(axis=1)
    chosen: list[np.ndarray] = []
    for number in range(count):
        highest = np.flatnonzero(least == np.maximum.reduceat(least, starts)[cell])
        chosen.append(highest[np.flatnonzero(np.diff(cell[highest], prepend=-1))])
        far = ((looks - looks[chosen[-1]][cell]) ** 2).sum(axis=1)
        least = far if number == 0 else np.minimum(least, far)
    return order[np.stack(chosen, axis=1)]


def _basis_of(read: list[Float[Tensor, '_ s d']]) -> Float[Tensor, 'k d']:
    """Returns the directions, the strongest first, along which embeddings lie."""
    if not read:
        return torch.zeros(0, 0)
    squares = sum(chunk.flatten(end_dim=1).T @ chunk.flatten(end_dim=1) for chunk in read)
    strength, directions = torch.linalg.eigh(torch.as_tensor(squares).double())
    strength, directions = strength.flip(0).clamp(min=0), directions.flip(1)
    left = strength.cumsum(0) / strength.sum()
    count = min(int((left < _KEPT_SHARE).sum()) + 1, _MOST_DIRECTIONS)
    return directions[:, :count].T.to(read[0].dtype).contiguous()
