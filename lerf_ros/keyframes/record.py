"""What is known of a keyframe wherever its pixels are, and how it becomes plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.frames.resizing import narrowed
from lerf_ros.geometry import PinholeCamera, require_rigid
from lerf_ros.keyframes.cold_storage import Arrays

if TYPE_CHECKING:
    from lerf_ros.features.dense import FeatureMap
    from lerf_ros.features.pyramid import FeaturePyramid


@dataclass(eq=False)
class KeyframeRecord:
    """A keyframe without its pixels.

    Attributes:
        id: Name of the keyframe.
        camera: Intrinsics.
        camera_to_world: Pose as last corrected.
        stamp_ns: Time of exposure.
        frame_id: Name of the camera's optical frame.
        has_depth: Whether it came with any measured depth.
        levels: Of each pyramid level: first tile, rows, columns, centre of the first tile (u, v),
            stride (u, v), tile size; pixels.
        dense_grid: Rows and columns of the dense features, None without.
        order: Place in the order of arrival.
        has_mask: Whether a part of the picture is hidden.
    """

    id: KeyframeId
    camera: PinholeCamera
    camera_to_world: Float[np.ndarray, '4 4']
    stamp_ns: int
    frame_id: str
    has_depth: bool
    levels: tuple[tuple[int, int, int, float, float, float, float, float], ...]
    dense_grid: tuple[int, int] | None
    order: int
    has_mask: bool = False

    @classmethod
    def of(
        cls, keyframe: Keyframe, pyramid: FeaturePyramid, dense: FeatureMap | None, order: int
    ) -> KeyframeRecord:
        """Returns the record of a keyframe with its features."""
        frame = keyframe.frame
        levels, first = [], 0
        for level in pyramid.levels:
            rows, cols = level.embeddings.shape[:2]
            levels.append((first, rows, cols, *level.origin_uv, *level.stride_uv, level.tile_px))
            first += rows * cols
        return cls(
            keyframe.id,
            frame.camera,
            frame.camera_to_world.copy(),
            frame.stamp_ns,
            frame.frame_id,
            frame.depth is not None and bool((np.isfinite(frame.depth) & (frame.depth > 0)).any()),
            tuple(levels),
            None if dense is None else (dense.features.shape[0], dense.features.shape[1]),
            order,
            frame.visible is not None,
        )

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any]) -> KeyframeRecord:
        """Returns the record that :meth:`to_json` described.

        Raises:
            ValueError: Something is missing or wrong.
        """
        try:
            return cls(
                **dict(numbers)
                | {
                    'id': KeyframeId(**numbers['id']),
                    'camera': PinholeCamera(**numbers['camera']),
                    'camera_to_world': require_rigid(np.array(numbers['camera_to_world'])),
                    'levels': tuple(tuple(level) for level in numbers['levels']),
                    'dense_grid': numbers['dense_grid'] and tuple(numbers['dense_grid']),
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f'keyframe: a part is missing: {error}') from error

    def to_json(self) -> dict[str, Any]:
        """Returns the record in what JSON can hold."""
        return asdict(self) | {'camera_to_world': self.camera_to_world.tolist()}

    def array_rows(self) -> dict[str, int]:
        """Returns the number of rows of each array of the keyframe."""
        pixels = self.camera.width * self.camera.height
        first, rows, cols = self.levels[-1][:3]
        counts = {'colour': pixels, 'depth': pixels, 'embedding': first + rows * cols}
        if self.dense_grid:
            counts['dense'] = self.dense_grid[0] * self.dense_grid[1]
        if self.has_mask:
            counts['visible'] = pixels
        return counts

    def arrays_among(self, named: Mapping[str, Tensor]) -> Arrays:
        """Returns the arrays of the keyframe among those of several, by ``id.name``.

        Raises:
            ValueError: One is missing, or of another size.
        """
        counts = self.array_rows()
        try:
            own = {name: named[f'{self.id}.{name}'] for name in counts}
        except KeyError as error:
            raise ValueError(f'keyframe: a part is missing: {error}') from error
        for name, values in own.items():
            if len(values) != counts[name]:
                raise ValueError(
                    f'keyframe {self.id}: expected {counts[name]} rows of {name}, '
                    f'got {len(values)}'
                )
        return own

    def frame(self, arrays: Arrays) -> PosedFrame:
        """Returns the frame with its pose as it stands."""
        size = (self.camera.height, self.camera.width)
        depth = arrays['depth'].float().cpu().numpy().reshape(size) if self.has_depth else None
        visible = visible_of(arrays['visible']).reshape(size) if self.has_mask else None
        return PosedFrame(
            image=arrays['colour'].cpu().numpy().reshape(*size, 3).copy(),
            depth=depth,
            camera=self.camera,
            camera_to_world=self.camera_to_world,
            stamp_ns=self.stamp_ns,
            frame_id=self.frame_id,
            visible=visible,
        )


def as_held(
    keyframe: Keyframe, pyramid: FeaturePyramid, width: int
) -> tuple[Keyframe, FeaturePyramid]:
    """Returns a keyframe in a picture at most so wide, with its features as they were seen.

    Args:
        keyframe: The keyframe.
        pyramid: Its features.
        width: Width, pixels; 0 leaves it as it is.
    """
    if not width:
        return keyframe, pyramid
    frame = narrowed(keyframe.frame, width)
    camera = frame.camera
    return replace(keyframe, frame=frame), pyramid.resized(camera.width, camera.height)


def arrays_of(keyframe: Keyframe, pyramid: FeaturePyramid, dense: FeatureMap | None) -> Arrays:
    """Returns a keyframe's pixels and features, a row a pixel or a tile."""
    embeddings = [level.embeddings.flatten(end_dim=1) for level in pyramid.levels]
    arrays = {
        'colour': torch.from_numpy(np.ascontiguousarray(keyframe.frame.image)).reshape(-1, 3),
        'depth': torch.from_numpy(_storable_depth(keyframe.frame)).reshape(-1, 1),
        'embedding': torch.cat(embeddings).half(),
    }
    if dense is not None:
        arrays['dense'] = dense.features.flatten(end_dim=1).half()
    if keyframe.frame.visible is not None:
        arrays['visible'] = drawn_pixels(keyframe.frame.visible)
    return arrays


