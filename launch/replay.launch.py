"""The map of a recorded folder, played as live topics.

ros2 launch lerf_ros replay.launch.py data:=/path/to/rgbd_folder
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory('lerf_ros'))

ARGUMENTS = (
    ('data', None, 'folder: RGB-D frames as in 7-Scenes, or pictures with transforms.json'),
    ('rate_hz', '10.0', 'frames a second'),
    ('loop', 'false', 'whether to start again at the end'),
    ('namespace', 'lerf', 'namespace of the map: its topics and services'),
    ('params_file', str(SHARE / 'config' / 'tabletop.yaml'), 'parameters of the map'),
    ('use_sim_time', 'false', 'whether time comes from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('rviz', 'false', 'whether to start RViz'),
    ('image_topic', '/camera/image', 'where colour images are played'),
    ('camera_info_topic', '/camera/camera_info', 'where the calibration is played'),
    ('depth_topic', '/camera/depth', 'where depth is played'),
    ('pose_topic', '/camera/pose', 'where camera poses are played; none: by TF only'),
    ('world_frame', 'map', 'frame in which the map lives'),
)
PASSED_ON = (
    'namespace',
    'params_file',
    'use_sim_time',
    'log_level',
    'rviz',
    'image_topic',
    'camera_info_topic',
    'depth_topic',
    'pose_topic',
    'world_frame',
)


def generate_launch_description() -> LaunchDescription:
    """Returns every argument with its default and meaning, the player and the map."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        if default is not None
        else DeclareLaunchArgument(name, description=text)
        for name, default, text in ARGUMENTS
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
                'source': ParameterValue(value('data'), value_type=str),
                'rate_hz': ParameterValue(value('rate_hz'), value_type=float),
                'loop': ParameterValue(value('loop'), value_type=bool),
                'world_frame': value('world_frame'),
                'use_sim_time': ParameterValue(value('use_sim_time'), value_type=bool),
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
        launch_arguments=[(name, value(name)) for name in PASSED_ON],
    )
    return LaunchDescription([*declared, player, live_map])
