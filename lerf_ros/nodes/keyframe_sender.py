"""Sends keyframes, and sends them again to a map that has not got them.

Publishes ``keyframes``, and ``keyframe_poses`` when localisation has moved them. Hears ``status``,
where a field node tells what has arrived. What was
sent while nobody listened, while the link was cut, or while the map had no room for it, is kept
within ``node.outbox_mb``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.keyframes import keyframe_message
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.messages import nanoseconds
from lerf_ros.frames.odometry_jumps import Jump
from lerf_ros.geometry import Array
from lerf_ros.msg import FieldStatus, Keyframe, KeyframePoses
from lerf_ros.nodes.health import Health
from lerf_ros.scheduling.outbox import NEVER, Outbox

# How often somebody who listens without telling what arrives, such as a recorder, is looked for.
LOOK_S = 0.1
# Who listens and is no field node by then is such a listener.
STRANGER_S = 1.5
# Keyframes for it in one go, and for a field node between two of its reports.
STRANGER_BATCH = 5
BATCH = 10
# Room of a field node that has heard nothing of us yet.
FIRST_ROOM = 4
# Keyframes whose place is known, for jumps; the oldest are left where they are.
MOST_PLACES = 20_000
# Size of a keyframe without its pictures, about.
SMALL_BYTES = 1000


class KeyframeSender:
    """The keyframes of one run of a camera's node.

    Args:
        node: The node; its full name is the source of the keyframes.
        health: Where it complains.
        capacity_mb: How much is kept.
        on_other_map: Called when the map has lost what it was sent: it was reset, or its node was
            started again.

    Attributes:
        count: Number of keyframes.
        run: Identity of this start.
    """

    def __init__(
        self, node: Node, health: Health, capacity_mb: int, on_other_map: Callable[[], None]
    ) -> None:
        self._node, self._health, self._capacity_mb = node, health, capacity_mb
        self._on_other_map = on_other_map
        self.count = 0
        self.run = uuid.uuid4().hex[:12]
        self._source = node.get_fully_qualified_name()
        self._outbox: Outbox[Keyframe] = Outbox(capacity_mb * 1_000_000)
        self._sent_again = 0
        # The start of the field node that listens, and its map; '' before its first report.
        self._field_run = self._map_id = ''
        self._listened_since: float | None = None
        # Where each keyframe belongs, and by what pose of the odometry frame it was placed.
        self._places: dict[int, tuple[Array, Array | None]] = {}
        self._poses = node.create_publisher(KeyframePoses, 'keyframe_poses', qos.KEYFRAME_POSES)
        self._publisher = node.create_publisher(Keyframe, 'keyframes', qos.KEYFRAMES)
        node.create_subscription(FieldStatus, 'status', self._hear, qos.LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(LOOK_S, self._serve_strangers, clock=steady)

    def send(
        self,
        frame: PosedFrame,
        world_frame: str,
        jpeg_quality: int,
        odom_to_world: Array | None = None,
    ) -> None:
        """Publishes a keyframe, and keeps it where it may have to be sent again.

        Args:
            frame: The frame.
            world_frame: Frame of its pose.
            jpeg_quality: Quality of its picture.
            odom_to_world: Pose of the odometry frame by which it was placed, if there is one.
        """
        message = keyframe_message(
            frame, self.count, world_frame, jpeg_quality, source=self._source, run=self.run
        )
        self._publisher.publish(message)
        now = time.monotonic()
        listened_s = self._listened_s(now)
        if self._field_run or listened_s < STRANGER_S:
            self._keep(message, now if listened_s >= 0 else NEVER)
        self.count += 1
        self._places[frame.stamp_ns] = frame.camera_to_world, odom_to_world
        if len(self._places) > MOST_PLACES:
            del self._places[next(iter(self._places))]

    def follow(self, jump: Jump, world_frame: str) -> int:
        """Moves the keyframes to where they belong after a jump; returns how many there are.

        Those that are kept are changed, and the map is told of all.
        """
        for stamp_ns, (pose, odom_to_world) in self._places.items():
            self._places[stamp_ns] = jump.moved(pose, stamp_ns, odom_to_world), odom_to_world
        for message in self._outbox:
            place = self._places.get(nanoseconds(message.header.stamp))
            if place is not None:
                message.pose = pose_message(place[0])
        self._poses.publish(
            KeyframePoses(
                header=Header(stamp=self._node.get_clock().now().to_msg(), frame_id=world_frame),
                source=self._source,
                run=self.run,
                stamps=[stamp_message(stamp_ns) for stamp_ns in self._places],
                poses=[pose_message(pose) for pose, _ in self._places.values()],
            )
        )
        return len(self._places)

    def _keep(self, message: Keyframe, sent_s: float) -> None:
        size_bytes = SMALL_BYTES + len(message.image.data) + len(message.depth.data)
        lost = self._outbox.put(message.index, message, size_bytes, sent_s)
        if lost:
            self._health.complain(
                'lost_keyframes',
                f'{lost} keyframes that no map has taken were dropped: node.outbox_mb = '
                f'{self._capacity_mb} is full; look after the link to the field node, or raise it',
            )
        elif sent_s == NEVER:
            self._health.note(
                'unheard_keyframes',
                f'nobody listens to {self._publisher.topic_name}: keyframes are kept until '
                'somebody does',
            )

    def _listened_s(self, now: float) -> float:
        """Returns for how long somebody has listened; -1 where nobody does."""
        if self._publisher.get_subscription_count() == 0:
            self._listened_since = None
            return -1.0
        if self._listened_since is None:
            self._listened_since = now
        return now - self._listened_since

    def _serve_strangers(self) -> None:
        """Sends what nobody has heard to who listens without reports."""
        listened_s = self._listened_s(time.monotonic())
        if self._field_run or listened_s < STRANGER_S:
            return
        for message in self._outbox.take_unsent(STRANGER_BATCH):
            self._publisher.publish(message)

    def _hear(self, status: FieldStatus) -> None:
        """Takes the report of a field node, and sends again what it has not got."""
        if not status.run:
            return
        if status.run != self._field_run:
            if self._field_run:
                self._outbox.start_again()
                self._node.get_logger().info(
                    f'the field node was started again: it is sent the {len(self._outbox)} '
                    'keyframes that are kept'
                )
                self._on_other_map()
        elif status.map_id != self._map_id:
            self._outbox.drop_arrived()
            self._on_other_map()
        self._field_run, self._map_id = status.run, status.map_id
        room = FIRST_ROOM
        for stream in status.streams:
            if (stream.source, stream.run) == (self._source, self.run):
                self._outbox.hear(stream.next_index, stream.missing)
                room = stream.room
        again = self._outbox.due(time.monotonic(), min(room, BATCH))
        for message in again:
            self._publisher.publish(message)
        self._sent_again += len(again)

    def values(self) -> dict[str, object]:
        """Returns what `/diagnostics` tells of it."""
        return {
            'keyframes': self.count,
            'kept_keyframes': len(self._outbox),
            'kept_mb': self._outbox.held_bytes / 1e6,
            'unheard_keyframes': self._outbox.unheard,
            'keyframes_sent_again': self._sent_again,
            'keyframes_lost': self._outbox.lost,
        }
