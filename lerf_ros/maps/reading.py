"""What a question reads of a submap that sleeps: its language and its surface, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.config import FieldOptions, LerfConfig, QueryOptions
from lerf_ros.field.readable import ReadableField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.geometry import inside_box, transform_points
from lerf_ros.maps.extraction import Extraction
from lerf_ros.maps.file import load_weights
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.points import SurfacePoints


@dataclass(frozen=True, eq=False)
class Reading:
    """A field and the surface on which it is read.

    Attributes:
        field: The field, or its language alone; not trained further.
        points: Its surface, in the submap's frame.
        step: Training step.
        stamp_ns: Stamp of the submap's newest keyframe.
    """

    field: ReadableField
    points: SurfacePoints
    step: int
    stamp_ns: int

    def patch(self, centre: np.ndarray, side_m: float) -> SurfacePoints:
        """Returns the surface in a cube around a place."""
        half = side_m / 2
        inside = inside_box(self.points.positions, centre - half, centre + half)
        return points_at(self.points, np.flatnonzero(inside))


def points_at(points: SurfacePoints, rows: Int[np.ndarray, ' k']) -> SurfacePoints:
    """Returns some of the points of a surface; cameras stay."""
    return replace(
        points,
        **{
            name: getattr(points, name)[rows]
            for name in (
                'positions',
                'colours',
                'normals',
                'views',
                'confidence',
                'visible_height_m',
                'seen_by',
                'keys',
            )
        },
    )


def joined_points(
    parts: Sequence[tuple[SurfacePoints, Float[np.ndarray, '4 4']]], voxel_m: float
) -> SurfacePoints:
    """Returns several surfaces as one, in the world frame.

    Args:
        parts: Each surface with its ``submap_to_world``.
        voxel_m: Side of the voxels.
    """
    if not parts:
        return SurfaceMap(QueryOptions(voxel_m=voxel_m)).points()
    starts = np.cumsum([0] + [len(points.cameras_m) for points, _ in parts[:-1]])

    def stack(name: str) -> np.ndarray:
        return np.concatenate([getattr(points, name) for points, _ in parts])

    def place(name: str) -> np.ndarray:
        return np.concatenate(
            [transform_points(pose, getattr(points, name)) for points, pose in parts]
        ).astype(np.float32)

    return SurfacePoints(
        positions=place('positions'),
        colours=stack('colours'),
        normals=np.concatenate([points.normals @ pose[:3, :3].T for points, pose in parts]).astype(
            np.float32
        ),
        views=stack('views'),
        confidence=stack('confidence'),
        visible_height_m=stack('visible_height_m'),
        seen_by=np.concatenate(
            [
                np.where(points.seen_by >= 0, points.seen_by + start, -1)
                for (points, _), start in zip(parts, starts, strict=True)
            ]
        ),
        cameras_m=place('cameras_m'),
        keys=stack('keys'),
        voxel_m=voxel_m,
    )


def load_reading(path: Path, config: LerfConfig, extraction: Extraction) -> Reading:
    """Reads a sleeping submap for questions; keyframes stay in the file.

    Raises:
        ValueError: The file is no map, is damaged, or of other sizes.
        OSError: The file cannot be read.
    """
    saved = load_weights(path, config.field)
    try:
        field = language_of(saved.weights, saved.scene_box, config.field, extraction)
        surface_map = SurfaceMap(config.query)
        surface_map.load_state_dict(saved.surface)
        stamp_ns = int(saved.metadata['stamp_ns'])
    except (KeyError, RuntimeError) as error:
        raise ValueError(f'{path}: the map does not fit: {error}') from error
    return Reading(field, surface_map.points(), saved.step, stamp_ns)


def language_of(
    weights: Mapping[str, Tensor],
    scene_box: SceneBox,
    options: FieldOptions,
    extraction: Extraction,
    *,
    as_they_are: bool = False,
) -> ReadableField:
    """Returns the language of a field with these weights.

    Args:
        weights: By name.
        scene_box: Where it lies.
        options: Its sizes.
        extraction: Knows the encoder and the device.
        as_they_are: Whether the weights themselves become the field's, on their device and in
            their precision, in place of a copy.

    Raises:
        RuntimeError: They are of other sizes, or some are missing.
    """
    field = ReadableField.of(
        options,
        scene_box,
        extraction.encoder.embedding_size,
        extraction.dense_size,
        extraction.device,
    )
    field.load_state_dict(weights, assign=as_they_are)
    return field
