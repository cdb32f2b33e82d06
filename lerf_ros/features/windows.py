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

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Octaves:
    """Powers of two by which an image is enlarged for tiles of a size.

    Attributes:
        max_tile_px: A tile is seen at the octave where its side is below this many pixels and at
            least half of it.
        max_side_px: No octave is wider or higher than this, unless the image itself is.
        stride_px: Side of a cell, pixels.
    """

    max_tile_px: int
    max_side_px: int
    stride_px: int

    def of_tile(self, tile_px: float, width: int, height: int) -> int:
        """Returns the octave for a tile of an image of this size."""
        largest = max(0, math.floor(math.log2(self.max_side_px / max(width, height))))
        return min(math.floor(math.log2(self.max_tile_px / max(tile_px, 1.0))), largest)

    def size(self, image: Float[Tensor, '3 h w'], octave: int) -> tuple[int, int]:
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
        cells: Callable[[Tensor, int], Float[Tensor, 'c rows cols']],
        embed: Callable[[Float[Tensor, 'n c']], Float[Tensor, 'n d']],
        embedding_size: int,
        device: torch.device,
    ) -> None:
        self._octaves, self._cells, self._embed = octaves, cells, embed
        self._embedding_size, self._device = embedding_size, device
        # Integral images of the image seen last, by octave: its levels arrive one by one.
        self._seen: tuple[Tensor, dict[int, Tensor]] | None = None

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
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(dim=1).sqrt().tolist()
        octaves = torch.tensor([self._octaves.of_tile(side, width, height) for side in sides])
        out = torch.zeros(len(boxes), self._embedding_size, device=self._device)
        for octave in octaves.unique().tolist():
            chosen = (octaves == octave).nonzero().squeeze(1).to(self._device)
            integral = self._integral(image, octave)
            rows, cols = integral.shape[0] - 1, integral.shape[1] - 1
            to_cells = boxes.new_tensor([cols / width, rows / height] * 2)
            out[chosen] = self._embed(pool_windows(integral, boxes[chosen] * to_cells))
        return out

    def _integral(self, image: Tensor, octave: int) -> Float[Tensor, 'rows1 cols1 c']:
        if self._seen is None or self._seen[0] is not image:
            self._seen = image, {}
        maps = self._seen[1]
        if octave not in maps:
            maps[octave] = integral_image(self._cells(image, octave))
        return maps[octave]


def integral_image(cells: Float[Tensor, 'c rows cols']) -> Float[Tensor, 'rows1 cols1 c']:
    """Returns sums over all cells above and left of each corner, channels last."""
    sums = cells.permute(1, 2, 0).cumsum(0).cumsum(1)
    return F.pad(sums, (0, 0, 1, 0, 1, 0))


def window_means(
    integral: Float[Tensor, 'rows1 cols1 c'], boxes: Float[Tensor, 'n 4']
) -> Float[Tensor, 'n c']:
    """Returns the mean over each box, cells at its border counting by the area inside.

    Boxes are clipped to the map and keep at least a tenth of a cell.
    """
    rows, cols = integral.shape[0] - 1, integral.shape[1] - 1
    left, top = boxes[:, 0].clamp(0, cols - 0.1), boxes[:, 1].clamp(0, rows - 0.1)
    right = torch.maximum(boxes[:, 2].clamp(max=cols), left + 0.1)
    bottom = torch.maximum(boxes[:, 3].clamp(max=rows), top + 0.1)
    table = integral.reshape(-1, integral.shape[-1])

    def corner(v: Tensor, u: Tensor) -> Tensor:
        row, col = v.long().clamp(max=rows - 1), u.long().clamp(max=cols - 1)
        down, across = (v - row)[:, None], (u - col)[:, None]
        at = row * (cols + 1) + col
        upper = table[at] * (1 - across) + table[at + 1] * across
        lower = table[at + cols + 1] * (1 - across) + table[at + cols + 2] * across
        return upper * (1 - down) + lower * down

    sums = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
    return sums / ((right - left) * (bottom - top))[:, None]


def pool_windows(
    integral: Float[Tensor, 'rows1 cols1 c'], boxes: Float[Tensor, 'n 4']
) -> Float[Tensor, 'n c']:
    """Returns the centre-weighted mean over each box."""
    return (window_means(integral, boxes) + window_means(integral, central(boxes))) / 2


def central(boxes: Float[Tensor, 'n 4']) -> Float[Tensor, 'n 4']:
    """Returns boxes of half the side with the same centres."""
    quarter = (boxes[:, 2:] - boxes[:, :2]) / 4
    return torch.cat([boxes[:, :2] + quarter, boxes[:, 2:] - quarter], dim=1)


def pool_alone(
    cells: Float[Tensor, 'c rows cols'], box: Float[Tensor, '4']
) -> Float[Tensor, '1 c']:
    """Returns what :func:`pool_windows` does for one box, by sums over all cells: its twin."""
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
