"""The field node over real topics and services, with the shipped encoder on a plain scene.

The tests run in this order on one node: before the first keyframe, while it learns, bad input,
the life of the map, failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion, Vector3
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.clouds import cloud_array
from lerf_ros.bridge.images import depth_array, image_array
from lerf_ros.bridge.keyframes import keyframe_message
from lerf_ros.bridge.poses import nanoseconds, pose_message
from lerf_ros.bridge.transforms import TransformTree
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera, look_at
from lerf_ros.msg import FieldStatus, Keyframe
from lerf_ros.nodes.field_node import FieldNode
from lerf_ros.srv import FilePath, QueryLanguage, RenderView

CAMERA = PinholeCamera(fx=80.0, fy=80.0, cx=48.0, cy=36.0, width=96, height=72)
SECOND = 1_000_000_000
POSITIONS = ((0.2, 0.0, 0.8), (-0.2, 0.1, 0.8), (0.0, -0.2, 0.9))


def frame(number: int) -> PosedFrame:
    """A floor with coloured squares, seen from above; its depth is exact."""
    camera_to_world = look_at(np.array(POSITIONS[number % 3]), np.zeros(3), np.array([0, 1.0, 0]))
    uv = np.stack(np.meshgrid(np.arange(96) + 0.5, np.arange(72) + 0.5), axis=-1)
    directions = np.concatenate([(uv - [48, 36]) / 80, np.ones((72, 96, 1))], axis=-1)
    directions = directions @ camera_to_world[:3, :3].T
    depth_m = -camera_to_world[2, 3] / directions[..., 2]
    floor = camera_to_world[:3, 3] + directions * depth_m[..., None]
    squares = np.floor(floor[..., :2] / 0.1).astype(int)
    image = np.stack(
        [squares[..., 0] * 60 % 256, squares[..., 1] * 80 % 256, squares.sum(-1) * 40 % 256], -1
    )
    return PosedFrame(
        image.astype(np.uint8),
        depth_m.astype(np.float32),
        CAMERA,
        camera_to_world,
        (number + 1) * SECOND,
        'camera',
    )


class Robot:
    """Talks to the node as a robot's other nodes would."""

    def __init__(self, helper: Node, node: FieldNode) -> None:
        self.node, self.helper = node, helper
        self.status: FieldStatus | None = None
        self.keyframes = helper.create_publisher(Keyframe, '/lerf/keyframes', qos.KEYFRAMES)
        helper.create_subscription(FieldStatus, '/lerf/status', self._take_status, qos.LATCHED)
        self._clients: dict[str, Any] = {}

    def _take_status(self, message: FieldStatus) -> None:
        self.status = message

    def send(self, number: int) -> None:
        self.keyframes.publish(keyframe_message(frame(number), number, 'map', 90))

    def call(self, name: str, kind: Any, **fields: Any) -> Any:
        if name not in self._clients:
            self._clients[name] = self.helper.create_client(kind, f'/lerf/{name}')
        client = self._clients[name]
        assert client.wait_for_service(10.0), f'{name} is not there'
        future = client.call_async(kind.Request(**fields))
        deadline = time.monotonic() + 60
        while not future.done():
            assert time.monotonic() < deadline, f'{name}: no answer'
            time.sleep(0.005)
        return future.result()

    def query(self, *positives: str, **fields: Any) -> Any:
        return self.call('query', QueryLanguage, positives=list(positives), **fields)

    def trigger(self, name: str) -> Any:
        return self.call(name, Trigger)

    def step(self) -> int:
        return self.node._host.map.trainer.step_count


@pytest.fixture(scope='module')
def robot(spinner: Any, wait_until: Callable[..., None]) -> Robot:
    node = FieldNode(
        [
            Parameter('training.rays_per_step', value=128),
            Parameter('training.language_rays_per_step', value=32),
            Parameter('training.device', value='cpu'),
            Parameter('node.status_period_s', value=0.1),
            Parameter('node.cloud_period_s', value=0.2),
        ]
    )
    helper = Node('robot')
    result = Robot(helper, node)
    spinner.add(node)
    spinner.add(helper)
    wait_until(lambda: result.status is not None, 'a status')
    wait_until(lambda: result.keyframes.get_subscription_count() > 0, 'the node subscribes')
    return result


