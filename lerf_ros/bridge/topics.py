"""Topics whose type is found on the graph, and what the graph knows of those who send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from lerf_ros.frames.diagnosis import InputFacts, Publisher
from lerf_ros.frames.messages import stamp_of
from lerf_ros.scheduling.rate import Rate


class Input:
    """A subscription that is made once the type of its topic is known.

    A latched topic is heard from its last message, and a publisher of another understood type is
    followed. Nothing is subscribed while nobody publishes an understood type.

    Args:
        node: The node.
        name: What it is for.
        topic: Name of the topic; relative ones are remapped.
        types: Understood types by their full name.
        profile: Quality of service that is asked for.
        hear: Takes each message.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        topic: str,
        types: Mapping[str, type],
        profile: QoSProfile,
        hear: Callable[[Any], object],
    ) -> None:
        self._node, self._name, self._topic = node, name, topic
        self._types, self._profile, self._hear = dict(types), profile, hear
        self._subscription: Any = None
        self._type, self._latched = '', False
        self._facts = InputFacts(name, node.resolve_topic_name(topic), tuple(types))
        self.rate = Rate()
        self.look()

    def look(self) -> None:
        """Subscribes what is published by now."""
        publishers = self._node.get_publishers_info_by_topic(self._facts.topic)
        known = [one for one in publishers if one.topic_type in self._types]
        if not known:
            return
        kinds = {one.topic_type for one in known}
        kind = self._type if self._type in kinds else known[0].topic_type
        latched = all(
            one.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            and one.qos_profile.reliability == ReliabilityPolicy.RELIABLE
            for one in known
        )
        if self._subscription is not None and (kind, latched) == (self._type, self._latched):
            return
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        profile = self._latched_profile() if latched else self._profile
        self._type, self._latched = kind, latched
        self._subscription = self._node.create_subscription(
            self._types[kind], self._topic, self._take, profile
        )

    def _latched_profile(self) -> QoSProfile:
        return QoSProfile(
            depth=self._profile.depth,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )

    def _take(self, message: Any) -> None:
        self.rate.tick()
        stamp_ns = stamp_of(message) if hasattr(message, 'header') else None
        self._facts = replace(self._facts, heard=self._facts.heard + 1, stamp_ns=stamp_ns)
        self._hear(message)

    @property
    def topic(self) -> str:
        """The full name of the topic."""
        return self._facts.topic

    def facts(self) -> InputFacts:
        """Returns what is known of it."""
        publishers = self._node.get_publishers_info_by_topic(self._facts.topic)
        profile = self._latched_profile() if self._latched else self._profile
        found = tuple(
            Publisher(
                f'{one.node_namespace.rstrip("/")}/{one.node_name}',
                one.topic_type,
                _mismatch(one.qos_profile, profile),
            )
            for one in publishers
        )
        return replace(self._facts, publishers=found, age_s=self.rate.age_s)


def _mismatch(offered: QoSProfile, asked: QoSProfile) -> str:
    """Returns which policies keep two profiles apart; '' if none does."""
    fits, reason = qos_check_compatible(offered, asked)
    if fits != QoSCompatibility.ERROR:
        return ''
    policies = (
        f'offered {offered.reliability.name.lower()} and {offered.durability.name.lower()}, '
        f'asked {asked.reliability.name.lower()} and {asked.durability.name.lower()}'
    )
    return f'{policies} ({reason.strip().rstrip(";")})'
