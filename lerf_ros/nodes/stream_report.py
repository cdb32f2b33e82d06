"""What a field node tells of the streams of keyframes that it hears."""

from __future__ import annotations

from lerf_ros.msg import KeyframeStream
from lerf_ros.runtime.intake import Intake

# Counts are unsigned numbers of 32 bits on the wire, whatever indices somebody sends.
MOST = 2**32 - 1


def stream_messages(intake: Intake) -> list[KeyframeStream]:
    """Returns what became of the keyframes of each stream, for `status`."""
    return [
        KeyframeStream(
            source=stream.source,
            run=stream.run,
            name=stream.name,
            received=counted(stream.received),
            integrated=counted(stream.integrated),
            dropped=counted(stream.dropped),
            repeated=counted(stream.repeated),
            waiting=counted(stream.waiting),
            room=counted(intake.room(stream)),
            next_index=counted(stream.next_index),
            missing=list(stream.missing),
        )
        for stream in intake.streams()
    ]


def stream_values(intake: Intake) -> dict[str, object]:
    """Returns the same in words, for `/diagnostics`."""
    return {
        f'keyframes of {stream.name}': (
            f'{stream.received} received, {stream.integrated} integrated, '
            f'{stream.dropped} dropped, {stream.repeated} repeated, {stream.waiting} waiting'
        )
        for stream in intake.streams()
    }


def counted(number: int) -> int:
    """Returns a count as it fits into a message."""
    return min(max(0, number), MOST)
