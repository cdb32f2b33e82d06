"""Why nothing arrives: what was heard of each input, and the one sentence that says what is wrong.

Pure: a node or `lerf_ros doctor` gathers the facts, here they are judged. The first finding is the
first true reason; what follows from it is not told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lerf_ros.frames.pose_track import GAP_ADVICE

SKEW_S = 1.0
BLURRED = 15.0  # variance of the Laplacian of a grey picture, below which nothing is sharp


@dataclass(frozen=True)
class Publisher:
    """Somebody who sends on a topic.

    Attributes:
        node: Name of the node.
        type: Type of its messages.
        mismatch: Which of its policies do not fit ours; '' if all do.
    """

    node: str
    type: str
    mismatch: str = ''


@dataclass(frozen=True)
class InputFacts:
    """What is known of one input.

    Attributes:
        name: What it is for: image, camera_info, depth, pose.
        topic: Its full name.
        types: Types that are understood.
        publishers: Who sends.
        heard: Number of messages heard.
        stamp_ns: Stamp of the last one; None before the first.
        age_s: Since the last one.
    """

    name: str
    topic: str
    types: tuple[str, ...]
    publishers: tuple[Publisher, ...] = ()
    heard: int = 0
    stamp_ns: int | None = None
    age_s: float = float('inf')


@dataclass(frozen=True)
class IntakeFacts:
    """What is known of everything on the way to a keyframe.

    Attributes:
        image: The images.
        info: Their calibration.
        depth: Depth; None if none is wanted.
        pose: The topic of poses; None if poses come from TF.
        sim_time: Whether time comes from /clock.
        clock_ns: The node's time; 0 before the first of /clock.
        paired: Number of images whose info came.
        without_depth: Number of images that went without their depth.
        depth_gap_ns: From the last of those to the nearest depth.
        refused: The last sentence about a picture or calibration that was refused; '' if none.
        no_pose: The last sentence about an image whose pose is not known; '' if none.
        pose_newest_ns: Stamp of the newest pose of the camera; None if there is none.
        keyframes: Number of keyframes.
        still: Number of frames since the last keyframe in which the camera had not moved.
        known: Number of frames since then that showed nothing new though it had moved.
        sharpness: Of the last picture that was looked at; None if none was.
        doubts: What the last keyframe says about itself that may be wrong.
        rectified: Whether the option says that images are rectified already.
        bends: Whether the calibration has distortion.
    """

    image: InputFacts
    info: InputFacts
    depth: InputFacts | None = None
    pose: InputFacts | None = None
    sim_time: bool = False
    clock_ns: int = 1
    paired: int = 0
    without_depth: int = 0
    depth_gap_ns: int | None = None
    refused: str = ''
    no_pose: str = ''
    pose_newest_ns: int | None = None
    keyframes: int = 0
    still: int = 0
    known: int = 0
    sharpness: float | None = None
    doubts: tuple[str, ...] = field(default=())
    rectified: bool = False
    bends: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: A word for it.
        sentence: What was heard and what is missing.
        advice: What to change.
    """

    kind: str
    sentence: str
    advice: str

    def __str__(self) -> str:
        return f'{self.sentence}; {self.advice}'


def findings(facts: IntakeFacts) -> list[Finding]:
    """Returns what keeps keyframes from being made, the cause before its effects."""
    found = [_clock(facts)]
    inputs = [facts.image, facts.info, facts.depth, facts.pose]
    found += [_input(one) for one in inputs if one is not None]
    if not any(found):
        found += [_stamps(facts), _unpaired(facts), _refused(facts), _skew(facts), _pose(facts)]
    if not any(found):
        found += [_still(facts)]
    return [finding for finding in found if finding is not None]


def suspicions(facts: IntakeFacts) -> list[Finding]:
    """Returns what may be wrong though keyframes are made."""
    found = [_clock(facts), _rectified_twice(facts), _blurred(facts), _depth_missing(facts)]
    doubted = [
        Finding('doubtful', f'{facts.image.topic}: {sentence}', 'see the options of node.*')
        for sentence in facts.doubts
    ]
    return [finding for finding in found if finding is not None] + doubted


def _clock(facts: IntakeFacts) -> Finding | None:
    if not facts.sim_time or facts.clock_ns > 0:
        return None
    return Finding(
        'no_clock',
        'use_sim_time is true and nothing is heard on /clock',
        'play with --clock, start the simulator, or set use_sim_time to false',
    )


