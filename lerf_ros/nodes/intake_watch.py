"""Watches what comes into a keyframe node, and says why nothing arrives."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lerf_ros.bridge.topics import Input
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.assembler import Assembler
from lerf_ros.frames.checks import doubts
from lerf_ros.frames.decoding import FrameDecoder
from lerf_ros.frames.diagnosis import Finding, IntakeFacts, findings, suspicions
from lerf_ros.nodes.health import Health

LOOK_S = 0.2
JUDGE_S = 0.5
# No keyframe for this long is silence; looked at every half second it is told well within 5 s.
SILENT_S = 3.0
# Pictures that have to be blurred before it is told.
BLURRED_COUNT = 3


class IntakeWatch:
    """Looks at the graph, at what was heard and at what became of it.

    Args:
        node: The keyframe node.
        health: Where it complains.
        inputs: Its image, camera info, and depth and pose where they are wanted, by name.
        assembler: What pairs them.
        decoder: What unpacks them.
        rectified: Whether images are said to be rectified.
    """

    def __init__(
        self,
        node: Node,
        health: Health,
        inputs: dict[str, Input],
        assembler: Assembler,
        decoder: FrameDecoder,
        *,
        rectified: bool,
    ) -> None:
        self._node, self._health, self._inputs = node, health, inputs
        self._assembler, self._decoder, self._rectified = assembler, decoder, rectified
        self._started = self._last_keyframe = time.monotonic()
        self._keyframes = 0
        self._refused, self._no_pose, self._still, self._known = '', '', 0, 0
        self._pose_refused = ''
        self._doubts: tuple[str, ...] = ()
        self._sharpness: deque[float] = deque(maxlen=BLURRED_COUNT)
        self.finding: Finding | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(LOOK_S, self._look, clock=steady)
        node.create_timer(JUDGE_S, self._judge, clock=steady)

    def took(self, frame: PosedFrame) -> None:
        """Notes a frame that became a keyframe."""
        self._last_keyframe = time.monotonic()
        self._keyframes += 1
        self._refused, self._no_pose, self._still, self._known = '', '', 0, 0
        self._pose_refused = ''
        self._doubts = tuple(doubts(frame))
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        self._sharpness.append(float(cv2.Laplacian(grey, cv2.CV_32F).var()))

    def refused(self, sentence: str) -> None:
        """Notes a picture that cannot be used."""
        self._refused = sentence

    def without_pose(self, sentence: str) -> None:
        """Notes an image whose pose is not known."""
        self._no_pose = sentence

    def pose_refused(self, sentence: str) -> None:
        """Notes a pose that cannot be used: the cause of images without one."""
        self._pose_refused = sentence

    def still(self) -> None:
        """Notes a frame that showed nothing new."""
        self._still += 1
        self._no_pose = ''

    def known(self) -> None:
        """Notes a frame of a camera that moves where it has been."""
        self._known += 1
        self._no_pose = ''
        self._health.note(
            'known_frames',
            f'{self._inputs["image"].topic} shows what earlier keyframes show: it gives none '
            'until there is something new',
        )

    def _look(self) -> None:
        for one in self._inputs.values():
            one.look()

    def _judge(self) -> None:
        facts = self.facts()
        silent = time.monotonic() - self._last_keyframe > SILENT_S
        found: Sequence[Finding] = findings(facts) if silent else suspicions(facts)
        if time.monotonic() - self._started < SILENT_S:  # /clock has not come yet
            found = [one for one in found if one.kind != 'no_clock']
        self.finding = found[0] if found else None
        for finding in reversed(found[:2]):
            self._health.complain(finding.kind, str(finding))
        self._health.stand(str(found[0]) if found else '')

    def facts(self) -> IntakeFacts:
        """Returns what is known of everything on the way to a keyframe."""
        inputs = {name: one.facts() for name, one in self._inputs.items()}
        pairer = self._assembler.pairer
        recent = len(self._sharpness) == BLURRED_COUNT
        return IntakeFacts(
            image=inputs['image'],
            info=inputs['camera_info'],
            depth=inputs.get('depth'),
            pose=inputs.get('pose'),
            sim_time=bool(self._node.get_parameter('use_sim_time').value),
            clock_ns=self._node.get_clock().now().nanoseconds,
            paired=self._assembler.paired,
            without_depth=pairer.without_depth_in_a_row,
            depth_gap_ns=pairer.depth_gap_ns,
            refused=self._refused,
            no_pose=self._no_pose and (self._pose_refused or self._no_pose),
            pose_newest_ns=self._assembler.poses.newest_ns,
            keyframes=self._keyframes,
            still=self._still,
            known=self._known,
            sharpness=float(np.max(self._sharpness)) if recent else None,
            doubts=self._doubts,
            rectified=self._rectified,
            bends=self._decoder.bends,
        )

    def values(self) -> dict[str, object]:
        """Returns what `/diagnostics` tells of the inputs."""
        found: dict[str, object] = {}
        for name, one in self._inputs.items():
            facts = one.facts()
            senders = ', '.join(f'{p.node} ({p.type})' for p in facts.publishers) or 'nobody'
            found[f'{name}'] = f'{facts.topic}: {facts.heard} heard, {one.rate.hz:.1f} Hz'
            found[f'{name} from'] = senders
        found['finding'] = self.finding.sentence if self.finding else ''
        found['advice'] = self.finding.advice if self.finding else ''
        return found
