"""Several cameras that send keyframes to one field node over DDS: fair shares, names, repeats."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from field_robot import Robot, frame
from rclpy.node import Node
from rclpy.parameter import Parameter

from lerf_ros.bridge import qos
from lerf_ros.bridge.keyframes import keyframe_message
from lerf_ros.msg import Keyframe, KeyframeStream
from lerf_ros.nodes.field_node import FieldNode

BACKLOG = 6
SLOW, RATIO = 6, 10


@pytest.fixture(scope='module')
def robot(spinner: object, wait_until: Callable[..., None]) -> Robot:
    node = FieldNode(
        [
            Parameter('training.rays_per_step', value=128),
            Parameter('training.language_rays_per_step', value=32),
            Parameter('training.device', value='cpu'),
            Parameter('node.status_period_s', value=0.1),
            Parameter('node.keyframe_backlog', value=BACKLOG),
        ]
    )
    result = Robot(Node('robot'), node)
    spinner.add(node)  # type: ignore[attr-defined]
    spinner.add(result.helper)  # type: ignore[attr-defined]
    wait_until(lambda: result.status is not None, 'a status')
    wait_until(lambda: result.keyframes.get_subscription_count() > 0, 'the node subscribes')
    return result


class Sender:
    """A camera's node: a publisher of its own, and the numbers of one run."""

    def __init__(self, robot: Robot, wait_until: Callable, source: str, run: str) -> None:
        self._robot, self._source, self._run = robot, source, run
        self._publisher = robot.helper.create_publisher(Keyframe, '/lerf/keyframes', qos.KEYFRAMES)
        wait_until(lambda: self._publisher.get_subscription_count() > 0, 'the node subscribes')
        self.sent = 0

    def send(self, index: int | None = None) -> None:
        number = self.sent if index is None else index
        self._publisher.publish(
            keyframe_message(frame(number), number, 'map', 90, source=self._source, run=self._run)
        )
        self.sent = max(self.sent, number + 1)

    @property
    def stream(self) -> KeyframeStream:
        """What the field node says of it."""
        streams = self._robot.status.streams if self._robot.status else []
        found = [s for s in streams if (s.source, s.run) == (self._source, self._run)]
        return found[0] if found else KeyframeStream()

    @property
    def settled(self) -> bool:
        """Whether all that was sent has become something."""
        stream = self.stream
        return stream.next_index == self.sent and stream.waiting == 0


@pytest.fixture
def sender(robot: Robot, wait_until: Callable) -> Callable[[str, str], Sender]:
    return lambda source, run: Sender(robot, wait_until, source, run)


def test_a_camera_that_sends_ten_times_as_much_does_not_starve_the_other(
    robot: Robot, sender: Callable[[str, str], Sender], wait_until: Callable
) -> None:
    fast, slow = sender('fast', 'a'), sender('slow', 'a')
    for _ in range(SLOW):
        for _ in range(RATIO):
            fast.send()
        slow.send()
        # The slow one sends what the map can take in beside another camera, the fast one more.
        wait_until(lambda: slow.settled, 'its turn comes', 60.0)
    wait_until(lambda: fast.settled and slow.settled, 'all are worked off', 120.0)
    first, second = fast.stream, slow.stream
    assert first.received == RATIO * SLOW
    assert first.integrated + first.dropped == RATIO * SLOW
    assert first.dropped > 0, 'the fast one sends more than the map takes in'
    assert (second.received, second.integrated, second.dropped) == (SLOW, SLOW, 0)
    assert robot.status is not None
    assert robot.status.keyframes_dropped == first.dropped
    assert robot.node._values()['keyframes of slow'].startswith(f'{SLOW} received, {SLOW} integ')
    # What found no room is missing until it comes again, and then counts once.
    assert len(first.missing) == first.dropped
    for index in first.missing:
        fast.send(index)
        wait_until(lambda i=index: i not in fast.stream.missing and fast.settled, 'it came', 60.0)
    last = fast.stream
    assert (last.received, last.integrated, last.dropped) == (RATIO * SLOW, RATIO * SLOW, 0)
    assert (last.repeated, robot.status.keyframes_dropped) == (0, 0)


def test_two_nodes_of_one_name_are_told_on_diagnostics_and_lose_nothing(
    robot: Robot, sender: Callable[[str, str], Sender], wait_until: Callable
) -> None:
    heard: list[DiagnosticStatus] = []
    robot.helper.create_subscription(
        DiagnosticArray, '/diagnostics', lambda m: heard.extend(m.status), 50
    )
    first, second = sender('/lerf/keyframe_node', 'a'), sender('/lerf/keyframe_node', 'b')
    for number in range(3):
        first.send()
        wait_until(lambda n=number: first.stream.next_index == n + 1, 'it came')
        second.send()
        wait_until(lambda n=number: second.stream.next_index == n + 1, 'it came')
    wait_until(lambda: first.settled and second.settled, 'all are worked off', 60.0)
    for camera in (first, second):
        assert (camera.stream.received, camera.stream.integrated) == (3, 3)
    assert first.stream.name == '/lerf/keyframe_node'
    assert second.stream.name == '/lerf/keyframe_node#2'
    ids = robot.node._host.map.current.trainer.store.ids
    assert {str(id_) for id_ in ids} >= {'/lerf/keyframe_node:2', '/lerf/keyframe_node#2:2'}

    def told() -> bool:
        return any(
            status.level == DiagnosticStatus.WARN
            and "two nodes send keyframes as '/lerf/keyframe_node'" in status.message
            for status in heard
        )

    first.send()
    wait_until(told, 'a warning on /diagnostics')


def test_a_keyframe_that_comes_again_is_counted_and_passed_over(
    robot: Robot, sender: Callable[[str, str], Sender], wait_until: Callable
) -> None:
    camera = sender('again', 'a')
    for index in (0, 1, 3, 1, 3, 2):
        camera.send(index)
    wait_until(lambda: camera.settled and camera.stream.repeated == 2, 'all are counted', 60.0)
    stream = camera.stream
    assert (stream.received, stream.integrated, stream.dropped) == (4, 4, 0)
    assert list(stream.missing) == []
    camera.send(6)
    wait_until(lambda: list(camera.stream.missing) == [4, 5], 'the gap is named')
    assert camera.stream.dropped == 2
