"""Quality of service of every topic, in one place."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

#: Status, clouds, maxima, markers: a late subscriber hears the newest at once.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
#: Keyframes are few and none may be lost.
KEYFRAMES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=50,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
#: Each keyframe node's newest poses, for a map that comes late; of several cameras all are heard.
KEYFRAME_POSES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
#: Services keep as many requests as may come at once: with the usual 10, those of further clients
#: are lost without a word.
SERVICES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1000,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
#: Pictures for people: the newest is enough, and a reliable RViz hears them too.
PICTURES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)
#: Poses of what never moves: late subscribers hear all of them.
STATIC_POSES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def camera(reliability: str) -> QoSProfile:
    """Returns the profile of camera topics: 'best_effort' as drivers send, or 'reliable'."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=_policy(reliability))


def poses(reliability: str = 'best_effort') -> QoSProfile:
    """Returns the profile of poses: small ones, as many as may come while an image travels."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=_policy(reliability))


def _policy(reliability: str) -> ReliabilityPolicy:
    reliable = reliability == 'reliable'
    return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