@pytest.fixture(scope='module')
def learning(robot: Robot, wait_until: Callable[..., None]) -> Robot:
    for number in range(3):
        robot.send(number)
    wait_until(
        lambda: robot.status is not None and robot.status.keyframes_integrated == 3,
        'three keyframes in the map',
        60.0,
    )
    return robot


def test_before_the_first_keyframe_it_says_what_is_missing(robot: Robot) -> None:
    assert robot.status is not None
    assert robot.status.state == FieldStatus.WAITING
    for response in (
        robot.query('mug'),
        robot.call('render_view', RenderView),
    ):
        assert not response.success
        assert 'no keyframe has arrived yet' in response.message
    assert not robot.call('save', FilePath, path='/tmp/nothing').success


def test_it_answers_while_it_learns(learning: Robot) -> None:
    first = learning.query('red mug', 'box', with_cloud=True)
    assert first.success, first.message
    assert [result.phrase for result in first.results] == ['red mug', 'box']
    assert first.header.frame_id == 'map'
    assert nanoseconds(first.header.stamp) == 3 * SECOND
    points = cloud_array(first.results[0].cloud)
    assert len(points) > 100
    # The scene is a floor at z = 0.
    assert np.abs(points['z']).max() < 0.01
    assert (points['relevancy'] >= 0).all()
    assert (points['relevancy'] <= 1).all()
    for maximum in first.results[0].maxima:
        assert abs(maximum.position.z) < 0.02
        assert maximum.points > 0
        assert 1 <= maximum.views <= 3
    deadline = time.monotonic() + 30
    while learning.query('box').step <= first.step:
        assert time.monotonic() < deadline, 'the step does not rise between answers'


def test_the_status_follows(learning: Robot, wait_until: Callable[..., None]) -> None:
    assert learning.status is not None
    wait_until(lambda: learning.status.state == FieldStatus.TRAINING, 'training')  # type: ignore[union-attr]
    before = learning.status.step
    wait_until(lambda: learning.status.step > before, 'the step rises')  # type: ignore[union-attr]
    status = learning.status
    assert status.keyframes_received == 3
    assert status.keyframes_dropped == 0
    assert status.surface_points > 100
    assert status.memory_bytes > 10_000_000
    assert status.device == 'cpu'
    assert np.isfinite(status.loss)


@pytest.mark.parametrize(
    ('positives', 'fields', 'words'),
    [
        ([], {}, 'positives'),
        ([''], {}, 'positives'),
        (['x' * 10_000], {}, 'positives'),
        (['mug'] * 1000, {}, 'positives'),
        (['mug'], {'max_maxima': -1}, 'max_maxima'),
        (['mug'], {'frame_id': 'nowhere'}, 'nowhere'),
        (['mug'], {'region_size': Vector3(x=1.0, y=-1.0, z=1.0)}, 'region_size'),
        (['mug'], {'min_relevancy': 7.0}, 'min_relevancy'),
    ],
)
def test_malformed_questions_get_a_sentence(
    learning: Robot, positives: list[str], fields: dict, words: str
) -> None:
    response = learning.query(*positives, **fields)
    assert not response.success
    assert words in response.message
    assert '\n' not in response.message
    assert learning.query('mug').success


def test_a_region_holds_every_answer(learning: Robot) -> None:
    response = learning.query(
        'box',
        region_pose=Pose(position=Point(x=0.1), orientation=Quaternion(w=1.0)),
        region_size=Vector3(x=0.2, y=0.2, z=0.2),
    )
    assert response.success, response.message
    for maximum in response.results[0].maxima:
        assert -1e-6 <= maximum.position.x <= 0.2 + 1e-6
        assert abs(maximum.position.y) <= 0.1 + 1e-6


