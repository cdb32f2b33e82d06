"""The field node over real topics and services, with the shipped encoder on a plain scene.

The tests share one node; each brings its map into the state that it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from field_robot import CAMERA, SECOND, Robot, frame
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion, Vector3
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.clouds import cloud_array
from lerf_ros.bridge.keyframes import keyframe_message
from lerf_ros.bridge.poses import pose_message
from lerf_ros.frames.encodings import depth_array, image_array
from lerf_ros.frames.messages import nanoseconds
from lerf_ros.frames.transforms import TransformTree
from lerf_ros.msg import FieldStatus
from lerf_ros.scheduling.worker import CONTROL
from lerf_ros.srv import FilePath, RenderView


def test_before_the_first_keyframe_it_says_what_is_missing(
    empty: Robot, wait_until: Callable[..., None]
) -> None:
    robot = empty
    wait_until(lambda: robot.status.state == FieldStatus.WAITING, 'waiting')  # type: ignore[union-attr]
    for response in (
        robot.query('mug'),
        robot.call('render_view', RenderView),
    ):
        assert not response.success
        assert 'no keyframe has arrived yet' in response.message
    assert not robot.call('save', FilePath, path='/tmp/nothing').success


def test_it_answers_while_it_learns(learning: Robot, wait_until: Callable[..., None]) -> None:
    newest_ns = learning.node._host.map.last_stamp_ns
    first = learning.query('red mug', 'box', with_cloud=True)
    assert first.success, first.message
    assert [result.phrase for result in first.results] == ['red mug', 'box']
    assert first.header.frame_id == 'map'
    assert nanoseconds(first.header.stamp) == newest_ns
    assert first.map_id == learning.node._host.map.id
    points = cloud_array(first.results[0].cloud)
    assert len(points) > 100
    # The scene is a floor at z = 0.
    assert np.abs(points['z']).max() < 0.01
    assert (points['relevancy'] >= 0).all()
    assert (points['relevancy'] <= 1).all()
    for maximum in first.results[0].maxima:
        assert abs(maximum.position.z) < 0.02
        assert maximum.points > 0
        assert maximum.views >= 1
    wait_until(lambda: learning.query('box').step > first.step, 'the step rises between answers')


def test_the_status_follows(empty: Robot, wait_until: Callable[..., None]) -> None:
    for number in range(3):
        empty.send(number)

    def status() -> FieldStatus:
        assert empty.status is not None
        return empty.status

    wait_until(lambda: status().keyframes_integrated == 3, 'three keyframes in the map', 60.0)
    wait_until(lambda: status().state == FieldStatus.TRAINING, 'training')
    before = status().step
    wait_until(lambda: status().step > before, 'the step rises')
    assert status().map_id == empty.node._host.map.id
    assert status().keyframes_received == 3
    assert status().keyframes_dropped == 0
    assert status().surface_points > 100
    assert status().memory_bytes > 10_000_000
    assert status().device == 'cpu'
    assert np.isfinite(status().loss)


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


def listen_to_answers(robot: Robot) -> dict[str, list]:
    """Listens from now on; returns what is heard by topic."""
    heard: dict[str, list] = {}
    for name, kind in (
        ('maxima', PoseArray),
        ('markers', MarkerArray),
        ('relevancy_cloud', PointCloud2),
        ('surface_cloud', PointCloud2),
    ):
        heard[name] = []
        robot.helper.create_subscription(kind, f'/lerf/{name}', heard[name].append, qos.LATCHED)
    return heard


def test_the_last_answer_is_shown_to_late_listeners(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    learning.query('box')
    heard = listen_to_answers(learning)
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
    before = learning.integrated()
    learning.send(3)
    wait_until(lambda: learning.integrated() > before, 'a keyframe', 60.0)
    assert not stream.is_drawing, 'a picture was drawn that nobody listens to'

    heard: list[Image] = []
    topic = '/lerf/relevancy_image'
    subscription = learning.helper.create_subscription(Image, topic, heard.append, qos.PICTURES)
    wait_until(lambda: stream._publisher.get_subscription_count() > 0, 'somebody listens')
    assert learning.set('node.relevancy_image_period_s', 0.0).successful
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
    assert learning.set('node.relevancy_image_colours', 'raw').successful
    learning.send(6)
    wait_until(
        lambda: nanoseconds(heard[-1].header.stamp) == 7 * SECOND, 'the picture in raw colours', 60
    )
    plain = frame(6).image.astype(int)
    assert (np.abs(image_array(heard[-1]) - plain).max(axis=-1) > 20).mean() > 0.9
    # Without depth the map's own is taken.
    blind = replace(frame(8), depth=None)
    learning.send_frame(blind)
    wait_until(
        lambda: nanoseconds(heard[-1].header.stamp) == 9 * SECOND, 'the picture without depth', 60
    )
    # At most one in so long, however many keyframes come.
    assert learning.set('node.relevancy_image_period_s', 3600.0).successful
    before, count = learning.integrated(), len(heard)
    learning.send(7)
    wait_until(lambda: learning.integrated() > before, 'a keyframe', 60.0)
    learning.query('box')
    assert len(heard) == count
    learning.helper.destroy_subscription(subscription)


def test_pause_stops_learning_and_not_answering(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    assert learning.trigger('pause').success
    # The step under way has ended when this returns, and a paused worker begins no other.
    assert learning.query('box').success
    before = learning.step()
    for _ in range(3):
        assert learning.query('box').step == before
    assert learning.node._host.state == FieldStatus.PAUSED
    assert learning.trigger('resume').success
    wait_until(lambda: learning.step() > before, 'learning goes on')


def test_a_map_is_saved_forgotten_and_loaded(
    learning: Robot, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    path = tmp_path / 'map.safetensors'
    learning.query('box')
    # What another test has sent may still be on its way.
    wait_until(lambda: learning.node._host.intake.waiting == 0, 'all keyframes in the map')
    map_id, count = learning.node._host.map.id, learning.node._host.map.keyframe_count
    saved = learning.call('save', FilePath, path=str(path))
    assert saved.success, saved.message
    assert saved.path == str(path)
    assert path.stat().st_size > 1000
    assert learning.trigger('reset').success
    assert not learning.query('box').success
    assert learning.node._host.state == FieldStatus.WAITING
    loaded = learning.call('load', FilePath, path=str(path))
    assert loaded.success, loaded.message
    found = learning.query('box')
    assert found.success, found.message
    assert found.step > 0
    assert found.map_id == map_id
    # The camera of the keyframes is known again: a view needs no camera_info.
    assert learning.call('render_view', RenderView).success
    # It goes on: the camera counts from where it is, the map names what comes anew.
    for number in range(3):
        learning.send(number)
    wait_until(lambda: learning.integrated() == 3, 'three further keyframes', 60.0)
    assert learning.node._host.intake.dropped == 0
    assert learning.node._host.map.keyframe_count == count + 3
    before = learning.step()
    wait_until(lambda: learning.step() > before, 'learning goes on')


def test_after_a_reset_nobody_hears_of_the_old_map(
    learning: Robot, wait_until: Callable[..., None]
) -> None:
    heard = listen_to_answers(learning)
    learning.query('box', 'red mug')
    wait_until(lambda: all(heard.values()), 'every latched topic')
    assert learning.trigger('reset').success
    wait_until(lambda: learning.status.state == FieldStatus.WAITING, 'waiting')  # type: ignore[union-attr]
    late = listen_to_answers(learning)
    wait_until(lambda: all(late.values()), 'every latched topic after the reset')
    assert not late['maxima'][-1].poses
    assert [marker.action for marker in late['markers'][-1].markers] == [Marker.DELETEALL]
    assert late['relevancy_cloud'][-1].width == 0
    assert late['surface_cloud'][-1].width == 0
    assert learning.status is not None
    assert np.isnan(learning.status.loss)
    assert learning.status.surface_points == 0


def test_a_map_of_another_world_frame_is_refused(learning: Robot, tmp_path: Path) -> None:
    path = tmp_path / 'map.safetensors'
    assert learning.call('save', FilePath, path=str(path)).success
    live_map = learning.node._host.map
    config, elsewhere = live_map.config, live_map.config.replace({'node.world_frame': 'odom'})
    learning.node._host.submit(lambda: live_map.configure(elsewhere), CONTROL).result(30)
    try:
        refused = learning.call('load', FilePath, path=str(path))
    finally:
        learning.node._host.submit(lambda: live_map.configure(config), CONTROL).result(30)
    assert not refused.success
    assert "'map'" in refused.message
    assert "'odom'" in refused.message
    assert learning.query('box').success


def test_work_on_files_may_take_longer_than_a_question(
    learning: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'map.safetensors'
    live_map = learning.node._host.map
    before = learning.node._host.options.current.node.query_timeout_s
    assert learning.set('node.query_timeout_s', 0.2).successful
    save = live_map.save

    late_told = threading.Event()

    def slowly(target: Path) -> None:
        assert late_told.wait(30)
        save(target)

    monkeypatch.setattr(live_map, 'save', slowly)
    try:
        saving = learning.call_async('save', FilePath, path=str(path))
        late = learning.query('box')
        late_told.set()
        done = threading.Event()
        saving.add_done_callback(lambda _: done.set())
        assert done.wait(30)
    finally:
        assert learning.set('node.query_timeout_s', before).successful
    assert saving.result().success, saving.result().message
    assert not late.success
    assert 'no answer within 0.2 s' in late.message


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
    wait_until(lambda: learning.query('box').success, 'an answer after the reset', 60.0)
