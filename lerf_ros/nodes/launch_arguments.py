"""What launch files make of their arguments; plain Python, so that it is tested without launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
TRUE = ('true', '1', 'yes', 'on')
#: The namespace whose player keeps the plain names /camera/image and so on.
USUAL_NAMESPACE = 'lerf'
CAMERA_PARTS = ('image', 'camera_info', 'depth', 'pose')

#: Topics of drivers as they name them, below the name of the camera: image, camera_info, depth.
SENSORS = {
    'realsense': ('color/image_raw', 'color/camera_info', 'aligned_depth_to_color/image_raw'),
    'zed': ('rgb/image_rect_color', 'rgb/camera_info', 'depth/depth_registered'),
    'azure_kinect': ('rgb/image_raw', 'rgb/camera_info', 'depth_to_rgb/image_raw'),
    'orbbec': ('color/image_raw', 'color/camera_info', 'depth/image_raw'),
    'oak_d': ('rgb/image_raw', 'rgb/camera_info', 'stereo/image_raw'),
}
#: What each driver's users call their camera.
CAMERA_NAMES = {
    'realsense': 'camera/camera',
    'zed': 'zed/zed_node',
    'azure_kinect': '',
    'orbbec': 'camera',
    'oak_d': 'oak',
}


def is_on(value: str) -> bool:
    """Tells whether an argument says yes."""
    return value.lower() in TRUE


def given_values(values: Mapping[str, str]) -> dict[str, str]:
    """Returns arguments with '' for `none`: a command line cannot give an empty value."""
    return {name: '' if value == 'none' else value for name, value in values.items()}


def wrong_argument(values: Mapping[str, str], has_package: Callable[[str], bool]) -> str:
    """Returns a sentence about the first argument that cannot work; '' if all can.

    Args:
        values: The arguments, by `given_values`.
        has_package: Tells whether a package is installed.
    """
    level = values.get('log_level', 'info')
    if level.lower() not in LOG_LEVELS:
        return f'log_level: expected one of {", ".join(LOG_LEVELS)}, got {level!r}'
    params_file = values.get('params_file', '')
    if params_file and not Path(params_file).is_file():
        return f'params_file: expected a file, got {params_file!r}, which does not exist'
    sensor = values.get('sensor', '')
    if sensor and sensor not in SENSORS:
        return f'sensor: expected one of {", ".join(SENSORS)} or none, got {sensor!r}'
    if is_on(values.get('rviz', 'false')) and not has_package('rviz2'):
        return 'rviz: the package rviz2 is not installed; install it or leave rviz:=true out'
    return ''


def camera_topics(values: Mapping[str, str]) -> dict[str, str]:
    """Returns the topics of the camera that a map listens to; those of its sensor by default."""
    topics = {name: values.get(f'{name}_topic', '') for name in CAMERA_PARTS}
    sensor = values.get('sensor', '')
    if sensor:
        camera = (values.get('camera_name', '') or CAMERA_NAMES[sensor]).strip('/')
        prefix = f'/{camera}/' if camera else '/'
        for name, topic in zip(CAMERA_PARTS[:3], SENSORS[sensor], strict=True):
            if topics[name] == 'auto':
                topics[name] = prefix + topic
    return {
        name: f'/camera/{name}' if topic == 'auto' and name != 'depth' else topic
        for name, topic in topics.items()
        if topic and (topic, name) != ('auto', 'depth')
    }


def player_namespace(namespace: str) -> str:
    """Returns where a player lives: two maps in two namespaces have two cameras."""
    space = namespace.strip('/')
    return 'camera' if space == USUAL_NAMESPACE else f'{space}/camera'.strip('/')


def played_topics(values: Mapping[str, str]) -> dict[str, str]:
    """Returns the topics on which a player sends; '' where the map takes poses from TF."""
    space = player_namespace(values['namespace'])
    return {
        name: f'/{space}/{name}' if values[f'{name}_topic'] == 'auto' else values[f'{name}_topic']
        for name in CAMERA_PARTS
    }


def tf_remappings(tf_namespace: str) -> list[tuple[str, str]]:
    """Returns the remaps of a robot that has its own tf and tf_static."""
    space = tf_namespace.strip('/')
    return [(f'/{name}', f'/{space}/{name}') for name in ('tf', 'tf_static')] if space else []
