"""What launch files make of their arguments: topics, remaps, sentences for what cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from lerf_ros.config import load_yaml
from lerf_ros.nodes.launch_arguments import (
    CAMERA_NAMES,
    SENSORS,
    camera_topics,
    given_values,
    played_topics,
    player_namespace,
    tf_remappings,
    wrong_argument,
)

ROOT = Path(__file__).parents[2]
USUAL = {
    'image_topic': 'auto',
    'camera_info_topic': 'auto',
    'depth_topic': 'auto',
    'pose_topic': 'none',
    'sensor': 'none',
}


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ({}, ''),
        ({'log_level': 'banana'}, 'log_level: expected one of debug'),
        ({'params_file': '/no/such/file.yaml'}, 'does not exist'),
        ({'params_file': 'none'}, ''),
        ({'rviz': 'true'}, 'rviz2 is not installed'),
        ({'sensor': 'kodak'}, 'sensor: expected one of realsense'),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    given: dict[str, str], words: str
) -> None:
    sentence = wrong_argument(given_values(given), lambda name: False)
    assert words in sentence
    assert bool(sentence) == bool(words)


def test_topics_of_a_plain_camera_and_of_a_sensor() -> None:
    plain = camera_topics(given_values(USUAL))
    assert plain == {'image': '/camera/image', 'camera_info': '/camera/camera_info'}
    depth = camera_topics(given_values({**USUAL, 'depth_topic': '/d', 'pose_topic': '/p'}))
    assert (depth['depth'], depth['pose']) == ('/d', '/p')
    zed = camera_topics(given_values({**USUAL, 'sensor': 'zed', 'camera_name': 'front/zed_node'}))
    assert zed['image'] == '/front/zed_node/rgb/image_rect_color'
    own = camera_topics(given_values({**USUAL, 'sensor': 'realsense', 'image_topic': '/mine'}))
    assert own['image'] == '/mine'
    assert own['depth'] == '/camera/camera/aligned_depth_to_color/image_raw'
    without = camera_topics(given_values({**USUAL, 'sensor': 'zed', 'depth_topic': 'none'}))
    assert set(without) == {'image', 'camera_info'}


def test_every_sensor_has_a_file_of_options() -> None:
    assert set(SENSORS) == set(CAMERA_NAMES)
    assert {path.stem for path in (ROOT / 'config' / 'sensors').glob('*.yaml')} == set(SENSORS)
    assert load_yaml(ROOT / 'config' / 'sensors' / 'zed.yaml').node.images_rectified


def test_two_players_in_two_namespaces_share_no_topic() -> None:
    values = {**USUAL, 'pose_topic': 'auto'}
    first = played_topics({**values, 'namespace': 'lerf'})
    second = played_topics({**values, 'namespace': '/robot2/lerf'})
    assert first['image'] == '/camera/image'
    assert second['image'] == '/robot2/lerf/camera/image'
    assert not set(first.values()) & set(second.values())
    assert player_namespace('/robot2/lerf') == 'robot2/lerf/camera'


def test_tf_of_a_namespace_is_absolute() -> None:
    expected = [('/tf', '/robot1/tf'), ('/tf_static', '/robot1/tf_static')]
    assert tf_remappings('robot1') == tf_remappings('/robot1/') == expected
    assert tf_remappings('') == []
