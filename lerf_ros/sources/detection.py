"""Recordings of any kind, opened by what lies on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lerf_ros.config import KeyframeOptions, NodeOptions
from lerf_ros.frames import KeyframeSelector, PosedFrame
from lerf_ros.frames.resizing import limited, shrunk
from lerf_ros.geometry import pose_matrix
from lerf_ros.sources.bag import Bag
from lerf_ros.sources.colmap import ColmapFolder, find_models
from lerf_ros.sources.left_out import NoFramesError
from lerf_ros.sources.nerfstudio import NerfstudioFolder
from lerf_ros.sources.rgbd import RgbdFolder
from lerf_ros.sources.rgbd_layouts import layout_of
from lerf_ros.sources.sequence import FrameSequence, FrameStream

KINDS = ('rgbd', 'nerfstudio', 'colmap', 'bag')
BAG_FILES = ('.mcap', '.db3', '.bag')


@dataclass(frozen=True)
class SourceOptions:
    """How to read a recording; each kind takes what concerns it.

    Attributes:
        kind: One of `KINDS`; '' looks.
        downscale: Images are made this many times smaller each way.
        split: 'all', 'train', 'val' or 'test', of a nerfstudio folder.
        hold_out_every: Every n-th frame is the test split where the folder names none.
        rate_hz: Camera rate that is assumed where there are no stamps; 0: as the kind does.
        depth_unit_m: What 1 means in depth pictures, metres; None: as the recording says.
        colour_focal_px: Focal length of a colour camera that is not registered to the depth.
        intrinsics: fx, fy, cx, cy for folders that hold none.
        image_topic: Topics of a bag; None: those that look best.
        info_topic: The same, calibration.
        depth_topic: The same, depth; '' for none.
        pose_topic: The same, poses; '' for TF.
        world_frame: Frame of the world in a bag; '' looks.
        camera_frame: Optical frame of a bag's images, whatever they say.
        extrinsic: x y z qx qy qz qw of the camera on the frame that a bag's poses are of.
        rectified: Whether a bag's images are rectified already.
        pose_gap_s: Longest time between two poses of a bag that a picture is placed by while the
            camera moves; 0: any.
    """

    kind: str = ''
    downscale: int = 1
    split: str = 'all'
    hold_out_every: int = 8
    rate_hz: float = 0.0
    depth_unit_m: float | None = None
    colour_focal_px: float | None = None
    intrinsics: tuple[float, float, float, float] | None = None
    image_topic: str | None = None
    info_topic: str | None = None
    depth_topic: str | None = None
    pose_topic: str | None = None
    world_frame: str = ''
    camera_frame: str = ''
    extrinsic: tuple[float, ...] | None = None
    rectified: bool = False
    pose_gap_s: float = NodeOptions.pose_gap_s

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise ValueError(f'format: expected one of {", ".join(KINDS)}, got {self.kind!r}')
        if self.depth_unit_m is not None and not 0 < self.depth_unit_m < float('inf'):
            raise ValueError(f'depth_unit_m: expected metres above 0, got {self.depth_unit_m}')
        if not 0 <= self.pose_gap_s <= 60:
            raise ValueError(f'pose_gap_s: expected 0 to 60 seconds, got {self.pose_gap_s}')


def kind_of(path: Path) -> str:
    """Returns the kind of a recording.

    Raises:
        ValueError: It is absent, or of no kind that is known.
    """
    if not path.exists():
        raise ValueError(f'{path}: expected a recording, got nothing of that name')
    if path.suffix == '.json' or (path / 'transforms.json').exists():
        return 'nerfstudio'
    if path.is_file():
        if path.suffix in BAG_FILES or '.bag' in path.suffixes:
            return 'bag'
        raise ValueError(
            f'{path}: expected a folder, a transforms.json or a bag ({", ".join(BAG_FILES)})'
        )
    names = [file.name for file in path.iterdir()]
    if 'metadata.yaml' in names or any(
        name.endswith((*BAG_FILES, '.db3.zstd', '.mcap.zstd')) for name in names
    ):
        return 'bag'
    if find_models(path):
        return 'colmap'
    if layout_of(path) is not None:
        return 'rgbd'
    shown = ', '.join(sorted(names)[:6]) or 'an empty folder'
    raise ValueError(
        f'{path}: expected an RGB-D folder (7-Scenes, TUM, ScanNet, Replica), a transforms.json, '
        f'a COLMAP model or a bag, got {shown}; say which with --format'
    )


def open_recording(
    path: Path | str,
    options: SourceOptions = SourceOptions(),
    keyframes: KeyframeOptions | None = None,
) -> FrameSequence:
    """Returns the frames of a recording of any kind.

    Args:
        path: The recording.
        options: How to read it.
        keyframes: Of a bag, whose frames are kept in memory, only those are taken that these
            options choose; None: the defaults.

    Raises:
        ValueError: It is of no kind that is known, or unusable.
    """
    path = Path(path)
    kind = options.kind or kind_of(path)
    rate: dict[str, Any] = {'rate_hz': options.rate_hz} if options.rate_hz else {}
    if kind == 'nerfstudio':
        return NerfstudioFolder(
            path,
            downscale=options.downscale,
            split=options.split,
            hold_out_every=options.hold_out_every,
            depth_unit_m=options.depth_unit_m,
            **rate,
        )
    if kind == 'colmap':
        return ColmapFolder(path, downscale=options.downscale, **rate)
    if kind == 'rgbd':
        return RgbdFolder(
            path,
            downscale=options.downscale,
            colour_focal_px=options.colour_focal_px,
            depth_unit_m=options.depth_unit_m,
            intrinsics=options.intrinsics,
            **rate,
        )
    return BagFrames(open_bag_of(path, options), options.downscale, keyframes or KeyframeOptions())


def open_stream(
    path: Path | str,
    options: SourceOptions = SourceOptions(),
    keyframes: KeyframeOptions | None = None,
) -> FrameStream:
    """Returns a recording of a moving camera; see :func:`open_recording`.

    Raises:
        ValueError: It is of another kind, or unusable.
    """
    frames = open_recording(path, options, keyframes)
    if not isinstance(frames, FrameStream):
        raise ValueError(
            f'{path}: expected an RGB-D folder or a bag, whose frames have stamps, got '
            f'{type(frames).__name__}'
        )
    return frames


def open_bag_of(path: Path | str, options: SourceOptions) -> Bag:
    """Returns a bag as the options say."""
    mounting = None
    if options.extrinsic is not None:
        if len(options.extrinsic) != 7:
            raise ValueError(
                f'extrinsic: expected x y z qx qy qz qw, got {len(options.extrinsic)} numbers'
            )
        numbers = np.array(options.extrinsic)
        mounting = pose_matrix(numbers[:3], numbers[3:])
    return Bag(
        path,
        image_topic=options.image_topic,
        camera_info_topic=options.info_topic,
        depth_topic=options.depth_topic,
        pose_topic=options.pose_topic,
        world_frame=options.world_frame,
        depth_unit_m=options.depth_unit_m,
        rectified=options.rectified,
        camera_frame=options.camera_frame,
        mounting=mounting,
        pose_gap_s=options.pose_gap_s,
    )


class BagFrames(FrameStream):
    """The keyframes of a bag, in memory: bags are read from front to back only.

    Args:
        bag: The bag.
        downscale: Images are made this many times smaller each way.
        options: Which frames are kept.
    """

    def __init__(self, bag: Bag, downscale: int, options: KeyframeOptions) -> None:
        self.ledger = bag.ledger
        self._frames = list(chosen(bag, options, downscale))
        if not self._frames:
            raise NoFramesError(self.ledger.source, self.ledger)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def stamps_ns(self) -> list[int]:
        """Stamp of each frame."""
        return [frame.stamp_ns for frame in self._frames]

    @property
    def poses(self) -> list[np.ndarray]:
        """``camera_to_world`` of each frame."""
        return [frame.camera_to_world for frame in self._frames]

    def name(self, index: int) -> str:
        """Returns the stamp of a frame."""
        return f'{self._frames[index].stamp_ns * 1e-9:.3f} s'

    def _read(self, index: int) -> PosedFrame:
        return self._frames[index]


def chosen(bag: Bag, options: KeyframeOptions, downscale: int = 1) -> Iterator[PosedFrame]:
    """Yields the frames of a bag that a keyframe node would choose."""
    if bag.has_keyframes:
        yield from (shrunk(frame, downscale) for frame in bag)
        return
    selector = KeyframeSelector(options)
    for frame in bag:
        kept = selector.choose(limited(frame, options))
        yield from (shrunk(each, downscale) for each in kept)
    yield from (shrunk(each, downscale) for each in selector.give_up_waiting())
