"""One view thinned to voxels: finely where it is near, and coarsely where it is far away.

Depth is noisy far away, and would scatter a wall over several layers of voxels. There, one point
is kept in each cube of a few voxels: the mean of all pixels in it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int, UInt8

from lerf_ros.geometry import PinholeCamera
from lerf_ros.surface.depth_view import ViewPixels, cube_keys, voxel_keys
from lerf_ros.surface.voxels import Columns, Voxels, empty_columns, joined

Array = np.ndarray

# Voxels a side of the cubes far away; a power of two.
FAR_VOXELS = 2


def mean_columns(
    pixels: ViewPixels,
    image: UInt8[Array, 'height width 3'],
    camera: PinholeCamera,
    voxel_m: float,
    voxels: int = 1,
) -> Columns:
    """Returns one row, seen once, for the mean of what lies in each cube, sorted by key.

    Args:
        pixels: Pixels with their positions.
        image: RGB picture.
        camera: Intrinsics.
        voxel_m: Side of a voxel.
        voxels: Voxels a side of a cube.
    """
    cubes, cube = np.unique(voxel_keys(pixels.positions, voxels * voxel_m), return_inverse=True)
    values = np.concatenate(
        [
            pixels.positions,
            image.reshape(-1, 3)[pixels.pixels].astype(np.float64),
            pixels.normals,
            pixels.depth_m[:, None],
        ],
        axis=1,
    )
    count = np.bincount(cube, minlength=len(cubes))
    sums = [np.bincount(cube, weights=value, minlength=len(cubes)) for value in values.T]
    means = (np.stack(sums, axis=1) / count[:, None]).astype(np.float32)
    columns = empty_columns(len(cubes))
    columns['positions'], columns['colours'] = means[:, :3], means[:, 3:6]
    columns['normals'] = means[:, 6:9]
    columns['heights'] = np.repeat(means[:, 9:] * (camera.height / camera.fy), 2, axis=1)
    for name in ('weight', 'views', 'hits'):
        columns[name][:] = 1
    if voxels == 1:
        columns['keys'] = cubes
        return columns
    columns['keys'] = voxel_keys(columns['positions'], voxel_m)
    return joined(columns)


def find_far(voxels: Voxels, view: Columns) -> tuple[Bool[Array, ' k'], Int[Array, ' j']]:
    """Returns for which far voxels there is one in their cube already, and the rows of those.

    What is there already is seen again and stays where it is, for it may be of a nearer look:
    positions of the view are set to it.

    Args:
        voxels: What is known.
        view: Columns of the far voxels.
    """
    held, first = np.unique(cube_keys(voxels['keys'], FAR_VOXELS), return_index=True)
    wanted = cube_keys(view['keys'], FAR_VOXELS)
    at = np.minimum(np.searchsorted(held, wanted), max(len(held) - 1, 0))
    known = held[at] == wanted if len(held) else np.zeros(len(wanted), bool)
    rows = first[at[known]]
    view['positions'][known] = voxels['positions'][rows]
    return known, rows