def drawn_pixels(visible: Bool[np.ndarray, 'height width']) -> Int[Tensor, 'pixels 1']:
    """Returns for each pixel a visible one, each as often as any other or once more.

    Drawn through this table, rays are even over what is visible, and none is drawn in vain.
    """
    drawn = np.resize(np.flatnonzero(visible), visible.size).astype(np.int32)
    return torch.from_numpy(drawn).reshape(-1, 1)


def visible_of(drawn: Int[Tensor, 'pixels 1']) -> Bool[np.ndarray, ' pixels']:
    """Returns the mask of such a table."""
    visible = np.zeros(len(drawn), bool)
    visible[drawn[:, 0].cpu().numpy()] = True
    return visible


def _storable_depth(frame: PosedFrame) -> Float[np.ndarray, 'height width']:
    """Returns depth in half precision (one part in 2000), NaN where it is unknown."""
    if frame.depth is None:
        return np.full(frame.image.shape[:2], np.nan, np.float16)
    with np.errstate(invalid='ignore', over='ignore'):
        valid = np.isfinite(frame.depth) & (frame.depth > 0) & (frame.depth < 60_000)
        return np.where(valid, frame.depth, np.nan).astype(np.float16)


def check_features(
    keyframe: Keyframe,
    pyramid: FeaturePyramid,
    dense: FeatureMap | None,
    embedding_size: int,
    dense_size: int,
) -> None:
    """Refuses features that do not fit a keyframe or a map.

    Raises:
        ValueError: They are of another size, missing, or not finite.
    """
    camera = keyframe.frame.camera
    if (pyramid.width, pyramid.height) != (camera.width, camera.height):
        raise ValueError(
            f'pyramid: expected one of a {camera.width}x{camera.height} image, '
            f'got {pyramid.width}x{pyramid.height}'
        )
    for level in pyramid.levels:
        if level.embeddings.shape[-1] != embedding_size:
            raise ValueError(
                f'pyramid: expected embeddings of size {embedding_size}, '
                f'got {level.embeddings.shape[-1]}'
            )
        if not torch.isfinite(level.embeddings).all():
            raise ValueError('pyramid: expected finite embeddings, got NaN or infinity')
    if (dense is None) != (dense_size == 0):
        wanted = 'dense features' if dense_size else 'no dense features'
        raise ValueError(f'dense: expected {wanted} in this map')
    if dense is not None and not torch.isfinite(dense.features).all():
        raise ValueError('dense: expected finite features, got NaN or infinity')
