"""What is in a recording, before anybody trains on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.checks import doubts
from lerf_ros.frames.resizing import shrunk
from lerf_ros.sources.detection import SourceOptions, kind_of, open_bag_of, open_recording
from lerf_ros.sources.left_out import Ledger, NoFramesError


@dataclass(frozen=True)
class Inspection:
    """What a recording holds.

    Attributes:
        kind: One of `detection.KINDS`.
        frames: Number of frames that can be used.
        left_out: Name and reason of each that cannot.
        first: The first frame, as the map would get it; None if there is none.
        with_depth: Number of frames with depth.
        warnings: What a person should look at.
    """

    kind: str
    frames: int
    left_out: dict[str, str]
    first: PosedFrame | None
    with_depth: int
    warnings: list[str]

    def figures(self) -> dict[str, Any]:
        """Returns it as JSON holds it."""
        found: dict[str, Any] = {
            'kind': self.kind,
            'frames': self.frames,
            'frames_with_depth': self.with_depth,
            'left_out': [{'name': n, 'reason': reason} for n, reason in self.left_out.items()],
        }
        names = ('width', 'height', 'fx', 'fy', 'cx', 'cy')
        camera = None if self.first is None else self.first.camera
        found.update({name: getattr(camera, name, None) for name in names})
        depth_m = None if self.first is None else self.first.depth
        known = np.zeros(0) if depth_m is None else depth_m[np.isfinite(depth_m)]
        position = None if self.first is None else self.first.camera_to_world[:3, 3].tolist()
        found['position_m'] = position
        found['depth_median_m'] = float(np.median(known)) if len(known) else None
        visible = None if self.first is None else self.first.visible
        found['visible_share'] = 1.0 if visible is None else float(visible.mean())
        found['warnings'] = self.warnings
        return found


def inspect(path: Path | str, options: SourceOptions = SourceOptions()) -> Inspection:  # noqa: B008
    """Reads a recording from end to end and says what is in it.

    Raises:
        ValueError: It is of no kind that is known, or nothing of it can be read.
    """
    path = Path(path)
    kind = options.kind or kind_of(path)
    frames: Iterable[PosedFrame]
    if kind == 'bag':
        bag = open_bag_of(path, options)
        ledger: Ledger = bag.ledger
        frames = (shrunk(frame, options.downscale) for frame in bag)
    else:
        try:
            sequence = open_recording(path, options)
        except NoFramesError as error:
            ledger = error.ledger
            return Inspection(kind, 0, ledger.left_out, None, 0, ledger.warnings)
        ledger, frames = sequence.ledger, sequence
    first, count, with_depth = None, 0, 0
    for frame in frames:
        first = frame if first is None else first
        count += 1
        with_depth += frame.depth is not None
        for sentence in doubts(frame) if count == 1 else ():
            ledger.warn(sentence)
    return Inspection(kind, count, ledger.left_out, first, with_depth, ledger.warnings)