def _input(one: InputFacts) -> Finding | None:
    where = f'{one.name}: {one.topic}'
    if not one.publishers:
        if one.heard:
            return Finding(
                f'{one.name}_ended',
                f'{where} has no publisher any more; the last message came {one.age_s:.1f} s ago',
                'look after the driver',
            )
        return Finding(
            f'{one.name}_no_publisher',
            f'{where} has no publisher',
            f'start the driver, or remap {one.name} to the name it uses (ros2 topic list)',
        )
    if not any(publisher.type in one.types for publisher in one.publishers):
        types = ', '.join(sorted({publisher.type for publisher in one.publishers}))
        return Finding(
            f'{one.name}_type',
            f'{where} carries {types}, expected {" or ".join(one.types)}',
            'remap to another topic, or set the transport',
        )
    bad = [publisher for publisher in one.publishers if publisher.mismatch]
    if bad and not one.heard:
        return Finding(
            f'{one.name}_qos',
            f'{where}: the QoS of {bad[0].node} does not fit: {bad[0].mismatch}',
            'set node.image_reliability to best_effort, or change the publisher',
        )
    if not one.heard:
        return Finding(
            f'{one.name}_silent',
            f'{where} has a publisher ({one.publishers[0].node}) and no message was heard',
            'look whether the driver runs, and at the network (ros2 topic hz)',
        )
    return None


def _stamps(facts: IntakeFacts) -> Finding | None:
    for one in (facts.image, facts.depth):
        if one is not None and one.heard and one.stamp_ns == 0:
            return Finding(
                'zero_stamps',
                f'{one.name}: {one.topic} has stamps at zero: no pose can be found for them',
                'let the driver stamp its messages',
            )
    return None


def _unpaired(facts: IntakeFacts) -> Finding | None:
    if facts.paired or facts.image.stamp_ns is None:
        return None
    other = facts.info
    gap_s = (facts.image.stamp_ns - (other.stamp_ns or 0)) * 1e-9
    return Finding(
        'unpaired',
        f'{facts.image.topic} and {other.topic} never pair: their stamps are {gap_s:.3f} s apart',
        'use the camera_info of the same driver',
    )


def _refused(facts: IntakeFacts) -> Finding | None:
    if not facts.refused:
        return None
    if 'uncalibrated' in facts.refused:
        return Finding(
            'uncalibrated',
            f'{facts.info.topic}: {facts.refused}',
            'calibrate the camera, or give its driver the calibration file',
        )
    return Finding('refused', f'{facts.image.topic}: {facts.refused}', 'see the message')


def _skew(facts: IntakeFacts) -> Finding | None:
    if facts.pose_newest_ns is None or facts.image.stamp_ns is None or not facts.no_pose:
        return None
    skew_s = (facts.image.stamp_ns - facts.pose_newest_ns) * 1e-9
    if abs(skew_s) < SKEW_S:
        return None
    where = facts.pose.topic if facts.pose is not None else 'TF'
    ahead = 'ahead of' if skew_s > 0 else 'behind'
    return Finding(
        'clock_skew',
        f'the stamps of {facts.image.topic} are {abs(skew_s):.3f} s {ahead} the newest pose of '
        f'{where}: clocks differ, or poses have stopped',
        'synchronise the clocks (chrony, PTP), or look after the localisation',
    )


def _pose(facts: IntakeFacts) -> Finding | None:
    if not facts.no_pose:
        return None
    if facts.no_pose.endswith(GAP_ADVICE):
        return Finding('pose_gap', facts.no_pose.removesuffix(f'; {GAP_ADVICE}'), GAP_ADVICE)
    return Finding(
        'no_pose',
        facts.no_pose,
        'start the localisation, or set node.world_frame and node.camera_frame to known frames',
    )


def _still(facts: IntakeFacts) -> Finding | None:
    if not facts.still or facts.known:
        return None
    return Finding(
        'still',
        f'images arrive and the camera has not moved: {facts.still} frames showed nothing new',
        'move it, or set keyframes.max_interval_s',
    )


def _rectified_twice(facts: IntakeFacts) -> Finding | None:
    if facts.rectified or not facts.bends or 'rect' not in facts.image.topic.lower():
        return None
    return Finding(
        'rectified_twice',
        f'{facts.image.topic} looks rectified by its name and {facts.info.topic} has distortion: '
        'the picture would be rectified twice',
        'set node.images_rectified to true, or map image_raw',
    )


def _blurred(facts: IntakeFacts) -> Finding | None:
    if facts.sharpness is None or facts.sharpness >= BLURRED:
        return None
    return Finding(
        'blurred',
        f'{facts.image.topic} shows nothing sharp: the variance of its Laplacian is '
        f'{facts.sharpness:.1f}, expected above {BLURRED:g}',
        'clean or focus the lens, give more light, or move more slowly',
    )


def _depth_missing(facts: IntakeFacts) -> Finding | None:
    if facts.depth is None or not facts.without_depth:
        return None
    if facts.depth_gap_ns is None:
        gap = 'none came near'
    else:
        gap = f'the nearest is {facts.depth_gap_ns * 1e-6:+.1f} ms off'
    return Finding(
        'depth_unpaired',
        f'{facts.depth.topic} does not pair with {facts.image.topic}: {gap}',
        'raise node.depth_slop_s, or let the driver synchronise both',
    )
