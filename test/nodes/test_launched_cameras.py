"""Several cameras in one launch: a keyframe node each, on one map."""

from __future__ import annotations

import pytest

from lerf_ros.nodes.launch_arguments import SENSORS
from lerf_ros.nodes.launched_cameras import (
    NAMED_CAMERAS,
    launched_cameras,
    wrong_camera_argument,
)

USUAL = {
    'namespace': 'lerf',
    'cameras': '',
    'map_namespace': '',
    'sensor': '',
    'camera_name': '',
    'image_topic': 'auto',
    'camera_info_topic': 'auto',
    'depth_topic': 'auto',
    'pose_topic': '',
    'image_transport': 'auto',
    'depth_transport': 'auto',
    'depth_unit_m': '0.0',
    'images_rectified': 'false',
    'camera_frame': '',
    'camera_extrinsic': '',
    'image_reliability': 'best_effort',
}


def test_one_camera_is_as_it_was() -> None:
    (camera,) = launched_cameras(USUAL)
    assert camera.namespace == 'lerf'
    assert camera.topics == {'image': '/camera/image', 'camera_info': '/camera/camera_info'}
    assert (camera.shared, camera.sensor) == ({}, '')
    assert camera.parameters['node.pose_source'] == 'tf'


def test_each_of_several_cameras_has_its_own_topics_and_options() -> None:
    given = {
        **USUAL,
        'cameras': 'front, rear',
        'sensor': 'realsense',
        'rear_sensor': 'oak_d',
        'rear_image_transport': 'compressed',
        'rear_pose_topic': '/rear/odometry',
        'front_depth_topic': 'none',
        'front_depth_unit_m': '0.0002',
    }
    assert wrong_camera_argument(given) == ''
    front, rear = launched_cameras(given)
    assert (front.namespace, rear.namespace) == ('lerf/front', 'lerf/rear')
    assert (front.sensor, rear.sensor) == ('realsense', 'oak_d')
    assert front.topics['image'] == '/camera/front/color/image_raw'
    assert 'depth' not in front.topics
    assert rear.topics['image'] == '/rear/rgb/image_raw'
    assert rear.topics['pose'] == '/rear/odometry'
    assert rear.parameters['node.image_transport'] == 'compressed'
    assert 'node.image_transport' not in front.parameters
    assert front.parameters['node.depth_unit_m'] == 0.0002
    assert not front.parameters['node.use_depth']
    for camera in (front, rear):
        assert camera.shared == {
            'keyframes': '/lerf/keyframes',
            'status': '/lerf/status',
            'keyframe_poses': '/lerf/keyframe_poses',
        }


def test_every_sensor_names_its_cameras() -> None:
    assert set(NAMED_CAMERAS) == set(SENSORS)
    for sensor in SENSORS:
        first, second = launched_cameras({**USUAL, 'cameras': 'a,b', 'sensor': sensor})
        assert not set(first.topics.values()) & set(second.topics.values())
    plain, _ = launched_cameras({**USUAL, 'cameras': 'a,b'})
    assert plain.topics == {'image': '/a/image', 'camera_info': '/a/camera_info'}


def test_a_second_robot_sends_to_the_map_of_the_first() -> None:
    (camera,) = launched_cameras({**USUAL, 'namespace': 'robot2', 'map_namespace': 'robot1'})
    assert camera.namespace == 'robot2'
    assert camera.shared['keyframes'] == '/robot1/keyframes'
    (own,) = launched_cameras({**USUAL, 'namespace': 'robot2', 'map_namespace': 'robot2'})
    assert own.shared == {}


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ({'cameras': 'front,front'}, "'front' twice"),
        ({'cameras': 'front,1st'}, "got '1st'"),
        ({'cameras': 'front', 'rear_sensor': 'zed'}, 'expected one of the cameras front before'),
        ({'cameras': 'front,rear', 'rear_sensor': 'kodak'}, 'rear_sensor: expected one of'),
        ({'cameras': 'front,rear', 'image_topic': '/one'}, "got '/one' for both"),
        # Without cameras these belong to whoever includes this launch.
        ({'left_image_topic': '/x'}, ''),
        ({'cameras': 'front,rear', 'world_frame': 'map', 'use_sim_time': 'true'}, ''),
    ],
)
def test_what_cannot_work_is_said(given: dict[str, str], words: str) -> None:
    sentence = wrong_camera_argument({**USUAL, **given})
    assert words in sentence
    assert bool(sentence) == bool(words)
