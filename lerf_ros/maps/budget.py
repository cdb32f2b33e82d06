"""What a map of so many square metres will take, told before it begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lerf_ros.config import LerfConfig
from lerf_ros.features.tile_grid import tile_grids
from lerf_ros.maps.coarse_index import SCALES_M
from lerf_ros.training.memory import estimate_memory

# Surface over a square metre of floor: the floor, a share of the walls, furniture and things.
SURFACE_PER_FLOOR = 3.0
# A surface point as its columns lie in memory, and in a compact file.
_POINT_BYTES, _POINT_FILE_BYTES = 140, 16
# Weights with gradients and two moments, over hash tables in 8 bits, deflated.
_WEIGHTS_OVER_FILE = 24
# Directions of the coarse index, of few and of many dimensions of an embedding.
_DIRECTIONS = 28
# A submap whose box reaches over the edge of what is mapped is not full.
_SPILL = 1.4
# A keyframe's depth as PNG and its picture as JPEG, bytes a pixel; and as they lie in memory.
_PICTURE_BYTES, _PIXEL_BYTES = 0.9, 5
# Bytes of a number of an embedding.
_HALF = 2
_MB = 2**20


@dataclass(frozen=True)
class AreaEstimate:
    """What a floor takes, MB.

    Attributes:
        submaps: Number of submaps; 1 where there is one map for all.
        device: On the training device: weights and keyframes of the submaps awake, and a step.
        host: In host memory beside it: surfaces, readings of sleeping submaps, the index.
        disk: Files of all submaps, keyframes beside those that sleep, and what questions have
            unpacked of them.
        covered_m2: Floor whose surface the points suffice for; infinite for an atlas.
    """

    submaps: int
    device: float
    host: float
    disk: float
    covered_m2: float


def estimate_area(
    config: LerfConfig, area_m2: float, embedding_size: int, device: str = 'cpu'
) -> AreaEstimate:
    """Returns what mapping a floor takes.

    Args:
        config: All options.
        area_m2: Floor area.
        embedding_size: Size of a language embedding.
        device: Kind of the training device.

    Raises:
        ValueError: The area is not positive.
    """
    if not 0 < area_m2 < math.inf:
        raise ValueError(f'area: expected a number of square metres above 0, got {area_m2}')
    memory = estimate_memory(config, embedding_size, 0, device)
    atlas, query = config.atlas, config.query
    points_per_m2 = SURFACE_PER_FLOOR / query.voxel_m**2
    if atlas.submap_side_m <= 0:
        points = min(area_m2 * points_per_m2, query.max_points)
        host = points * _POINT_BYTES / _MB + query.cache_limit_mb + config.training.store_host_mb
        disk = memory.weights / 4 + memory.keyframes + points * _POINT_FILE_BYTES / _MB
        return AreaEstimate(1, memory.total, host, disk, query.max_points / points_per_m2)
    floor_m2 = atlas.submap_side_m**2
    submaps = math.ceil(area_m2 / floor_m2 * _SPILL)
    box_m2 = (atlas.submap_side_m + 2 * atlas.overlap_m) ** 2
    points = min(box_m2 * points_per_m2, query.max_points)
    surface = points * _POINT_BYTES / _MB
    awake, read = min(atlas.awake_submaps, submaps), min(atlas.read_submaps, submaps)
    reading = surface + memory.weights / 4
    cells_per_m2 = SURFACE_PER_FLOOR / atlas.index_cell_m**2
    directions = min(embedding_size, _DIRECTIONS)
    index = cells_per_m2 * atlas.index_points * len(SCALES_M) * directions / _MB
    width = config.keyframes.max_width
    pixels = min(width, config.training.store_width or width) ** 2 * 0.75
    keyframes = atlas.sleeping_keyframes * pixels * _PICTURE_BYTES / _MB
    file = memory.weights / _WEIGHTS_OVER_FILE + points * _POINT_FILE_BYTES / _MB + keyframes
    grids = tile_grids(width, round(0.75 * width), config.features)
    tiles = sum(grid.rows * grid.cols for grid in grids)
    rehearsed = pixels * _PIXEL_BYTES + tiles * embedding_size * _HALF
    asleep = (submaps - awake) * atlas.rehearsed_keyframes * rehearsed / _MB
    unpacked = min(atlas.unpacked_submaps, submaps) * reading
    return AreaEstimate(
        submaps=submaps,
        device=awake * memory.weights + memory.step + memory.keyframes + memory.fixed,
        host=awake * surface + read * reading + index * area_m2 + config.training.store_host_mb,
        disk=submaps * file + asleep + index * area_m2 + unpacked,
        covered_m2=math.inf,
    )
