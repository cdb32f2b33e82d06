"""What RViz and Foxglove hear of a live map, and asking it by a topic."""

from __future__ import annotations

from collections.abc import Callable

from field_robot import Robot
from nav_msgs.msg import Path
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from lerf_ros.bridge import qos


def test_the_way_of_the_camera_is_shown(learning: Robot, wait_until: Callable[..., None]) -> None:
    paths: list[Path] = []
    frusta: list[Marker] = []
    listeners = [
        learning.helper.create_subscription(
            Path, '/lerf/keyframe_path', paths.append, qos.LATCHED
        ),
        learning.helper.create_subscription(
            Marker, '/lerf/keyframe_frusta', frusta.append, qos.LATCHED
        ),
    ]
    count = learning.node._host.map.keyframe_count
    wait_until(lambda: bool(paths) and len(paths[-1].poses) == count, 'the path')
    wait_until(lambda: bool(frusta) and len(frusta[-1].points) == 16 * count, 'the frusta')
    assert paths[-1].header.frame_id == 'map'
    heard = len(paths)
    learning.send(3)
    wait_until(lambda: len(paths[-1].poses) == count + 1, 'the path goes on', 60.0)
    # What has not changed is not sent again.
    assert len(paths) <= heard + 2
    for listener in listeners:
        learning.helper.destroy_subscription(listener)


def test_a_string_asks_and_the_answer_is_latched(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    asks = learning.helper.create_publisher(String, '/lerf/ask', 10)
    wait_until(lambda: asks.get_subscription_count() > 0, 'the node listens')
    asks.publish(String(data='red square, floor; edge'))
    answers: list[str] = []
    markers: list[MarkerArray] = []
    wait_until(lambda: learning.node._stream.phrase == 'red square', 'the answer', 60.0)
    # A subscriber that comes after the question gets its answer.
    listeners = [
        learning.helper.create_subscription(
            String, '/lerf/answer', lambda message: answers.append(message.data), qos.LATCHED
        ),
        learning.helper.create_subscription(
            MarkerArray, '/lerf/markers', markers.append, qos.LATCHED
        ),
    ]
    wait_until(lambda: bool(answers) and bool(markers), 'the latched answer')
    assert answers[-1].startswith('red square: ')
    assert 'floor; edge: ' in answers[-1]
    asks.publish(String(data='  , !!'))
    wait_until(lambda: 'positives' in answers[-1], 'a sentence that says what is wrong')
    for listener in listeners:
        learning.helper.destroy_subscription(listener)


def test_an_empty_map_says_so(empty: Robot, wait_until: Callable[..., None]) -> None:
    asks = empty.helper.create_publisher(String, '/lerf/ask', 10)
    wait_until(lambda: asks.get_subscription_count() > 0, 'the node listens')
    answers: list[str] = []
    listener = empty.helper.create_subscription(
        String, '/lerf/answer', lambda message: answers.append(message.data), qos.LATCHED
    )
    asks.publish(String(data='mug'))
    wait_until(lambda: bool(answers) and 'no keyframe' in answers[-1], 'why there is no answer')
    empty.helper.destroy_subscription(listener)
