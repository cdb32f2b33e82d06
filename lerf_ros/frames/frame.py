"""Posed camera frames.

A :class:`PosedFrame` is one rectified picture with its pose; a :class:`Keyframe` is a frame that
was chosen for the map. Both are immutable: features and corrected poses live in the store.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from lerf_ros.geometry import PinholeCamera, require_rigid


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """One rectified picture with its pose.

    Attributes:
        image: RGB picture.
        depth: Depth along the optical axis in metres, NaN where unknown; None without depth.
        camera: Intrinsics of both, after rectification.
        camera_to_world: Pose of the camera, optical axes, metres.
        stamp_ns: Time of exposure, nanoseconds.
        frame_id: Name of the camera's optical frame.
        visible: Where the picture may be looked at: False where a mask or an alpha channel hides
            it. None: everywhere. Depth is unknown wherever the picture is hidden.

    Raises:
        ValueError: A part is of another size or type, the pose is not rigid, or nothing of the
            picture is visible.
    """

    image: UInt8[np.ndarray, 'height width 3']
    depth: Float[np.ndarray, 'height width'] | None
    camera: PinholeCamera
    camera_to_world: Float[np.ndarray, '4 4']
    stamp_ns: int
    frame_id: str = ''
    visible: Bool[np.ndarray, 'height width'] | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.image.shape != (*size, 3) or self.image.dtype != np.uint8:
            raise ValueError(
                f'image: expected {size[1]}x{size[0]} RGB uint8 as in camera_info, '
                f'got shape {self.image.shape} {self.image.dtype}'
            )
        if self.depth is not None and self.depth.shape != size:
            raise ValueError(
                f'depth: expected {size[1]}x{size[0]} as the image, got shape {self.depth.shape}'
            )
        if self.visible is not None and self.visible.shape != size:
            raise ValueError(
                f'mask: expected {size[1]}x{size[0]} as the image, got shape {self.visible.shape}'
            )
        object.__setattr__(self, 'camera_to_world', require_rigid(self.camera_to_world))
        if self.visible is not None:
            self._hide(self.visible)

    def _hide(self, visible: Bool[np.ndarray, 'height width']) -> None:
        """Forgets the depth of what is hidden, and a mask that hides nothing."""
        if not visible.any():
            raise ValueError('mask: expected something to be seen, got one that hides everything')
        if visible.all():
            object.__setattr__(self, 'visible', None)
        elif self.depth is not None:
            seen_m = np.where(visible, self.depth, np.float32(np.nan))
            object.__setattr__(self, 'depth', seen_m)

    def shown(self) -> UInt8[np.ndarray, 'height width 3']:
        """Returns the picture for an encoder: what is hidden has the mean colour of the rest.

        A crop around a visible pixel reaches over hidden ones; plain colour tells it least.
        """
        if self.visible is None:
            return self.image
        mean = self.image[self.visible].mean(axis=0).round().astype(np.uint8)
        return np.where(self.visible[..., None], self.image, mean)


@dataclass(frozen=True, order=True)
class KeyframeId:
    """Names a keyframe within a map: which stream it came from, and its number there.

    Attributes:
        source: Name of the stream, such as a camera's or a recording's.
        index: Number within the source.
    """

    source: str
    index: int

    def __str__(self) -> str:
        return f'{self.source}:{self.index}'


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A frame chosen for the map.

    Attributes:
        id: Name of the keyframe, unique within a map.
        frame: The picture and its pose as they came.
    """

    id: KeyframeId
    frame: PosedFrame
