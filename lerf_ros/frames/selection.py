"""The choice of frames worth keeping.

A frame is kept when the camera has moved or turned, sees something that earlier keyframes did not
see from about there, and is as sharp as frames of this scene are. The first question needs no
picture, so whoever has to unpack frames asks it before.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from lerf_ros.config import KeyframeOptions
from lerf_ros.frames.frame import PosedFrame
from lerf_ros.frames.seen_views import SeenViews
from lerf_ros.frames.sharpness import sharpness
from lerf_ros.geometry import rotation_angle

# The way the camera comes from: what it saw there is no reason to pass a frame over, or a slow
# camera would give fewer keyframes than the least motion says.
NEWEST_VIEWS = 8
# So many frames in a row that show nothing new mean that the camera has returned, and goes the way
# that it came from.
RETURNED = 8
# Frames whose sharpness says what is usual here, and the fewest that say it.
USUAL_FRAMES, FEWEST_USUAL = 15, 3


@dataclass(frozen=True, eq=False)
class _Held:
    """A frame that waits for a sharper one."""

    frame: PosedFrame
    sharpness: float
    since_ns: int


class KeyframeSelector:
    """Chooses the frames that show something new.

    Args:
        options: Thresholds.

    Attributes:
        options: Thresholds; they may be replaced at any time.
        known: Number of frames in a row that showed nothing new though the camera had moved.
        blurred: Number of frames that gave way to a sharper one.
    """

    def __init__(self, options: KeyframeOptions) -> None:
        self.options = options
        self.known = self.blurred = 0
        # Keyframes since the camera came from where it has been.
        self._way = 0
        self._last_pose: np.ndarray | None = None
        self._last_stamp_ns = self._kept_stamp_ns = 0
        self._views = SeenViews(options.view_memory)
        self._usual: deque[float] = deque(maxlen=USUAL_FRAMES)
        self._held: _Held | None = None

    def wants(self, camera_to_world: Float[np.ndarray, '4 4'], stamp_ns: int) -> bool:
        """Tells whether a frame with this pose and stamp is worth a look; changes nothing."""
        if self._last_pose is not None and stamp_ns >= self._last_stamp_ns:
            options = self.options
            moved_m = float(np.linalg.norm(camera_to_world[:3, 3] - self._last_pose[:3, 3]))
            turned = rotation_angle(camera_to_world[:3, :3] @ self._last_pose[:3, :3].T)
            waited_s = (stamp_ns - self._last_stamp_ns) * 1e-9
            if waited_s < options.min_interval_s or (
                moved_m < options.min_translation_m
                and turned < math.radians(options.min_rotation_deg)
                and not self._rested(stamp_ns)
            ):
                return False
        return True

    def _rested(self, stamp_ns: int) -> bool:
        """Tells whether it is time for a keyframe of a camera at rest."""
        waited_s = (stamp_ns - self._kept_stamp_ns) * 1e-9
        return 0 < self.options.max_interval_s <= waited_s

    def keep(self, camera_to_world: Float[np.ndarray, '4 4'], stamp_ns: int) -> None:
        """Remembers where a frame was kept: later ones have to differ from it."""
        self._pass(camera_to_world, stamp_ns)
        self._kept_stamp_ns = stamp_ns

    def _pass(self, camera_to_world: Float[np.ndarray, '4 4'], stamp_ns: int) -> None:
        self._last_pose, self._last_stamp_ns = camera_to_world.copy(), stamp_ns

    def choose(self, frame: PosedFrame) -> list[PosedFrame]:
        """Returns the frames to keep now: this one, one that waited for a sharper one, or none.

        They count as kept. Frames come in the order of their stamps.
        """
        chosen = []
        if self._held is not None and self._waited_enough(frame.stamp_ns):
            chosen = self.give_up_waiting()
        if not self.wants(frame.camera_to_world, frame.stamp_ns):
            return chosen
        if self._shows_nothing_new(frame):
            self.known += 1
            if self.known >= RETURNED:
                self._way = 0
            # The next look is due when the camera has moved on.
            self._pass(frame.camera_to_world, frame.stamp_ns)
            return chosen
        return chosen + self._sharp_enough(frame)

    def _shows_nothing_new(self, frame: PosedFrame) -> bool:
        options = self.options
        if options.max_view_overlap >= 1 or self._rested(frame.stamp_ns):
            return False
        seen = self._views.share_seen(
            frame,
            parallax_deg=options.view_parallax_deg,
            without_newest=min(NEWEST_VIEWS, self._way),
            still_m=options.min_translation_m,
        )
        return seen > options.max_view_overlap

    def _sharp_enough(self, frame: PosedFrame) -> list[PosedFrame]:
        """Returns this frame, unless a sharper one may follow."""
        if self.options.min_sharpness <= 0:
            return self._kept(frame)
        sharp = sharpness(frame.image)
        blurred = self._is_blurred(sharp)
        self._usual.append(sharp)
        held = self._held
        self.blurred += held is not None
        if not blurred:
            return self._kept(frame)
        if held is None:
            self._held = _Held(frame, sharp, frame.stamp_ns)
        elif sharp > held.sharpness:
            self._held = _Held(frame, sharp, held.since_ns)
        return []

    def _is_blurred(self, sharp: float) -> bool:
        if len(self._usual) < FEWEST_USUAL:
            return False
        return sharp < self.options.min_sharpness * statistics.median(self._usual)

    def _waited_enough(self, stamp_ns: int) -> bool:
        assert self._held is not None
        waited_s = (stamp_ns - self._held.since_ns) * 1e-9
        return not 0 <= waited_s < self.options.blur_wait_s

    @property
    def waits(self) -> bool:
        """Whether a blurred frame waits for a sharper one."""
        return self._held is not None

    def give_up_waiting(self) -> list[PosedFrame]:
        """Returns the frame that waits for a sharper one, if any; it counts as kept."""
        return [] if self._held is None else self._kept(self._held.frame)

    def _kept(self, frame: PosedFrame) -> list[PosedFrame]:
        self._held, self.known = None, 0
        self._way += 1
        self.keep(frame.camera_to_world, frame.stamp_ns)
        self._views.add(frame)
        return [frame]

    def move(self, world_from_world: Float[np.ndarray, '4 4']) -> None:
        """Moves all that was seen and kept: localisation was corrected."""
        self._views.move(world_from_world)
        if self._last_pose is not None:
            self._last_pose = world_from_world @ self._last_pose
        if self._held is not None:
            pose = world_from_world @ self._held.frame.camera_to_world
            self._held = replace(self._held, frame=replace(self._held.frame, camera_to_world=pose))

    def forget(self) -> None:
        """Forgets what was seen and kept: another map begins."""
        self._views = SeenViews(self.options.view_memory)
        self._last_pose = self._held = None
        self.known = self._way = 0
