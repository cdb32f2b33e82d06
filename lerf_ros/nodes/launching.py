"""What launch files share: a source played as a camera's topics, and the map that hears it.

Only launch files import this: ``launch`` and ``launch_ros`` come with ROS 2 itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import (  # type: ignore[attr-defined]  # not our folder launch
    LaunchContext,
    LaunchDescription,
)
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from lerf_ros.nodes.launch_arguments import (
    CAMERA_PARTS,
    given_values,
    is_on,
    played_topics,
    player_namespace,
    tf_remappings,
    wrong_argument,
)

# Name, default (None: it must be given), meaning.
Arguments = Sequence[tuple[str, 'str | None', str]]

SHARE = Path(get_package_share_directory('lerf_ros'))

ARGUMENTS = (
    ('namespace', 'lerf', 'namespace of the map: its topics and services'),
    ('params_file', str(SHARE / 'config' / 'tabletop.yaml'), 'parameters of the map'),
    ('use_sim_time', 'false', 'whether time comes from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('rviz', 'false', 'whether to start RViz'),
    ('view', 'false', 'whether to show the map on a web page; its address is in the log'),
    ('image_topic', 'auto', 'where colour images are played; auto: in camera of the namespace'),
    ('camera_info_topic', 'auto', 'where the calibration is played; auto: beside the images'),
    ('depth_topic', 'auto', 'where depth is played; auto: beside the images'),
    ('pose_topic', 'auto', 'where camera poses are played; none: by TF only'),
    ('world_frame', 'map', 'frame in which the map lives'),
    ('tf_namespace', 'none', 'namespace of tf and tf_static; none: they are shared'),
)


PLAYED = tuple(f'{name}_topic' for name in CAMERA_PARTS)


def typed(name: str, kind: type) -> ParameterValue:
    """Returns the value of an argument as a parameter of that type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def played_map(arguments: Arguments, parameters: Mapping[str, Any]) -> LaunchDescription:
    """Returns every argument with its default and meaning, the player and the map.

    Args:
        arguments: Arguments of the player; those every player has are added.
        parameters: Parameters of the player beside those every player has.
    """
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        if default is not None
        else DeclareLaunchArgument(name, description=text)
        for name, default, text in (*arguments, *ARGUMENTS)
    ]

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        given = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
        wrong = wrong_argument(given_values(given), has_package)
        if wrong:
            raise RuntimeError(wrong)  # before anything starts: nothing is left running
        topics = played_topics(given)
        # Without a pose topic the map listens to TF; the player's own topic keeps its name.
        own_pose = 'pose' if topics['pose'] == 'none' else topics['pose']
        player = Node(
            package='lerf_ros',
            executable='player_node',
            name='player_node',
            namespace=player_namespace(given['namespace']),
            output='screen',
            arguments=['--ros-args', '--log-level', given['log_level']],
            parameters=[
                {
                    **parameters,
                    'world_frame': given['world_frame'],
                    'use_sim_time': is_on(given['use_sim_time']),
                }
            ],
            remappings=[
                *(topics | {'pose': own_pose}).items(),
                *tf_remappings(given_values(given)['tf_namespace']),
            ],
        )
        live_map = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'lerf.launch.py')),
            launch_arguments=[
                *((name, given[name]) for name in given if name not in PLAYED),
                *((f'{name}_topic', topic) for name, topic in topics.items()),
            ],
        )
        return [player, live_map]

    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def has_package(name: str) -> bool:
    """Tells whether a package is installed."""
    try:
        get_package_share_directory(name)
    except PackageNotFoundError:
        return False
    return True
