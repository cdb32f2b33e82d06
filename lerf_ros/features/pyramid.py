"""Language embeddings of image tiles of many sizes, looked up by pixel and tile size.

Conventions: pixels are ``(u, v)`` of the keyframe's image, edges at integers, so the centre of the
first pixel is at 0.5; ``tile_px`` is the side of a square tile. Tiles lie wholly inside the image:
nothing is padded. A tile of ``tile_px`` seen at ``depth_m`` is ``tile_px * depth_m / fy`` metres
high, which is how the rest of the package turns a tile size into a metric scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lerf_ros.config import FeatureOptions
from lerf_ros.features.cache import FeatureCache, image_digest
from lerf_ros.features.encoder import LanguageEncoder, WindowEncoder
from lerf_ros.features.precision import tower_dtype
from lerf_ros.features.tile_budget import chosen_tiles
from lerf_ros.features.tile_grid import TileGrid, tile_grids


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """Embeddings of one tile size.

    Attributes:
        tile_px: Side of the tiles.
        origin_uv: Centre of the first tile.
        stride_uv: Distance between the centres of neighbouring tiles.
        embeddings: Unit vector of each tile.
    """

    tile_px: float
    origin_uv: tuple[float, float]
    stride_uv: tuple[float, float]
    embeddings: Float[Tensor, 'rows cols d']

    def add_bilinear(
        self, out: Float[Tensor, 'n d'], uv: Float[Tensor, 'n 2'], weight: Float[Tensor, ' n']
    ) -> None:
        """Adds the weighted bilinear interpolation among tile centres to ``out``."""
        rows, cols, size = self.embeddings.shape
        table = self.embeddings.reshape(rows * cols, size)
        u = ((uv[:, 0] - self.origin_uv[0]) / self.stride_uv[0]).clamp(0, cols - 1)
        v = ((uv[:, 1] - self.origin_uv[1]) / self.stride_uv[1]).clamp(0, rows - 1)
        col, row = u.long().clamp(max=max(cols - 2, 0)), v.long().clamp(max=max(rows - 2, 0))
        right, down = (u - col)[:, None], (v - row)[:, None]
        next_col = (col + 1).clamp(max=cols - 1)
        next_row = (row + 1).clamp(max=rows - 1)
        weight = weight[:, None]
        for row_, down_ in ((row, 1 - down), (next_row, down)):
            for col_, right_ in ((col, 1 - right), (next_col, right)):
                out += table[row_ * cols + col_].to(out.dtype) * (weight * down_ * right_)


@dataclass(frozen=True, eq=False)
class FeaturePyramid:
    """Language embeddings of one image, by pixel and tile size.

    Attributes:
        width: Width of the image, pixels.
        height: Height of the image, pixels.
        levels: Levels from the finest to the coarsest.
    """

    width: int
    height: int
    levels: tuple[PyramidLevel, ...]

    @property
    def tile_range_px(self) -> tuple[float, float]:
        """Smallest and largest tile size held."""
        return self.levels[0].tile_px, self.levels[-1].tile_px

    def resized(self, width: int, height: int) -> FeaturePyramid:
        """Returns the same embeddings for the same view in an image of another size."""
        across, down = width / self.width, height / self.height
        levels = [
            replace(
                level,
                tile_px=level.tile_px * down,
                origin_uv=(level.origin_uv[0] * across, level.origin_uv[1] * down),
                stride_uv=(level.stride_uv[0] * across, level.stride_uv[1] * down),
            )
            for level in self.levels
        ]
        return FeaturePyramid(width, height, tuple(levels))

    def lookup(
        self, uv: Float[Tensor, 'n 2'], tile_px: Float[Tensor, ' n']
    ) -> Float[Tensor, 'n d']:
        """Returns unit embeddings, bilinear among tile centres and linear between two levels.

        Pixels beyond the outermost tile centres and tile sizes beyond the levels are clamped.
        """
        device = self.levels[0].embeddings.device
        uv, tile_px = uv.to(device).float(), tile_px.to(device).float()
        sizes = torch.tensor([level.tile_px for level in self.levels], device=device)
        # A position on the axis of levels; levels of equal size count as the first of them.
        upper = torch.searchsorted(sizes, tile_px.clamp(sizes[0], sizes[-1]))
        lower = (upper - 1).clamp(min=0)
        gap = (sizes[upper] - sizes[lower]).clamp(min=1e-6)
        blend = ((tile_px - sizes[lower]) / gap).clamp(0, 1)
        out = torch.zeros(len(uv), self.levels[0].embeddings.shape[-1], device=device)
        for index, level in enumerate(self.levels):
            weight = (upper == index) * blend + (lower == index) * (1 - blend)
            chosen = weight.nonzero().squeeze(1)
            if len(chosen):
                part = torch.zeros(len(chosen), out.shape[1], device=device)
                level.add_bilinear(part, uv[chosen], weight[chosen])
                out.index_add_(0, chosen, part)
        return F.normalize(out, dim=-1)


class PyramidBuilder:
    """Makes pyramids, one level at a time so that queries are never held up.

    With a budget of tiles, a level leans on the next coarser one where it is thinned: asked for
    from the coarsest on, each level is short work.

    Args:
        encoder: Embeds the tiles; a convolutional one shares its passes among them.
        options: Tile sizes, their number, and the cache.
        device: Where the pyramids live; half precision on a GPU.
    """

    def __init__(
        self, encoder: LanguageEncoder, options: FeatureOptions, device: torch.device | str
    ) -> None:
        self._encoder = encoder
        self._options = options
        self._device = torch.device(device)
        self._dtype = torch.float16 if self._device.type == 'cuda' else torch.float32
        self._cache = None
        if options.cache_dir:
            self._cache = FeatureCache(options.cache_dir, options.cache_limit_mb)
        self._digest: tuple[np.ndarray, str] | None = None
        self._tensor: tuple[np.ndarray, Tensor] | None = None
        self._made: tuple[np.ndarray, dict[int, PyramidLevel]] | None = None

    @property
    def level_count(self) -> int:
        """Number of levels of a pyramid."""
        return self._options.pyramid_levels

    def encode_level(self, image: UInt8[np.ndarray, 'height width 3'], level: int) -> PyramidLevel:
        """Returns one level of an image's pyramid, 0 the finest.

        Raises:
            ValueError: The image is no RGB picture, too small, or there is no such level.
        """
        if self._made is None or self._made[0] is not image:
            self._made = image, {}
        made = self._made[1]
        if level not in made:
            made[level] = self._make_level(image, level)
        return made[level]

    def _make_level(self, image: UInt8[np.ndarray, 'height width 3'], level: int) -> PyramidLevel:
        grids = self._grids(image)
        grid, budget = grids[level], self._options.tiles_per_keyframe
        chosen = torch.from_numpy(chosen_tiles(image, grids, budget)[level])
        key = ''
        if self._cache is not None:
            key = self._cache_key(image, grid, 0 if bool(chosen.all()) else budget)
            stored = self._cache.get(key)
            if stored is not None and stored.shape[:2] == (grid.rows, grid.cols):
                return self._level(grid, stored)
        if bool(chosen.all()):
            embeddings = self._encode(self._image_tensor(image), grid)
        else:
            # What is left out looks like the larger tile around it.
            boxes = grid.boxes()
            coarser = self.encode_level(image, level + 1)
            centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).to(self._device)
            embeddings = torch.zeros(len(boxes), self._encoder.embedding_size, device=self._device)
            coarser.add_bilinear(embeddings, centres, torch.ones(len(boxes), device=self._device))
            embeddings = F.normalize(embeddings, dim=-1)
            if bool(chosen.any()):
                own = self._encode_boxes(self._image_tensor(image), boxes[chosen])
                embeddings[chosen.to(self._device)] = own.to(embeddings)
        embeddings = embeddings.reshape(grid.rows, grid.cols, -1)
        if self._cache is not None:
            self._cache.put(key, embeddings)
        return self._level(grid, embeddings)

    def build(self, image: UInt8[np.ndarray, 'height width 3']) -> FeaturePyramid:
        """Returns the whole pyramid of an image."""
        levels = [self.encode_level(image, level) for level in reversed(range(self.level_count))]
        return FeaturePyramid(image.shape[1], image.shape[0], tuple(reversed(levels)))

    def build_twin(self, image: UInt8[np.ndarray, 'height width 3']) -> FeaturePyramid:
        """Returns the pyramid tile by tile: slow, plain, what :meth:`build` must equal."""
        tensor = self._image_tensor(image)
        levels = []
        for grid in self._grids(image):
            rows = []
            for box in grid.boxes():
                left, top, right, bottom = (int(edge) for edge in box)
                if isinstance(self._encoder, WindowEncoder):
                    rows.append(self._encoder.encode_window_alone(tensor, box)[None])
                else:
                    rows.append(
                        self._encoder.encode_images(tensor[None, :, top:bottom, left:right])
                    )
            levels.append(self._level(grid, torch.cat(rows).reshape(grid.rows, grid.cols, -1)))
        return FeaturePyramid(image.shape[1], image.shape[0], tuple(levels))

    def _grids(self, image: np.ndarray) -> tuple[TileGrid, ...]:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f'image: expected (h, w, 3) RGB uint8, got shape {image.shape} {image.dtype}'
            )
        return tile_grids(image.shape[1], image.shape[0], self._options)

    def _image_tensor(self, image: np.ndarray) -> Float[Tensor, '3 h w']:
        """Returns the image on the device; the same tensor for the levels of one image."""
        if self._tensor is None or self._tensor[0] is not image:
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
            self._tensor = image, pixels.permute(2, 0, 1).float() / 255
        return self._tensor[1]

    def _encode(self, image: Float[Tensor, '3 h w'], grid: TileGrid) -> Float[Tensor, 'n d']:
        if isinstance(self._encoder, WindowEncoder):
            return self._encoder.encode_windows(image, grid.boxes().to(self._device))
        tile, stride = grid.tile_px, grid.stride_px
        region = image[:, grid.top_px :, grid.left_px :]
        region = region[:, : tile + (grid.rows - 1) * stride, : tile + (grid.cols - 1) * stride]
        tiles = region.unfold(1, tile, stride).unfold(2, tile, stride)
        return self._encoder.encode_images(tiles.permute(1, 2, 0, 3, 4).reshape(-1, 3, tile, tile))

    def _encode_boxes(
        self, image: Float[Tensor, '3 h w'], boxes: Float[Tensor, 'n 4']
    ) -> Float[Tensor, 'n d']:
        """Returns the embeddings of some tiles of one size."""
        if isinstance(self._encoder, WindowEncoder):
            return self._encoder.encode_windows(image, boxes.to(self._device))
        tiles = [
            image[:, top:bottom, left:right] for left, top, right, bottom in boxes.int().tolist()
        ]
        return self._encoder.encode_images(torch.stack(tiles))

    def _level(self, grid: TileGrid, embeddings: Tensor) -> PyramidLevel:
        half = grid.tile_px / 2
        return PyramidLevel(
            tile_px=float(grid.tile_px),
            origin_uv=(grid.left_px + half, grid.top_px + half),
            stride_uv=(float(grid.stride_px), float(grid.stride_px)),
            embeddings=embeddings.to(self._device, self._dtype),
        )

    def _cache_key(self, image: np.ndarray, grid: TileGrid, budget: int) -> str:
        if self._digest is None or self._digest[0] is not image:
            self._digest = image, image_digest(image)
        tiling = f'{grid} of at most {budget}' if budget else repr(grid)
        tiling += f' {tower_dtype(self._options.precision, self._device)}'
        tiling += f' {self._options.octave_side_px} {self._options.octave_tile_px}'
        return FeatureCache.key(self._digest[1], self._encoder.fingerprint, tiling)
