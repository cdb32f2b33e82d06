"""Windows of one image, pooled from feature maps that they share.

The image is seen at octaves, each half or twice as large as the next, so that a tile spans about
as many cells of the feature map in every one of them. Windows are pooled from that map by exact
fractional area, half over the whole window and half over its central quarter: what a tile is
centred on counts most. Boxes are ``(left, top, right, bottom)``, in cells unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

# A tile that just fits into an octave belongs there.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Octaves:
    """Factors by which an image is enlarged for tiles of a size, each twice the next.

    An octave is the binary logarithm of such a factor; it need not be a whole number.

    Attributes:
        max_tile_px: A tile is seen at the largest of them where its side is at most this many
            pixels.
        max_side_px: The largest makes the longer side of an image this many pixels; 1 for images
            whose own is longer.
        stride_px: Side of a cell, pixels.
    """

    max_tile_px: int
    max_side_px: int
    stride_px: int

    def of_tile(self, tile_px: float, width: int, height: int) -> float:
        """Returns the octave for a tile of an image of this size."""
        largest = max(0.0, math.log2(self.max_side_px / max(width, height)))
        excess = largest - math.log2(self.max_tile_px / max(tile_px, 1.0))
        return largest - max(0, math.ceil(excess - _ROUNDING))

    def size(self, image: Float[Tensor, '3 h w'], octave: float) -> tuple[int, int]:
        """Returns height and width of the image at an octave, in whole cells."""
        stride = self.stride_px
        height, width = (
            max(stride, round(side * 2.0**octave / stride) * stride) for side in image.shape[1:]
        )
        return height, width


class SharedWindows:
    """Embeds windows; those of one image share its feature maps.

    Args:
        octaves: At which sizes an image is seen.
        cells: Makes the feature map of an image at an octave.
        embed: Makes unit vectors of pooled features.
        embedding_size: Their size.
        device: Where they are made.
    """

    def __init__(
        self,
        octaves: Octaves,
        cells: Callable[[Tensor, float], Float[Tensor, 'c rows cols']],
        embed: Callable[[Float[Tensor, 'n c']], Float[Tensor, 'n d']],
        embedding_size: int,
        device: torch.device,
    ) -> None:
        self._octaves, self._cells, self._embed = octaves, cells, embed
        self._embedding_size, self._device = embedding_size, device
        # Maps of the image seen last, by octave: its levels arrive one by one.
        self._seen: tuple[Tensor, dict[float, Tensor]] | None = None

    def encode(
        self, image: Float[Tensor, '3 h w'], boxes: Float[Tensor, 'n 4']
    ) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each window.

        Windows of one call and of following calls with the same tensor share their passes.

        Args:
            image: The image.
            boxes: Its windows, pixels.
        """
        height, width = image.shape[1:]
        boxes = boxes.to(self._device, torch.float32)
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(dim=1).sqrt().cpu()
        sides, which = sides.unique(return_inverse=True)  # the tiles of a grid have one
        octaves = torch.tensor(
            [self._octaves.of_tile(side, width, height) for side in sides.tolist()],
            dtype=torch.float64,
        )[which]
        out = torch.zeros(len(boxes), self._embedding_size, device=self._device)
        for octave in octaves.unique().tolist():
            chosen = (octaves == octave).nonzero().squeeze(1).to(self._device)
            cells = self._map(image, octave)
            to_cells = boxes.new_tensor([cells.shape[2] / width, cells.shape[1] / height] * 2)
            out[chosen] = self._embed(pool_windows(cells, boxes[chosen] * to_cells))
        return out

    def _map(self, image: Tensor, octave: float) -> Float[Tensor, 'c rows cols']:
        if self._seen is None or self._seen[0] is not image:
            self._seen = image, {}
        maps = self._seen[1]
        if octave not in maps:
            maps[octave] = self._cells(image, octave)
        return maps[octave]


def pool_windows(
    cells: Float[Tensor, 'c rows cols'], boxes: Float[Tensor, 'n 4']
) -> Float[Tensor, 'n c']:
    """Returns the centre-weighted mean over each box, given in cells.

    Boxes are clipped to the map and keep at least a tenth of a cell. A mean over a box is one over
    rows and then over columns, so the windows of a grid cost two small products; those of any
    other boxes cost as much as the grid of all their rows and columns.
    """
    rows, cols = cells.shape[1:]
    down, row_of = _distinct(boxes[:, 1::2])
    across, col_of = _distinct(boxes[:, 0::2])
    by_row = cells.permute(1, 2, 0).reshape(rows, -1)
    total = cells.new_zeros(len(down), len(across), len(cells))
    for inset in (0.0, 0.25):
        over_rows = (_weights(down, inset, rows) @ by_row).reshape(len(down), cols, -1)
        total += _weights(across, inset, cols) @ over_rows / 2
    return total[row_of, col_of]


def _distinct(pairs: Float[Tensor, 'n 2']) -> tuple[Float[Tensor, 'k 2'], Int[Tensor, ' n']]:
    """Returns the distinct pairs of numbers, and which of them each one is."""
    if pairs.device.type != 'cpu':
        return pairs.unique(dim=0, return_inverse=True)
    # There torch compares rows one by one, which takes many times as long.
    values = pairs.numpy().astype(np.float64)
    distinct, which = np.unique(values[:, 0] + 1j * values[:, 1], return_inverse=True)
    both = np.stack([distinct.real, distinct.imag], axis=1).astype(np.float32)
    return torch.from_numpy(both), torch.from_numpy(which.reshape(-1))


def pool_alone(
    cells: Float[Tensor, 'c rows cols'], box: Float[Tensor, '4']
) -> Float[Tensor, '1 c']:
    """Returns what :func:`pool_windows` does for one box inside, cell by cell: its twin."""
    rows, cols = cells.shape[1:]
    left, top, right, bottom = box.tolist()
    pooled = torch.zeros(cells.shape[0], device=cells.device)
    for inset in (0.0, 0.25):
        inset_u, inset_v = inset * (right - left), inset * (bottom - top)
        down = _overlaps(rows, top + inset_v, bottom - inset_v)
        across = _overlaps(cols, left + inset_u, right - inset_u)
        area = torch.outer(down, across).to(cells.device)
        pooled += (cells * area).sum(dim=(1, 2)) / area.sum() / 2
    return pooled[None]


def _overlaps(count: int, start: float, stop: float) -> Float[Tensor, ' count']:
    """Returns the length that each of a row of cells shares with an interval, in cells."""
    edges = torch.arange(count + 1.0)
    return (edges[1:].clamp(max=stop) - edges[:-1].clamp(min=start)).clamp(min=0)


def _weights(
    intervals: Float[Tensor, 'n 2'], inset: float, count: int
) -> Float[Tensor, 'n count']:
    """Returns the share of each of a row of cells in each interval, less some at both ends."""
    margin = inset * (intervals[:, 1] - intervals[:, 0])
    start = (intervals[:, 0] + margin).clamp(0, count - 0.1)[:, None]
    stop = torch.maximum((intervals[:, 1] - margin).clamp(max=count)[:, None], start + 0.1)
    edges = torch.arange(count + 1.0, device=intervals.device)
    shared = torch.minimum(edges[1:], stop) - torch.maximum(edges[:-1], start)
    return shared.clamp(min=0) / (stop - start)
