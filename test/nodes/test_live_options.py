"""Every live option, set by the real parameter service, and its effect in the running node."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from field_robot import CAMERA, SECOND, Robot, frame
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.keyframes import frame_of
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.config import flat_options
from lerf_ros.geometry import look_at
from lerf_ros.msg import Keyframe
from lerf_ros.nodes.field_node import FieldNode
from lerf_ros.nodes.keyframe_node import KeyframeNode
from lerf_ros.scheduling.worker import CONTROL
from lerf_ros.srv import QueryLanguage

NUMBERS = itertools.count()
# Where a picture has no depth: a screen.
HOLE = (slice(CAMERA.height // 3, CAMERA.height // 2), slice(CAMERA.width // 3, CAMERA.width // 2))
LIVE = [name for name, info in flat_options() if info.live]
WEIGHTS = [name for name in LIVE if name.endswith('_weight')]
# Observed in other tests of real nodes, named here so that none is forgotten.
ELSEWHERE = {
    'node.query_timeout_s': 'test_field_node.py::test_work_on_files_may_take_longer_than',
    'node.relevancy_image_period_s': 'test_field_node.py::test_keyframes_come_back_with_the',
    'node.relevancy_image_colours': 'test_field_node.py::test_keyframes_come_back_with_the',
}
HERE = {
    'training.replay_newest_share',
    'training.replay_uniform_share',
    'query.existence_threshold',
    'node.max_waiting_questions',
    'node.tf_timeout_s',
    'keyframes.min_translation_m',
    'keyframes.min_rotation_deg',
    'keyframes.min_interval_s',
    'keyframes.max_interval_s',
    'keyframes.max_view_overlap',
    'keyframes.view_parallax_deg',
    'keyframes.min_sharpness',
    'keyframes.blur_wait_s',
    'keyframes.jpeg_quality',
    'keyframes.max_depth_m',
    'keyframes.max_hole_m2',
}


def test_no_live_option_is_forgotten() -> None:
    assert set(LIVE) == {*WEIGHTS, *HERE, *ELSEWHERE}


@pytest.fixture(scope='module')
def trained(spinner: Any, wait_until: Callable[..., None]) -> Robot:
    """A node with every loss: dense features, keyframes with depth and without."""
    node = FieldNode(
        [
            Parameter('training.rays_per_step', value=128),
            Parameter('training.language_rays_per_step', value=32),
            Parameter('training.device', value='cpu'),
            Parameter('features.dense', value='encoder'),
            # Answers by dense features take long on a busy machine.
            Parameter('node.query_timeout_s', value=600.0),
        ]
    )
    robot = Robot(Node('parameter_robot'), node)
    spinner.add(node)
    spinner.add(robot.helper)
    wait_until(lambda: robot.keyframes.get_subscription_count() > 0, 'the node subscribes')
    for number in range(8):
        view = frame(number)
        robot.send_frame(view if number % 2 == 0 else replace(view, depth=None))
    wait_until(lambda: robot.integrated() == 8, 'eight keyframes in the map', 120.0)
    wait_until(lambda: robot.step() > 3, 'some steps', 60.0)
    return robot


@pytest.mark.parametrize('name', WEIGHTS)
def test_weights_count_in_the_next_steps(
    trained: Robot, wait_until: Callable[..., None], name: str
) -> None:
    host = trained.node._host
    before = host.options.current
    term = name.split('.')[1].removesuffix('_weight')
    others = [
        (other.split('.')[1].removesuffix('_weight'), before.flat()[other])
        for other in WEIGHTS
        if other != name
    ]

    def share_of_the_loss() -> float | None:
        """Returns what the term adds to the loss of the last step; None if it was not in it."""
        report = host.report
        assert report is not None
        if term not in report.losses or report.losses[term] == 0:
            return None
        # The distortion is weighted by the share of rays without depth; it is out of the way.
        rest = sum(weight * report.losses.get(key, 0.0) for key, weight in others)
        return report.loss - rest - report.losses['colour']

    if term != 'distortion':
        assert trained.set('training.distortion_weight', 0.0).successful
        others = [(key, 0.0 if key == 'distortion' else weight) for key, weight in others]
    try:
        assert trained.set(name, 50.0).successful

        def counts() -> bool:
            share = share_of_the_loss()
            if share is None:
                return False
            value = host.report.losses[term]
            return 0 < share <= 50.0 * value * 1.001 and (
                term == 'distortion' or share == pytest.approx(50.0 * value, rel=1e-3)
            )

        wait_until(counts, f'{name} of 50 counts', 60.0)
        assert trained.set(name, 0.0).successful
        wait_until(
            lambda: share_of_the_loss() == pytest.approx(0.0, abs=1e-4), f'{name} of 0 counts', 60
        )
    finally:
        for other in (name, 'training.distortion_weight'):
            assert trained.set(other, before.flat()[other]).successful


def newest_share(robot: Robot) -> float:
    """Returns the share of rays that fall on the four newest keyframes, as the map draws them."""
    store = robot.node._host.map.trainer.store

    def draw() -> float:
        newest = set(store.ids[-4:])
        drawn = [store.device_ids[slot] for slot in store.sample_rays(4000).slots.tolist()]
        return sum(id_ in newest for id_ in drawn) / len(drawn)

    return robot.node._host.submit(draw, CONTROL).result(60)


def test_replay_follows_its_shares(trained: Robot) -> None:
    before = trained.node._host.options.current.flat()
    names = ('training.replay_newest_share', 'training.replay_uniform_share')
    try:
        assert trained.set(names[1], 0.0).successful
        assert trained.set(names[0], 1.0).successful
        assert newest_share(trained) > 0.95
        assert trained.set(names[0], 0.0).successful
        assert trained.set(names[1], 1.0).successful
        # Evenly: half of the eight keyframes are among the four newest.
        assert 0.4 < newest_share(trained) < 0.6
    finally:
        assert trained.set(names[0], 0.0).successful
        for name in reversed(names):
            assert trained.set(name, before[name]).successful


def test_the_existence_threshold_decides(trained: Robot) -> None:
    before = trained.node._host.options.current.query.existence_threshold
    try:
        assert trained.set('query.existence_threshold', 0.0).successful
        assert trained.query('box').results[0].exists
        assert trained.set('query.existence_threshold', 1.0).successful
        assert not trained.query('box').results[0].exists
    finally:
        assert trained.set('query.existence_threshold', before).successful


def test_too_many_waiting_questions_are_refused(
    trained: Robot, wait_until: Callable[..., None]
) -> None:
    host = trained.node._host
    before = host.options.current.node.max_waiting_questions
    assert trained.set('node.max_waiting_questions', 2).successful
    try:
        asked = [trained.call_async('query', QueryLanguage, positives=['box']) for _ in range(12)]
        wait_until(lambda: all(future.done() for future in asked), 'twelve answers', 120.0)
        messages = [future.result().message for future in asked if not future.result().success]
        assert any(future.result().success for future in asked)
        assert messages
        assert all('2 questions are waiting' in message for message in messages)
    finally:
        assert trained.set('node.max_waiting_questions', before).successful
    assert trained.query('box').success


class Camera:
    """A camera that stands, moves or turns as a test says; its keyframes are collected."""

    def __init__(self, helper: Node, node: KeyframeNode) -> None:
        self.helper, self.node = helper, node
        namespace = node.get_namespace()
        self.found: list[Any] = []
        self.raw: list[Keyframe] = []
        self._now_ns = 100 * SECOND
        self._publishers = [
            helper.create_publisher(kind, f'{namespace}/{name}', 10)
            for kind, name in (
                (Image, 'image'),
                (CameraInfo, 'camera_info'),
                (Image, 'depth'),
                (PoseStamped, 'pose'),
            )
        ]
        helper.create_subscription(Keyframe, f'{namespace}/keyframes', self._take, qos.KEYFRAMES)
        self._client = helper.create_client(
            SetParameters, f'{namespace}/keyframe_node/set_parameters'
        )

    def _take(self, message: Keyframe) -> None:
        self.raw.append(message)
        self.found.append(frame_of(message, 'map'))

    def ready(self) -> bool:
        return all(publisher.get_subscription_count() for publisher in self._publishers)

    def set(self, name: str, value: Any, wait_until: Callable[..., None]) -> None:
        assert self._client.wait_for_service(10.0)
        parameter = Parameter(name, value=value).to_parameter_msg()
        future = self._client.call_async(SetParameters.Request(parameters=[parameter]))
        wait_until(future.done, f'{name} is set')
        assert future.result().results[0].successful, future.result().results[0].reason

    def see(
        self,
        x_m: float,
        turn_deg: float = 0.0,
        after_s: float = 1.0,
        *,
        with_pose: bool = True,
        blurred: bool = False,
        hole: bool = False,
    ) -> int:
        """Takes a picture from a place, maybe without depth in its middle; returns its stamp."""
        self._now_ns += int(after_s * SECOND)
        header = Header(stamp=stamp_message(self._now_ns), frame_id='camera')
        rng = np.random.default_rng(0)
        image = rng.integers(0, 255, (CAMERA.height, CAMERA.width, 3), np.uint8)
        if blurred:
            image = cv2.GaussianBlur(image, (0, 0), 3.0)
        depth_m = np.full(image.shape[:2], 2.0, np.float32)
        if hole:
            depth_m[HOLE] = np.nan
        pose = look_at(np.array([0.0, 0.0, 1.0]), np.zeros(3), np.array([0, 1.0, 0]))
        angle = np.radians(turn_deg)
        turn = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]]
        )
        pose[:3, :3] = turn @ pose[:3, :3]
        pose[0, 3] = x_m
        image_out, info, depth, poses = self._publishers
        if with_pose:
            poses.publish(
                PoseStamped(
                    header=Header(stamp=header.stamp, frame_id='map'), pose=pose_message(pose)
                )
            )
        info.publish(camera_info_message(CAMERA, header))
        depth.publish(image_message(depth_m, '32FC1', header))
        image_out.publish(image_message(image, 'rgb8', header))
        return self._now_ns


@pytest.fixture
def camera(spinner: Any, wait_until: Callable[..., None]) -> Camera:
    namespace = f'live_{next(NUMBERS)}'
    node = KeyframeNode([Parameter('node.pose_source', value='topic')], namespace)
    result = Camera(Node('live_camera', namespace=namespace), node)
    spinner.add(node)
    spinner.add(result.helper)
    wait_until(result.ready, 'the node subscribes')
    return result


def test_keyframe_options_act_at_once(camera: Camera, wait_until: Callable[..., None]) -> None:
    kept: list[int] = []

    def sees(stamp_ns: int, what: str) -> None:
        """Waits for the keyframe of this stamp; frames before it that were refused never come."""
        kept.append(stamp_ns)
        wait_until(lambda: camera.found and camera.found[-1].stamp_ns == stamp_ns, what)
        assert [found.stamp_ns for found in camera.found] == kept

    def set_option(name: str, value: Any) -> None:
        camera.set(f'keyframes.{name}', value, wait_until)

    set_option('min_translation_m', 0.5)
    set_option('min_rotation_deg', 90.0)
    sees(camera.see(0.0), 'the first keyframe')
    camera.see(0.3)  # too near
    sees(camera.see(0.6), 'half a metre makes a keyframe')
    set_option('min_translation_m', 0.05)
    sees(camera.see(0.7), 'ten centimetres make a keyframe')
    set_option('min_translation_m', 5.0)
    camera.see(0.7, 30.0)  # too little of a turn
    sees(camera.see(0.7, 100.0), 'a large turn makes a keyframe')
    set_option('min_rotation_deg', 10.0)
    sees(camera.see(0.7, 115.0), 'a small turn makes a keyframe')
    set_option('min_interval_s', 10.0)
    camera.see(0.7, 80.0, 1.0)  # too soon
    sees(camera.see(0.7, 150.0, 11.0), 'a turn makes a keyframe after the interval')
    set_option('min_interval_s', 0.1)
    sees(camera.see(0.7, 170.0, 1.0), 'a turn makes a keyframe at once')
    set_option('min_rotation_deg', 170.0)
    set_option('max_interval_s', 20.0)
    camera.see(0.7, 170.0, 3.0)  # a camera at rest
    sees(camera.see(0.7, 170.0, 18.0), 'a camera at rest gives a keyframe after a while')
    set_option('max_interval_s', 2.0)
    sees(camera.see(0.7, 170.0, 3.0), 'a camera at rest gives one sooner')
    for area_m2, known in ((0.0, False), (1.0, True), (0.01, False)):
        set_option('max_hole_m2', area_m2)
        sees(camera.see(0.7, 170.0, 3.0, hole=True), 'a keyframe with a hole in its depth')
        assert np.isfinite(camera.found[-1].depth[HOLE]).all() == known
    sees(camera.see(0.7, 170.0, 3.0), 'a keyframe of usual quality')
    set_option('jpeg_quality', 10)
    set_option('max_depth_m', 1.0)
    sees(camera.see(0.7, 170.0, 3.0), 'a keyframe of low quality')
    assert len(camera.raw[-1].image.data) < len(camera.raw[-2].image.data) / 2
    assert np.nanmax(camera.found[-2].depth) == pytest.approx(2.0, abs=1e-3)
    assert np.isnan(camera.found[-1].depth).all()


def test_what_counts_as_new_and_as_sharp_acts_at_once(
    camera: Camera, wait_until: Callable[..., None]
) -> None:
    kept: list[int] = []

    def sees(*stamps_ns: int) -> None:
        kept.extend(stamps_ns)
        wait_until(lambda: camera.found and camera.found[-1].stamp_ns == kept[-1], 'a keyframe')
        assert [found.stamp_ns for found in camera.found] == kept

    def set_option(name: str, value: Any) -> None:
        camera.set(f'keyframes.{name}', value, wait_until)

    for x_m in np.arange(0, 3.1, 0.3):
        sees(camera.see(float(x_m)))
    camera.see(0.3)  # seen from there before
    sees(camera.see(4.0))
    set_option('max_view_overlap', 1.0)
    sees(camera.see(0.0))
    set_option('max_view_overlap', 0.95)
    camera.see(0.4)
    sees(camera.see(4.5))
    set_option('view_parallax_deg', 0.1)
    sees(camera.see(0.4))
    set_option('min_sharpness', 0.0)
    sees(camera.see(5.0, blurred=True))
    set_option('min_sharpness', 0.9)
    set_option('blur_wait_s', 5.0)
    camera.see(6.0, blurred=True)  # a sharper one follows in time
    sees(camera.see(6.5))
    set_option('blur_wait_s', 0.5)
    blurred = camera.see(7.0, blurred=True)
    sees(blurred, camera.see(7.5))


def test_an_image_waits_for_its_pose_as_long_as_the_option_says(
    camera: Camera, wait_until: Callable[..., None]
) -> None:
    node = camera.node
    camera.set('node.tf_timeout_s', 60.0, wait_until)
    camera.see(0.0)
    wait_until(lambda: len(camera.found) == 1, 'the first keyframe')
    camera.see(3.0, with_pose=False)
    wait_until(lambda: node.waiting_for_pose == 1, 'an image waits for its pose')
    camera.set('node.tf_timeout_s', 0.0, wait_until)
    wait_until(lambda: node.waiting_for_pose == 0, 'it waits no longer')
    assert len(camera.found) == 1
