"""RGB-D folders: colour, registered depth and a pose for each frame, in several layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_depth, read_rgb
from lerf_ros.frames.lens import Lens
from lerf_ros.geometry import PinholeCamera, require_rigid
from lerf_ros.sources.left_out import Ledger, NoFramesError
from lerf_ros.sources.rgbd_layouts import Recording, read_layout
from lerf_ros.sources.sequence import FrameStream, require_picture

# A principal point farther from the middle than this share of the picture fits another picture.
FAR_FROM_MIDDLE = 0.25


class RgbdFolder(FrameStream):
    """The posed frames of a folder in the layout of 7-Scenes, TUM, ScanNet or Replica.

    Frames without a pose, with one that is no rigid motion, or with a damaged picture are left
    out with one warning each; damaged depth costs only the depth.

    Args:
        folder: The folder.
        rate_hz: Camera rate that is assumed where the layout has no stamps: frame number n is
            stamped n / rate_hz seconds.
        downscale: Images are made this many times smaller each way.
        colour_focal_px: Focal length of a colour camera that is not registered to the depth
            camera. The picture is then resampled to the depth camera's view; the few centimetres
            between the two cameras are neglected. None where colour and depth fit already.
        depth_unit_m: What 1 means in depth pictures, metres; None: as the layout says.
        intrinsics: fx, fy, cx, cy of the pictures, for folders that hold none; None: as they say.

    Attributes:
        layout: Name of the layout.

    Raises:
        ValueError: The folder is absent, holds no usable frame or no intrinsics that fit.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        rate_hz: float = 30.0,
        downscale: int = 1,
        colour_focal_px: float | None = None,
        depth_unit_m: float | None = None,
        intrinsics: tuple[float, float, float, float] | None = None,
    ) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise ValueError(f'{folder}: expected a folder with RGB-D frames, got none')
        if not rate_hz > 0:
            raise ValueError(f'rate_hz: expected a positive rate, got {rate_hz}')
        if downscale < 1:
            raise ValueError(f'downscale: expected at least 1, got {downscale}')
        if depth_unit_m is not None and not depth_unit_m > 0:
            raise ValueError(f'depth_unit_m: expected metres above 0, got {depth_unit_m}')
        self.ledger = Ledger(folder.name)
        self._downscale, self._colour_focal_px = downscale, colour_focal_px
        self._recording: Recording = read_layout(folder, rate_hz, self.ledger)
        self.layout = self._recording.layout
        self._depth_unit_m = depth_unit_m or self._recording.depth_unit_m
        self._intrinsics = intrinsics or self._recording.intrinsics
        self._entries = []
        self._poses: list[np.ndarray] = []
        for entry in self._recording.entries:
            try:
                if isinstance(entry.pose, str):
                    raise ValueError(entry.pose)
                pose = require_rigid(entry.pose, f'pose of frame {entry.name}')
                require_picture(entry.colour)
            except ValueError as error:
                self.ledger.leave_out(entry.name, error)
                continue
            self._entries.append(entry)
            self._poses.append(pose)
        if not self._entries:
            raise NoFramesError(folder, self.ledger)
        self._check_intrinsics(folder)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def numbers(self) -> list[int]:
        """Frame number of each frame."""
        return [entry.number for entry in self._entries]

    @property
    def stamps_ns(self) -> list[int]:
        """Stamp of each frame."""
        return [entry.stamp_ns for entry in self._entries]

    @property
    def poses(self) -> list[np.ndarray]:
        """``camera_to_world`` of each frame."""
        return self._poses

    def name(self, index: int) -> str:
        """Returns the name of a frame's files."""
        return self._entries[index].name

    def _check_intrinsics(self, folder: Path) -> None:
        """Refuses intrinsics that belong to pictures of another size."""
        for index in range(len(self)):
            try:
                height, width = read_rgb(self._entries[index].colour).shape[:2]
            except ValueError:
                continue
            camera = self._camera(width, height)
            off = max(abs(camera.cx / width - 0.5), abs(camera.cy / height - 0.5))
            if self._recording.depth_intrinsics is None and off > FAR_FROM_MIDDLE:
                raise ValueError(
                    f'{folder}: expected intrinsics of pictures of {width}x{height}, got a '
                    f'principal point at ({camera.cx:g}, {camera.cy:g}), far from the middle'
                )
            return

    def _camera(self, width: int, height: int) -> PinholeCamera:
        if self._intrinsics is None:
            return self._recording.usual_camera(width, height)
        return PinholeCamera(*self._intrinsics, width=width, height=height)

    def _read(self, index: int) -> PosedFrame:
        entry = self._entries[index]
        image = read_rgb(entry.colour)
        height, width = image.shape[:2]
        camera = self._camera(width, height)
        depth_m = self._depth(index)
        if self._recording.depth_intrinsics is not None and depth_m is not None:
            # Two cameras with the same axes: the picture is resampled to what depth belongs to.
            seen_by = PinholeCamera(
                *self._recording.depth_intrinsics, width=depth_m.shape[1], height=depth_m.shape[0]
            )
            image, camera = _seen_by(image, camera, seen_by), seen_by
        elif self._colour_focal_px is not None:
            focal = self._colour_focal_px
            taken = PinholeCamera(focal, focal, camera.cx, camera.cy, width, height)
            image = _seen_by(image, taken, camera)
        return self._rectified(
            image,
            depth_m,
            None,
            Lens(camera),
            self._poses[index],
            entry.stamp_ns,
            self._downscale,
            index,
        )

    def _depth(self, index: int) -> np.ndarray | None:
        entry = self._entries[index]
        if entry.depth is None:
            return None
        try:
            return read_depth(entry.depth, self._depth_unit_m)
        except ValueError as error:
            self.ledger.warn(f'{entry.name}: depth left out: {error}')
            return None


def _seen_by(image: np.ndarray, taken: PinholeCamera, camera: PinholeCamera) -> np.ndarray:
    """Returns what ``camera`` would see of a picture that another in the same place took."""
    # Pixel centres are at 0.5 here and at 0 in OpenCV.
    zoom_u, zoom_v = taken.fx / camera.fx, taken.fy / camera.fy
    to_source = np.array(
        [
            [zoom_u, 0.0, taken.cx - 0.5 - zoom_u * (camera.cx - 0.5)],
            [0.0, zoom_v, taken.cy - 0.5 - zoom_v * (camera.cy - 0.5)],
        ]
    )
    return cv2.warpAffine(
        image,
        to_source,
        (camera.width, camera.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
