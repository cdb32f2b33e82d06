"""The keyframe nodes of a launch, one a camera; plain Python, so that it is tested without launch.

With ``cameras:=front,rear`` each argument of a camera holds for all of them, and
``front_image_topic:=...`` for one: its name before the argument's, as users write it for drivers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lerf_ros.nodes.launch_arguments import SENSORS, camera_topics, given_values, is_on

#: Arguments that each of several cameras may have for itself.
CAMERA_ARGUMENTS = (
    'sensor',
    'camera_name',
    'image_topic',
    'camera_info_topic',
    'depth_topic',
    'pose_topic',
    'image_transport',
    'depth_transport',
    'depth_unit_m',
    'images_rectified',
    'camera_frame',
    'camera_extrinsic',
    'image_reliability',
)
#: How the driver of each sensor names one of several cameras in its topics.
NAMED_CAMERAS = {
    'realsense': 'camera/{}',
    'zed': '{}/zed_node',
    'azure_kinect': '{}',
    'orbbec': '{}',
    'oak_d': '{}',
}
#: What a keyframe node shares with the map, by their names inside it.
SHARED_TOPICS = ('keyframes', 'status', 'keyframe_poses')


@dataclass(frozen=True)
class LaunchedCamera:
    """One keyframe node.

    Attributes:
        namespace: Its namespace.
        sensor: Whose options it takes; '' none's.
        parameters: Its parameters, beside those of all nodes.
        topics: What it listens to, by the names inside it.
        shared: Remaps of the topics that it shares with the map.
    """

    namespace: str
    sensor: str
    parameters: dict[str, Any]
    topics: dict[str, str]
    shared: dict[str, str]


def camera_names(values: Mapping[str, str]) -> list[str]:
    """Returns the names of several cameras; empty where there is one without a name."""
    return [name.strip() for name in values.get('cameras', '').split(',') if name.strip()]


def wrong_camera_argument(values: Mapping[str, str]) -> str:
    """Returns a sentence about the first argument of a camera that cannot work; '' if all can.

    Args:
        values: All arguments that were given, undeclared ones too.
    """
    names = camera_names(values)
    for name in names:
        if not re.fullmatch(r'[A-Za-z][A-Za-z0-9_]*', name):
            return f'cameras: expected names of letters, digits and _, got {name!r}'
        if names.count(name) > 1:
            return f'cameras: expected names that differ, got {name!r} twice'
    for key in values:
        for argument in CAMERA_ARGUMENTS:
            name = key.removesuffix(f'_{argument}')
            if names and name != key and key not in CAMERA_ARGUMENTS and name not in names:
                return (
                    f'{key}: expected one of the cameras {", ".join(names)} before _{argument}, '
                    f'got {name!r}'
                )
    heard: dict[str, str] = {}
    for name in names:
        own = _own_values(values, name)
        if own['sensor'] and own['sensor'] not in SENSORS:
            return f'{name}_sensor: expected one of {", ".join(SENSORS)}, got {own["sensor"]!r}'
        image = camera_topics(own)['image']
        if image in heard:
            return (
                f'{name}_image_topic: expected another topic than that of {heard[image]}, got '
                f'{image!r} for both'
            )
        heard[image] = name
    return ''


def _own_values(values: Mapping[str, str], name: str) -> dict[str, str]:
    """Returns the arguments as they hold for one of several cameras."""
    own = dict(values)
    for argument in CAMERA_ARGUMENTS:
        if f'{name}_{argument}' in values:
            own[argument] = given_values({argument: values[f'{name}_{argument}']})[argument]
    if not own.get('camera_name'):
        own['camera_name'] = NAMED_CAMERAS.get(own.get('sensor', ''), '{}').format(name)
    for part in ('image', 'camera_info'):
        if own[f'{part}_topic'] == 'auto' and not own.get('sensor'):
            own[f'{part}_topic'] = f'/{own["camera_name"].strip("/")}/{part}'
    return own


def launched_cameras(values: Mapping[str, str]) -> list[LaunchedCamera]:
    """Returns the keyframe nodes of a launch.

    Args:
        values: Its arguments, by `given_values`.
    """
    space = values['namespace'].strip('/')
    names = camera_names(values)
    if not names:
        return [_launched(values, space, space)]
    return [_launched(_own_values(values, name), f'{space}/{name}', space) for name in names]


def _launched(values: Mapping[str, str], namespace: str, space: str) -> LaunchedCamera:
    topics = camera_topics(values)
    parameters: dict[str, Any] = {
        'node.use_depth': 'depth' in topics,
        'node.pose_source': 'topic' if values['pose_topic'] else 'tf',
        'node.image_reliability': values['image_reliability'],
        'node.camera_frame': values['camera_frame'],
        'node.camera_extrinsic': values['camera_extrinsic'],
    }
    # Only what differs from the default: the rest may stand in the sensor's file.
    for name in ('image_transport', 'depth_transport'):
        if values[name] != 'auto':
            parameters[f'node.{name}'] = values[name]
    if float(values['depth_unit_m']):
        parameters['node.depth_unit_m'] = float(values['depth_unit_m'])
    if is_on(values['images_rectified']):
        parameters['node.images_rectified'] = True
    map_space = values.get('map_namespace', '').strip('/') or space
    shared = {name: f'/{map_space}/{name}'.replace('//', '/') for name in SHARED_TOPICS}
    return LaunchedCamera(
        namespace,
        values['sensor'],
        parameters,
        topics,
        shared if namespace != map_space else {},
    )
