"""Where a camera is at the stamp of its image: by TF, or by a topic of poses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from lerf_ros.frames.messages import frame_of, stamp_of, stamped_matrix_of
from lerf_ros.frames.pose_track import PoseTrack, TransformError
from lerf_ros.frames.transforms import TransformSource
from lerf_ros.geometry import pose_matrix

#: Types of messages that tell a pose, by their package and name.
POSE_TYPES = (
    'geometry_msgs/msg/PoseStamped',
    'geometry_msgs/msg/PoseWithCovarianceStamped',
    'nav_msgs/msg/Odometry',
    'geometry_msgs/msg/TransformStamped',
)
HISTORY_NS = 30_000_000_000
JUMP_NS = 50_000_000


def mounting_of(text: str) -> Float[np.ndarray, '4 4'] | None:
    """Returns the matrix of ``x y z qx qy qz qw``; None of an empty text.

    Raises:
        ValueError: It has another number of numbers, or they are no rigid motion.
    """
    words = text.replace(',', ' ').split()
    if not words:
        return None
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise ValueError(f'extrinsic: expected numbers, got {text!r}') from error
    if len(numbers) != 7 or not np.isfinite(numbers).all():
        raise ValueError(f'extrinsic: expected 7 finite numbers x y z qx qy qz qw, got {text!r}')
    return pose_matrix(numbers[:3], numbers[3:])


class PoseSource:
    """Poses of a camera.

    Args:
        world_frame: The frame they are asked in; '' takes that of the first pose heard.
        transforms: TF; None where there is none.
        by_topic: Whether poses come by `hear`; TF then only says how frames are mounted.
        camera_frame: Optical frame of the images, whatever they say; '' as they say.
        mounting: Camera to body: where the camera sits on the frame that poses are of, or that
            images name; None asks TF.
        history_ns: How long poses are kept; None: for ever.
        gap_ns: Over longer times without a pose of the topic none that moved is interpolated;
            None: over any.
        complain: Called once with what is assumed and not known.
    """

    def __init__(
        self,
        world_frame: str,
        transforms: TransformSource | None,
        *,
        by_topic: bool,
        camera_frame: str = '',
        mounting: Float[np.ndarray, '4 4'] | None = None,
        history_ns: int | None = HISTORY_NS,
        gap_ns: int | None = None,
        complain: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self.world_frame = world_frame.lstrip('/')
        self._transforms, self._by_topic = transforms, by_topic
        self._camera_frame, self._mounting = camera_frame.lstrip('/'), mounting
        self._track = PoseTrack(history_ns, gap_ns)
        self._complain = complain
        self._told: set[str] = set()
        # The frame that the topic's poses are of ('' is the camera) and are given in.
        self._body, self._parent = '', ''
        self._asked = ''

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose of the camera that was asked for last."""
        if self._by_topic:
            return self._track.newest_ns
        if self._transforms is None or not self._asked:
            return None
        return self._transforms.newest_ns(self.world_frame, self._asked)

    def needs_transforms(self, message: Any) -> bool:
        """Tells whether a pose of the topic makes sense with TF only, and there is none yet."""
        child = str(getattr(message, 'child_frame_id', ''))
        elsewhere = self.world_frame not in ('', frame_of(message))
        return self._transforms is None and (elsewhere or (bool(child) and self._mounting is None))

    def use(self, transforms: TransformSource) -> None:
        """Takes TF that is listened to from now."""
        self._transforms = transforms

    def hear(self, message: Any) -> None:
        """Takes a pose of the topic: of any of `POSE_TYPES`.

        Raises:
            ValueError: It is not finite or no rigid motion; its stamp gives no pose then.
        """
        stamp_ns, parent = stamp_of(message), frame_of(message)
        newest = self._track.newest_ns
        if newest is not None and stamp_ns < newest - JUMP_NS:
            self._track.forget_after(stamp_ns)
        if not self.world_frame:
            self.world_frame = parent
        if parent != self.world_frame and self._transforms is None:
            sentence = (
                f'pose: expected the frame {self.world_frame!r}, got {parent!r}; set '
                'node.world_frame, or provide TF between them'
            )
            raise ValueError(sentence)
        try:
            matrix = stamped_matrix_of(message)
        except ValueError as error:
            self._track.add(stamp_ns, str(error))
            raise
        self._parent, self._body = parent, str(getattr(message, 'child_frame_id', '')).lstrip('/')
        self._track.add(stamp_ns, matrix)

    def start_again(self) -> None:
        """Forgets what moved before: the recording that is heard has started again."""
        self._track.start_again()
        if self._transforms is not None:
            self._transforms.start_again()

    def lookup(
        self, image_frame: str, stamp_ns: int, *, last_chance: bool = False
    ) -> Float[np.ndarray, '4 4']:
        """Returns ``camera_to_world`` at a stamp.

        Args:
            image_frame: Frame that the image names.
            stamp_ns: Its stamp.
            last_chance: Whether to assume what is not known about the mounting, with a complaint.

        Raises:
            TransformError: It is not known at that stamp.
        """
        camera = self._camera_frame or image_frame.lstrip('/')
        self._asked = camera
        if not self._by_topic:
            if self._transforms is None:
                raise TransformError('no TF is available, and no topic gives poses')
            found = self._transforms.lookup(self.world_frame, camera, stamp_ns)
            return found if self._mounting is None else found @ self._mounting
        pose = self._track.at(stamp_ns, self._body or camera)
        if self._parent != self.world_frame:
            assert self._transforms is not None  # `hear` refuses it otherwise
            pose = self._transforms.lookup(self.world_frame, self._parent, stamp_ns) @ pose
        if self._mounting is not None:
            return pose @ self._mounting
        if not self._body or self._body == camera:
            return pose
        return pose @ self._mounted(camera, stamp_ns, last_chance)

    def moves_with(self, odom_frame: str) -> bool:
        """Tells whether the poses that were asked last go through the odometry frame."""
        if self._transforms is None or odom_frame in ('', self.world_frame):
            return False
        start = self._parent if self._by_topic else self._asked
        way = [start, *self._transforms.above(start)] if start else []
        return odom_frame in way and self.world_frame in way[way.index(odom_frame) :]

    def newest_odometry(self, odom_frame: str) -> tuple[int, Float[np.ndarray, '4 4']] | None:
        """Returns the newest pose of the odometry frame in the world, with its stamp, if any."""
        if self._transforms is None:
            return None
        stamp_ns = self._transforms.newest_ns(self.world_frame, odom_frame)
        pose = None if stamp_ns is None else self.odometry_at(odom_frame, stamp_ns)
        return None if stamp_ns is None or pose is None else (stamp_ns, pose)

    def odometry_at(self, odom_frame: str, stamp_ns: int) -> Float[np.ndarray, '4 4'] | None:
        """Returns the pose of the odometry frame in the world at a stamp, if it is known."""
        if self._transforms is None:
            return None
        try:
            return self._transforms.lookup(self.world_frame, odom_frame, stamp_ns)
        except TransformError:
            return None

    def _mounted(self, camera: str, stamp_ns: int, last_chance: bool) -> Float[np.ndarray, '4 4']:
        try:
            if self._transforms is None:
                raise TransformError('there is no TF')
            return self._transforms.lookup(self._body, camera, stamp_ns)
        except TransformError as error:
            if not last_chance:
                raise
            if camera not in self._told:
                self._told.add(camera)
                self._complain(
                    f'poses are of {self._body!r} and images of {camera!r}, and how one sits on '
                    f'the other is unknown ({error}): they are taken as one; give the camera '
                    'extrinsic otherwise'
                )
            return np.eye(4)