def test_answers_come_in_the_frame_asked_for(learning: Robot) -> None:
    tree = TransformTree()
    moved = np.eye(4)
    moved[:3, 3] = (5.0, 0.0, 1.0)
    tree.set_static('map', 'gripper', moved)
    requests = learning.node._requests
    before, requests._tf = requests._tf, tree
    try:
        found = learning.query('box', frame_id='gripper', with_cloud=True)
    finally:
        requests._tf = before
    assert found.success, found.message
    assert found.header.frame_id == 'gripper'
    points = cloud_array(found.results[0].cloud)
    np.testing.assert_allclose(points['z'], -1.0, atol=0.01)
    assert points['x'].max() < -3.0


def test_the_last_answer_is_shown_to_late_listeners(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    learning.query('box')
    heard: dict[str, list] = {}
    for name, kind in (
        ('maxima', PoseArray),
        ('markers', MarkerArray),
        ('relevancy_cloud', PointCloud2),
        ('surface_cloud', PointCloud2),
    ):
        heard[name] = []
        learning.helper.create_subscription(kind, f'/lerf/{name}', heard[name].append, qos.LATCHED)
    wait_until(lambda: all(heard.values()), 'every latched topic')
    assert heard['maxima'][0].header.frame_id == 'map'
    assert 'relevancy' in cloud_array(heard['relevancy_cloud'][0]).dtype.names
    assert 'relevancy' not in cloud_array(heard['surface_cloud'][0]).dtype.names


def test_views_are_drawn(learning: Robot) -> None:
    pose = pose_message(frame(0).camera_to_world)
    request: dict = {'camera_info': camera_info_message(CAMERA.resized(48, 36))}
    message = RenderView.Request().camera_pose
    message.pose = pose
    found = learning.call('render_view', RenderView, camera_pose=message, **request)
    assert found.success, found.message
    assert image_array(found.image).shape == (36, 48, 3)
    assert depth_array(found.depth).shape == (36, 48)
    assert len(found.relevancy.data) == 0
    warm = learning.call('render_view', RenderView, camera_pose=message, phrase='box')
    assert warm.success, warm.message
    assert image_array(warm.image).shape == (72, 96, 3)  # the camera of the keyframes
    assert (warm.relevancy.height, warm.relevancy.width) == (72, 96)


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'camera_info': CameraInfo(width=64, height=48)}, 'uncalibrated'),
        ({'camera_info': camera_info_message(CAMERA.resized(9000, 9000))}, 'at most'),
        ({'phrase': ';'}, 'phrase'),
    ],
)
def test_views_that_cannot_be_drawn_get_a_sentence(
    learning: Robot, fields: dict, words: str
) -> None:
    response = learning.call('render_view', RenderView, **fields)
    assert not response.success
    assert words in response.message


