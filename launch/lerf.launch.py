"""The map on a robot: keyframe node and field node beside a camera that runs already.

ros2 launch lerf_ros lerf.launch.py image_topic:=/camera/color/image_raw \
    camera_info_topic:=/camera/color/camera_info \
    depth_topic:=/camera/aligned_depth_to_color/image_raw world_frame:=map
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_description_entity import LaunchDescriptionEntity
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory('lerf_ros'))

# What config/lerf.rviz shows of the map, by the names it has in the namespace `lerf`.
SHOWN = (
    'surface_cloud',
    'relevancy_cloud',
    'relevancy_image',
    'maxima',
    'markers',
    'keyframe_path',
    'keyframe_frusta',
)

ARGUMENTS = (
    ('namespace', 'lerf', 'namespace of both nodes and of their topics and services'),
    (
        'params_file',
        str(SHARE / 'config' / 'base.yaml'),
        'parameters of both nodes; none: defaults',
    ),
    ('place', 'none', 'what is mapped, a file of config/places: table, room or floor; none: any'),
    ('use_sim_time', 'false', 'whether time comes from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('rviz', 'false', 'whether to start RViz with the map, the last answer and its boxes'),
    ('view', 'false', 'whether to show the map on a web page; its address is in the log'),
    ('image_topic', '/camera/image', 'colour images, sensor_msgs/Image'),
    ('camera_info_topic', '/camera/camera_info', 'calibration with the same stamps'),
    ('depth_topic', 'none', 'depth registered to the colour image; none: no depth'),
    ('pose_topic', 'none', 'geometry_msgs/PoseStamped of the camera; none: TF'),
    ('image_transport', 'raw', 'raw or compressed; the topics are named in full either way'),
    ('image_reliability', 'best_effort', 'best_effort, as drivers send, or reliable'),
    ('world_frame', 'map', 'frame in which the map lives; localisation has to provide it'),
    ('tf_namespace', 'none', 'namespace of tf and tf_static, on robots that have their own'),
    ('start_keyframe_node', 'true', 'false where it runs on another machine'),
    ('start_field_node', 'true', 'false where it runs on another machine'),
)


def make_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Returns the nodes for the arguments as they were given."""
    # A command line cannot give an empty value; `none` stands for it.
    given = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
    given = {name: '' if value == 'none' else value for name, value in given.items()}
    on = {name for name, value in given.items() if value.lower() in ('true', '1', 'yes', 'on')}
    tf = given['tf_namespace'].rstrip('/')
    common = {
        'package': 'lerf_ros',
        'namespace': given['namespace'],
        'output': 'screen',
        'arguments': ['--ros-args', '--log-level', given['log_level']],
    }
    tf_remappings = [('/tf', f'{tf}/tf'), ('/tf_static', f'{tf}/tf_static')] if tf else []
    base = {'use_sim_time': 'use_sim_time' in on, 'node.world_frame': given['world_frame']}
    parameters = [given['params_file']] if given['params_file'] else []
    if given['place']:
        parameters.append(str(SHARE / 'config' / 'places' / f'{given["place"]}.yaml'))
    nodes: list[LaunchDescriptionEntity] = []
    if 'start_keyframe_node' in on:
        camera = {
            'node.use_depth': bool(given['depth_topic']),
            'node.pose_source': 'topic' if given['pose_topic'] else 'tf',
            'node.image_transport': given['image_transport'],
            'node.image_reliability': given['image_reliability'],
        }
        topics = {
            'image': given['image_topic'],
            'camera_info': given['camera_info_topic'],
            'depth': given['depth_topic'],
            'pose': given['pose_topic'],
        }
        remappings = [(name, topic) for name, topic in topics.items() if topic]
        nodes.append(
            Node(
                executable='keyframe_node',
                name='keyframe_node',
                parameters=[*parameters, base | camera],
                remappings=remappings + tf_remappings,
                **common,
            )
        )
    if 'start_field_node' in on:
        page = {'viewer.enabled': True} if 'view' in on else {}
        nodes.append(
            Node(
                executable='field_node',
                name='field_node',
                parameters=[*parameters, base | page],
                remappings=tf_remappings,
                **common,
            )
        )
    if 'rviz' in on:
        space = given['namespace'].strip('/')
        nodes.append(
            Node(
                package='rviz2',
                executable='rviz2',
                name='rviz_lerf',
                arguments=[
                    '-d',
                    str(SHARE / 'config' / 'lerf.rviz'),
                    '-f',
                    given['world_frame'],
                ],
                parameters=[{'use_sim_time': 'use_sim_time' in on}],
                remappings=[
                    *((f'/lerf/{topic}', f'/{space}/{topic}') for topic in SHOWN),
                    ('/camera/image', given['image_topic']),
                    *tf_remappings,
                ],
            )
        )
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Returns every argument with its default and meaning, and the nodes."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_nodes)])
