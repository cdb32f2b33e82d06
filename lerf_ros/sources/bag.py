"""Posed frames from a ROS bag (sqlite3 or MCAP, ROS 1 too), read without a ROS install.

A bag of ``/lerf/keyframes`` needs nothing else. Otherwise colour, camera info, optional registered
depth, and the pose from TF or from a topic of poses. The messages go through the same pairing,
pose checks, decoding and rectification as those that a node hears live.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lerf_ros.config import NodeOptions
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.assembler import Assembler, PosedPairing
from lerf_ros.frames.decoding import FrameDecoder, keyframe_frame
from lerf_ros.frames.messages import stamp_of
from lerf_ros.frames.pairing import Pairer
from lerf_ros.frames.pose_source import PoseSource
from lerf_ros.frames.transforms import TransformTree, take_tf
from lerf_ros.sources.bag_reader import BagReader, open_bag
from lerf_ros.sources.bag_topics import KEYFRAME_TYPE, BagTopics, choose_topics
from lerf_ros.sources.left_out import Ledger

# In a bag poses and depth may be recorded well after their picture.
WAIT_S = 5.0
WAITING = 300
# Frames that are taken as the world where nobody says which, the best first.
WORLDS = ('map', 'odom', 'world')


class Bag:
    """The posed frames of a bag, in the order they were recorded.

    What belongs to one frame costs that frame, with one warning each.

    Args:
        path: The bag: a folder (ROS 2) or a file (ROS 1, MCAP).
        image_topic: Colour, raw or compressed; None: the one that looks best.
        camera_info_topic: Calibration; None: that beside the image topic.
        depth_topic: Depth that is registered to the colour; None: one that looks so; '': none.
        pose_topic: Poses of the camera; None: TF where there is any; '': TF.
        world_frame: TF frame of the world; '': map, odom, world, or the root of the tree.
        keyframe_topic: Topic of keyframes; where the bag has it the others are not looked at.
            None: the first of that type.
        slop_s: Greatest difference of the stamps of colour and depth.
        depth_unit_m: What 1 means in depth pictures; None: as their encoding says.
        rectified: Whether pictures are rectified already, whatever the calibration says.
        camera_frame: Optical frame of the images, whatever they say; '' as they say.
        mounting: Where the camera sits on the frame that poses are of; None asks TF.
        pose_gap_s: Longest time between two poses that a picture is placed by while the camera
            moves; 0: any.

    Attributes:
        ledger: What was left out, and warnings.

    Raises:
        ValueError: The bag cannot be read, or a topic is not in it.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        image_topic: str | None = None,
        camera_info_topic: str | None = None,
        depth_topic: str | None = None,
        pose_topic: str | None = None,
        world_frame: str = '',
        keyframe_topic: str | None = None,
        slop_s: float = 0.03,
        depth_unit_m: float | None = None,
        rectified: bool = False,
        camera_frame: str = '',
        mounting: Float[np.ndarray, '4 4'] | None = None,
        pose_gap_s: float = NodeOptions.pose_gap_s,
    ) -> None:
        self._path = Path(path)
        self._slop_ns = round(slop_s * 1e9)
        self._gap_ns = round(pose_gap_s * 1e9) or None
        self._world_frame, self._camera_frame = world_frame, camera_frame
        self._mounting = mounting
        self._depth_unit_m, self._rectified = depth_unit_m, rectified
        self.ledger = Ledger(self._path.name)
        self._decoding = ''
        with open_bag(self._path) as reader:
            if reader.damage:
                self.ledger.warn(reader.damage)
            keyframes = [name for name, kind in reader.topics.items() if kind == KEYFRAME_TYPE]
            self._keyframe_topic = keyframe_topic if keyframe_topic in keyframes else None
            if keyframe_topic is None and keyframes:
                self._keyframe_topic = keyframes[0]
            self._topics: BagTopics | None = None
            if self._keyframe_topic is None:
                given = {
                    'image': image_topic,
                    'info': camera_info_topic,
                    'depth': depth_topic,
                    'pose': pose_topic,
                }
                try:
                    self._topics = choose_topics(reader, given)
                except ValueError as error:
                    raise ValueError(f'{path}: {error}') from error

    @property
    def has_keyframes(self) -> bool:
        """Whether the bag holds keyframes, which were chosen already."""
        return self._keyframe_topic is not None

    def __iter__(self) -> Iterator[PosedFrame]:
        with open_bag(self._path) as reader:
            kept = 0
            frames = self._keyframes(reader) if self._topics is None else self._frames(reader)
            for frame in frames:
                kept += 1
                yield frame
            self.ledger.summarise(kept)

    def _keyframes(self, reader: BagReader) -> Iterator[PosedFrame]:
        assert self._keyframe_topic is not None
        known: set[tuple[str, str, int]] = set()
        for _, _, message in reader.messages([self._keyframe_topic], self.ledger.warn):
            # A sender that is not sure who heard it sends again.
            name = (message.source, getattr(message, 'run', ''), message.index)
            if name[1] and name in known:
                continue
            known.add(name)
            try:
                yield keyframe_frame(message)
            except ValueError as error:
                self.ledger.leave_out(f'keyframe {message.index}', error)

    def _frames(self, reader: BagReader) -> Iterator[PosedFrame]:
        assert self._topics is not None
        topics, ledger = self._topics, self.ledger
        kinds = {topics.image: 'image', topics.info: 'info'}
        if topics.depth:
            kinds[topics.depth] = 'depth'
        tree = TransformTree(complain=ledger.warn, gap_ns=self._gap_ns)
        poses = PoseSource(
            self._world_frame or ('' if topics.pose else self._find_world(reader)),
            self._with_static(reader, tree) if topics.tf else None,
            by_topic=bool(topics.pose),
            camera_frame=self._camera_frame,
            mounting=self._mounting,
            gap_ns=self._gap_ns,
            complain=ledger.warn,
        )
        assembler = Assembler(
            Pairer(bool(topics.depth), self._slop_ns, capacity=WAITING, wait_s=WAIT_S),
            poses,
            wait_s=WAIT_S,
            capacity=WAITING,
            complain=self._complain,
        )
        decoder = FrameDecoder(self._depth_unit_m, rectified=self._rectified, complain=self._doubt)
        now_s = 0.0
        for topic, recorded_ns, message in reader.messages(topics.all, ledger.warn):
            now_s = recorded_ns * 1e-9
            ended: list[PosedPairing] = []
            if topic in kinds:
                ended = assembler.add(kinds[topic], message, now_s)  # type: ignore[arg-type]
            elif topic == topics.pose:
                try:
                    poses.hear(message)
                except ValueError as error:
                    ledger.warn(f'{topic} at {stamp_of(message) * 1e-9:.3f} s refused: {error}')
            elif not topic.endswith('static'):
                for problem in take_tf(tree, message, static=False):
                    ledger.warn(f'{topic}: {problem}')
            for posed in (*ended, *assembler.ready(now_s)):
                yield from self._decoded(decoder, posed)
        for posed in assembler.ready(now_s, flush=True):
            yield from self._decoded(decoder, posed)

    def _decoded(self, decoder: FrameDecoder, posed: PosedPairing) -> Iterator[PosedFrame]:
        pairing = posed.pairing
        self._decoding = self._name(pairing.stamp_ns)
        if pairing.depth is None and self._topics is not None and self._topics.depth:
            self._doubt('depth left out: none near its stamp')
        try:
            yield decoder.frame(pairing, posed.camera_to_world)
        except ValueError as error:
            self.ledger.leave_out(self._decoding, error)

    def _doubt(self, sentence: str) -> None:
        self.ledger.warn(f'{self._decoding}: {sentence}')

    def _name(self, stamp_ns: int) -> str:
        assert self._topics is not None
        return f'{self._topics.image} at {stamp_ns * 1e-9:.3f} s'

    def _complain(self, kind: str, stamp_ns: int, sentence: str) -> None:
        if kind == 'time_jumps':
            self.ledger.warn(f'stamps go back at {stamp_ns * 1e-9:.3f} s: poses begin anew there')
        else:
            self.ledger.leave_out(self._name(stamp_ns), sentence)

    def _with_static(self, reader: BagReader, tree: TransformTree) -> TransformTree:
        """Adds what never moves: it is often recorded late, and holds from the beginning."""
        assert self._topics is not None
        static = [name for name in self._topics.tf if name.endswith('static')]
        for topic, _, message in reader.messages(static):
            for problem in take_tf(tree, message, static=True):
                self.ledger.warn(f'{topic}: {problem}')
        return tree

    def _find_world(self, reader: BagReader) -> str:
        """Returns the frame to take as the world: the best known, else a root."""
        assert self._topics is not None
        parents: dict[str, str] = {}
        for _, _, message in reader.messages(list(self._topics.tf)):
            for entry in message.transforms:
                parents[entry.child_frame_id.lstrip('/')] = entry.header.frame_id.lstrip('/')
        frames = {*parents, *parents.values()}
        for world in WORLDS:
            if world in frames:
                return world
        roots = sorted(frames - set(parents))
        if len(roots) != 1:
            raise ValueError(f'{self._path}: expected a world frame, got the roots {roots}')
        return roots[0]