def test_bad_keyframes_are_dropped_and_counted(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    broken = keyframe_message(frame(0), 0, 'map', 90)
    broken.image.data = broken.image.data[:50]
    elsewhere = keyframe_message(frame(0), 0, 'odom', 90)
    askew = keyframe_message(frame(0), 0, 'map', 90)
    askew.pose.orientation.w = 9.0
    assert learning.status is not None
    before = learning.status.keyframes_dropped
    for message in (broken, elsewhere, askew):
        learning.keyframes.publish(message)
    wait_until(
        lambda: learning.status.keyframes_dropped == before + 3,  # type: ignore[union-attr]
        'three dropped keyframes',
    )
    assert learning.query('box').success


def test_keyframes_come_back_with_the_relevancy_of_the_last_phrase(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    learning.query('box')
    stream = learning.node._stream
    before = learning.node._intake.integrated
    learning.send(3)
    wait_until(lambda: learning.node._intake.integrated > before, 'a keyframe', 60.0)
    assert stream._drawing is None, 'a picture was drawn that nobody listens to'

    heard: list[Image] = []
    topic = '/lerf/relevancy_image'
    subscription = learning.helper.create_subscription(Image, topic, heard.append, qos.PICTURES)
    wait_until(lambda: stream._publisher.get_subscription_count() > 0, 'somebody listens')
    values = [Parameter('node.relevancy_image_period_s', value=0.0).to_parameter_msg()]
    found = learning.call('field_node/set_parameters', SetParameters, parameters=values)
    assert found.results[0].successful, found.results[0].reason
    for number in (4, 5):
        learning.send(number)
        wait_until(
            lambda stamp=number + 1: any(  # type: ignore[misc]
                nanoseconds(message.header.stamp) == stamp * SECOND for message in heard
            ),
            f'the picture of keyframe {number}',
            60.0,
        )
    assert {message.header.frame_id for message in heard} == {'camera'}
    picture = image_array(heard[-1])
    assert picture.shape == (CAMERA.height, CAMERA.width, 3)

    # Raw colours cover the whole picture, for nothing has no relevancy at all.
    values = [Parameter('node.relevancy_image_colours', value='raw').to_parameter_msg()]
    learning.call('field_node/set_parameters', SetParameters, parameters=values)
    learning.send(6)
    wait_until(
        lambda: nanoseconds(heard[-1].header.stamp) == 7 * SECOND, 'the picture in raw colours', 60
    )
    plain = frame(6).image.astype(int)
    assert (np.abs(image_array(heard[-1]) - plain).max(axis=-1) > 20).mean() > 0.9
    # Without depth the map's own is taken.
    blind = replace(frame(8), depth=None)
    learning.keyframes.publish(keyframe_message(blind, 8, 'map', 90))
    wait_until(
        lambda: nanoseconds(heard[-1].header.stamp) == 9 * SECOND, 'the picture without depth', 60
    )
    # At most one in so long, however many keyframes come.
    values = [Parameter('node.relevancy_image_period_s', value=3600.0).to_parameter_msg()]
    learning.call('field_node/set_parameters', SetParameters, parameters=values)
    before, count = learning.node._intake.integrated, len(heard)
    learning.send(7)
    wait_until(lambda: learning.node._intake.integrated > before, 'a keyframe', 60.0)
    learning.query('box')
    assert len(heard) == count
    learning.helper.destroy_subscription(subscription)


def test_pause_stops_learning_and_not_answering(learning: Robot) -> None:
    assert learning.trigger('pause').success
    assert learning.query('box').success  # the step under way has ended when this returns
    before = learning.step()
    time.sleep(0.3)
    assert learning.step() == before
    assert learning.node._host.state == FieldStatus.PAUSED
    assert learning.trigger('resume').success
    deadline = time.monotonic() + 20
    while learning.step() == before:
        assert time.monotonic() < deadline


def test_a_map_is_saved_forgotten_and_loaded(learning: Robot, tmp_path: Path) -> None:
    path = tmp_path / 'map.safetensors'
    saved = learning.call('save', FilePath, path=str(path))
    assert saved.success, saved.message
    assert saved.path == str(path)
    assert path.stat().st_size > 1000
    assert learning.trigger('reset').success
    assert not learning.query('box').success
    loaded = learning.call('load', FilePath, path=str(path))
    assert loaded.success, loaded.message
    found = learning.query('box')
    assert found.success, found.message
    assert found.step > 0


@pytest.mark.parametrize('path', ['', '/no/such/folder/map.safetensors', '/etc/hostname'])
def test_a_file_that_is_no_map_leaves_the_map_alone(learning: Robot, path: str) -> None:
    response = learning.call('load', FilePath, path=path)
    assert not response.success
    assert response.message
    assert learning.query('box').success
    assert not learning.call('save', FilePath, path='/no/such/folder/map').success


def test_a_failure_is_told_costs_no_answer_and_is_mended(
    learning: Robot, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError('the device is gone')

    with monkeypatch.context() as patch:
        patch.setattr(learning.node._host.map, 'step', fails)
        wait_until(lambda: learning.node._host.state == FieldStatus.FAILED, 'the failure')
        assert learning.query('box').success
        wait_until(
            lambda: 'the device is gone' in learning.status.last_error,  # type: ignore[union-attr]
            'the status tells',
        )
    assert learning.trigger('resume').success
    wait_until(lambda: learning.node._host.state == FieldStatus.TRAINING, 'learning goes on')
    with monkeypatch.context() as patch:
        patch.setattr(learning.node._host.map, 'step', fails)
        wait_until(lambda: learning.node._host.state == FieldStatus.FAILED, 'another failure')
    assert learning.trigger('reset').success
    learning.send(4)
    deadline = time.monotonic() + 60
    while not learning.query('box').success:
        assert time.monotonic() < deadline, 'no answer after the reset'
        time.sleep(0.1)
