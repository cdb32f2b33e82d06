"""Pairs of messages to posed frames: the one way, for what is heard and what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames.calibration import Calibration
from lerf_ros.frames.compressed import (
    alpha_mask,
    compressed_depth_array,
    compressed_image_array,
    decode_mask,
)
from lerf_ros.frames.encodings import depth_array, image_array
from lerf_ros.frames.frame import PosedFrame
from lerf_ros.frames.lens import Lens
from lerf_ros.frames.messages import pose_matrix_of, stamp_of
from lerf_ros.frames.pairing import Pairing


class FrameDecoder:
    """Unpacks and rectifies pictures.

    Args:
        depth_unit_m: What 1 means in depth pictures, metres; None: as their encoding says.
        rectified: Whether pictures are rectified already, whatever the calibration says.
        complain: Called with what costs a frame its depth, or is believed against a message.
    """

    def __init__(
        self,
        depth_unit_m: float | None = None,
        *,
        rectified: bool = False,
        complain: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self._depth_unit_m, self._rectified = depth_unit_m, rectified
        self._complain = complain
        # The last calibration and size: a camera has one, and its undistortion maps are dear.
        self._known: tuple[Calibration, tuple[int, int]] | None = None
        self._lens: Lens | None = None

    def frame(self, pairing: Pairing, camera_to_world: Float[np.ndarray, '4 4']) -> PosedFrame:
        """Returns the rectified frame; depth that cannot be used is left out with a complaint.

        Raises:
            ValueError: The picture or the calibration cannot be used.
        """
        calibration = Calibration.of(pairing.info)
        raw = decode_image(pairing.image)
        lens = self._lens_of(calibration, (raw.shape[1], raw.shape[0]))
        depth_m = None
        if pairing.depth is not None:
            try:
                depth_m = lens.depth(decode_depth(pairing.depth, self._depth_unit_m))
            except ValueError as error:
                self._complain(f'depth left out: {error}')
        visible = alpha_mask(pairing.image)
        return PosedFrame(
            image=lens.image(raw),
            depth=depth_m,
            camera=lens.rectified,
            camera_to_world=camera_to_world,
            stamp_ns=pairing.stamp_ns,
            frame_id=str(pairing.image.header.frame_id),
            visible=None if visible is None else lens.mask(visible),
        )

    @property
    def bends(self) -> bool:
        """Whether the calibration that was used last has distortion."""
        return self._known is not None and any(self._known[0].distortion)

    def _lens_of(self, calibration: Calibration, size: tuple[int, int]) -> Lens:
        if self._lens is None or self._known != (calibration, size):
            if calibration.says_binning_twice(size):
                self._complain(
                    f'camera_info: says binning {calibration.binning} and numbers for pictures of '
                    f'{size[0]}x{size[1]}, which is their size: the binning is taken as done'
                )
            self._lens = calibration.lens(size, rectified=self._rectified)
            self._known = (calibration, size)
        return self._lens


def decode_image(message: Any) -> np.ndarray:
    """Returns the RGB picture of an Image or a CompressedImage.

    Raises:
        ValueError: It cannot be decoded.
    """
    return compressed_image_array(message) if _is_compressed(message) else image_array(message)


def decode_depth(message: Any, unit_m: float | None = None) -> np.ndarray:
    """Returns the depth in metres of an Image or a CompressedImage.

    Raises:
        ValueError: It cannot be decoded.
    """
    read = compressed_depth_array if _is_compressed(message) else depth_array
    return read(message, unit_m)


def _is_compressed(message: Any) -> bool:
    return hasattr(message, 'format')


def keyframe_frame(message: Any) -> PosedFrame:
    """Returns the frame of a ``lerf_ros/Keyframe`` message.

    Raises:
        ValueError: A part of it cannot be used.
    """
    image = decode_image(message.image)
    lens = Calibration.of(message.camera_info).lens((image.shape[1], image.shape[0]))
    depth_m = decode_depth(message.depth) if len(message.depth.data) else None
    # Bags of before there were masks carry a message without one.
    mask = bytes(message.mask.data) if hasattr(message, 'mask') else b''
    return PosedFrame(
        image=lens.image(image),
        depth=None if depth_m is None else lens.depth(depth_m),
        camera=lens.rectified,
        camera_to_world=pose_matrix_of(message.pose),
        stamp_ns=stamp_of(message),
        frame_id=str(message.camera_info.header.frame_id),
        visible=lens.mask(decode_mask(mask, 'mask')) if mask else None,
    )
