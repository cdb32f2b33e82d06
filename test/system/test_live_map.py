"""The real processes together: a simulated camera, the keyframe node and the field node.

They run in a ROS domain of their own; the truth comes from the same simulated scene.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image
from waiting import wait_until

pytest.importorskip('mujoco', reason='the simulated tabletop needs mujoco')

from lerf_ros.nodes.map_client import MapClient
from lerf_ros.nodes.processes import STOP_S, NodeProcesses
from lerf_ros.simulation import CATEGORIES, SceneObject, TabletopScene

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SEED = 9003
# The camera goes round once in this time, at this rate.
PATH = {'source': 'tabletop', 'seed': SEED, 'seconds': 15.0, 'rate_hz': 8.0, 'loop': True}
TOPICS = ('image', 'camera_info', 'depth', 'pose')
START_S = 180.0
LEARN_S = 180.0
# How far outside an object's box its place may lie.
MARGIN_M = 0.02


class System:
    """The running nodes, their client, and the truth."""

    def __init__(
        self, nodes: NodeProcesses, client: MapClient, objects: tuple[SceneObject, ...]
    ) -> None:
        self.nodes, self.client, self.objects = nodes, client, objects

    def found(self, response: Any) -> list[str]:
        """Returns the objects whose best place lies in the object's box."""
        names = []
        for obj, result in zip(self.objects, response.results, strict=True):
            assert result.phrase == obj.name
            if not result.maxima:
                continue
            p = result.maxima[0].position
            place = np.array([p.x, p.y, p.z])
            low, high = np.array(obj.box_min_world), np.array(obj.box_max_world)
            if ((place >= low - MARGIN_M) & (place <= high + MARGIN_M)).all():
                names.append(obj.name)
        return names

    def ask_all(self) -> Any:
        """Asks for every object of the scene at once."""
        self.nodes.check()
        return self.client.query([obj.name for obj in self.objects], max_maxima=1)


@pytest.fixture(scope='module')
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    environment = {
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(tmp_path_factory.mktemp('ros')),
    }
    os.environ.update(environment)
    try:
        with TabletopScene(seed=SEED) as scene:
            objects = scene.objects
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f'no software renderer: {error}')
    folder: Path = tmp_path_factory.mktemp('nodes')
    remaps = {name: f'/camera/{name}' for name in TOPICS}
    with NodeProcesses(folder, environment) as nodes:
        nodes.start('field_node', {})
        # The camera repeats its way: every round is taken in as if it were the first.
        choice = {'node.pose_source': 'topic', 'keyframes.max_view_overlap': 1.0}
        nodes.start('keyframe_node', choice, remaps)
        with MapClient() as client:
            client.wait_for_service(START_S)
            nodes.start('player_node', PATH)
            client.wait_for_keyframe(START_S)
            yield System(nodes, client, objects)


def test_questions_are_answered_rightly_while_the_map_learns(system: System) -> None:
    deadline = time.monotonic() + LEARN_S
    wanted = (len(system.objects) + 1) // 2
    best: list[str] = []
    steps = []
    while len(best) < wanted:
        assert time.monotonic() < deadline, (
            f'after {LEARN_S:g} s only {best} of {[obj.name for obj in system.objects]}'
        )
        response = system.ask_all()
        if response.success:
            steps.append(response.step)
            best = max(best, system.found(response), key=len)
        time.sleep(1.0)  # questions without a pause would leave the map no time to learn
    # The map goes on learning between and after the answers.
    after = system.ask_all()
    assert after.success, after.message
    while after.step <= steps[0]:
        assert time.monotonic() < deadline, 'the step counter does not rise'
        after = system.ask_all()
    assert system.client.status.state == 'TRAINING'  # type: ignore[union-attr]


def test_absent_things_are_not_reported(system: System) -> None:
    present = {obj.category for obj in system.objects}
    absent = [category for category in sorted(_names(CATEGORIES)) if category not in present][:4]
    response = system.client.query(absent)
    assert response.success, response.message
    confidences = {result.phrase: round(result.confidence, 2) for result in response.results}
    assert max(confidences.values()) <= 0.5, confidences
    assert not any(result.exists for result in response.results)


def _names(categories: Any) -> list[str]:
    return [getattr(category, 'name', category) for category in categories]


@pytest.mark.parametrize(
    ('positives', 'fields', 'words'),
    [
        ([], {}, 'positives'),
        (['x' * 10_000], {}, 'positives'),
        (['mug'], {'frame_id': 'nowhere'}, 'nowhere'),
        (['mug'], {'max_maxima': -3}, 'max_maxima'),
    ],
)
def test_malformed_questions_get_a_sentence(
    system: System, positives: list[str], fields: dict, words: str
) -> None:
    response = system.client.query(positives, **fields)
    assert not response.success
    assert words in response.message
    system.nodes.check()


def test_bad_camera_messages_are_survived(system: System) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    vandal = rclpy.create_node('vandal', context=context)
    kinds = zip(TOPICS, (Image, CameraInfo, Image, PoseStamped), strict=True)
    publishers = {
        name: vandal.create_publisher(kind, f'/camera/{name}', 5) for name, kind in kinds
    }
    wait_until(
        lambda: all(p.get_subscription_count() for p in publishers.values()), 'subscribers', 30
    )
    pose = PoseStamped()
    pose.header.frame_id = 'map'
    pose.header.stamp = vandal.get_clock().now().to_msg()
    pose.pose.position.x = float('nan')
    image = Image(encoding='mystery', width=7, height=9, step=1)
    image.header.stamp = pose.header.stamp
    info = CameraInfo(width=3, height=2)
    info.header.stamp = pose.header.stamp
    for name, message in zip(TOPICS, (image, info, image, pose), strict=True):
        publishers[name].publish(message)
    before = system.client.status.keyframes_received  # type: ignore[union-attr]

    def received() -> bool:
        system.nodes.check()
        return system.client.status.keyframes_received >= before + 3  # type: ignore[union-attr]

    wait_until(received, 'a keyframe after the bad messages', 90)
    vandal.destroy_node()
    rclpy.try_shutdown(context=context)


def test_ctrl_c_ends_every_process(system: System) -> None:
    system.nodes.check()
    seconds = system.nodes.stop()
    assert set(seconds) == {'field_node', 'keyframe_node', 'player_node'}
    assert max(seconds.values()) < STOP_S, seconds
