"""What launch files share: a source played as a camera's topics, and the map that hears it.

Only launch files import this: ``launch`` and ``launch_ros`` come with ROS 2 itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription  # type: ignore[attr-defined]  # not our folder launch
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

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
    ('image_topic', '/camera/image', 'where colour images are played'),
    ('camera_info_topic', '/camera/camera_info', 'where the calibration is played'),
    ('depth_topic', '/camera/depth', 'where depth is played'),
    ('pose_topic', '/camera/pose', 'where camera poses are played; none: by TF only'),
    ('world_frame', 'map', 'frame in which the map lives'),
)


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
    value = LaunchConfiguration
    # Without a pose topic the map listens to TF; the player's own topic keeps its name.
    given = value('pose_topic')
    pose_topic = PythonExpression(["'pose' if '", given, "' == 'none' else '", given, "'"])
    player = Node(
        package='lerf_ros',
        executable='player_node',
        name='player_node',
        namespace='camera',
        output='screen',
        arguments=['--ros-args', '--log-level', value('log_level')],
        parameters=[
            {
                **parameters,
                'world_frame': value('world_frame'),
                'use_sim_time': typed('use_sim_time', bool),
            }
        ],
        remappings=[
            ('image', value('image_topic')),
            ('camera_info', value('camera_info_topic')),
            ('depth', value('depth_topic')),
            ('pose', pose_topic),
        ],
    )
    live_map = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'lerf.launch.py')),
        launch_arguments=[(name, value(name)) for name, _, _ in ARGUMENTS],
    )
    return LaunchDescription([*declared, player, live_map])
