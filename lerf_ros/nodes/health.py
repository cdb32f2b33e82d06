"""What a node tells of its health: throttled complaints, and `/diagnostics`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

DIAGNOSTICS_PERIOD_S = 1.0
SAME_COMPLAINT_S = 10.0
RECENT_S = 5.0


class Health:
    """Counts, complains and reports for a node.

    Args:
        node: The node.
        extra: Returns more values for the report.

    Attributes:
        counts: What happened how often.
        last_error: The last complaint.
        standing: What is wrong until it is mended; it goes before complaints in the report.
    """

    def __init__(self, node: Node, extra: Callable[[], dict[str, object]]) -> None:
        self._node, self._extra = node, extra
        self.counts: Counter[str] = Counter()
        self.last_error = ''
        self.standing = ''
        self._told: dict[str, float] = {}
        self._last_complaint = -float('inf')
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(
            DIAGNOSTICS_PERIOD_S, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    @property
    def complaint(self) -> str:
        """The last complaint while it is news, else nothing."""
        recent = time.monotonic() - self._last_complaint < RECENT_S
        return self.last_error if recent else ''

    def stand(self, sentence: str) -> None:
        """Notes what is wrong until it is mended, '' for nothing; news are reported at once."""
        news = sentence != self.standing
        self.standing = sentence
        if news:
            self._report()

    def complain(self, kind: str, sentence: str) -> None:
        """Counts something wrong and warns of it, of each kind at most once in ten seconds."""
        self.last_error, self._last_complaint = sentence, time.monotonic()
        if self._counts_anew(kind):
            self._node.get_logger().warning(sentence)

    def note(self, kind: str, sentence: str) -> None:
        """Counts something that is no error and tells of it, at most once in ten seconds."""
        if self._counts_anew(kind):
            self._node.get_logger().info(sentence)

    def _counts_anew(self, kind: str) -> bool:
        """Counts an event; tells whether its kind was quiet for a while."""
        self.counts[kind] += 1
        now = time.monotonic()
        if now - self._told.get(kind, -float('inf')) < SAME_COMPLAINT_S:
            return False
        self._told[kind] = now
        return True

    def _report(self) -> None:
        complaint = self.standing or self.complaint
        values = {**self._extra(), **self.counts}
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if complaint else DiagnosticStatus.OK,
            name=self._node.get_fully_qualified_name(),
            message=complaint or 'ok',
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


def _text(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
