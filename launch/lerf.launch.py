"""The map on a robot: keyframe node and field node beside a camera that runs already.

ros2 launch lerf_ros lerf.launch.py image_topic:=/camera/color/image_raw \
    camera_info_topic:=/camera/color/camera_info \
    depth_topic:=/camera/aligned_depth_to_color/image_raw world_frame:=map
ros2 launch lerf_ros lerf.launch.py cameras:=front,rear sensor:=realsense
"""

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_description_entity import LaunchDescriptionEntity
from launch_ros.actions import Node

from lerf_ros.nodes.launch_arguments import (
    given_values,
    is_on,
    tf_remappings,
    wrong_argument,
)
from lerf_ros.nodes.launched_cameras import launched_cameras, wrong_camera_argument
from lerf_ros.nodes.launching import has_package

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
    (
        'encoder',
        'none',
        'photo or tabletop: an encoder that needs no fetched weights; none: theirs',
    ),
    ('use_sim_time', 'false', 'whether time comes from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('rviz', 'false', 'whether to start RViz with the map, the last answer and its boxes'),
    ('view', 'false', 'whether to show the map on a web page; its address is in the log'),
    (
        'cameras',
        'none',
        'names of several, such as front,rear: a keyframe node each; any argument from sensor to '
        'image_reliability may be given for one of them, as front_image_topic; none: one camera',
    ),
    ('map_namespace', 'none', 'namespace of the map that takes the keyframes; none: this one'),
    ('sensor', 'none', 'realsense, zed, azure_kinect, orbbec or oak_d: its topics and options'),
    ('camera_name', 'none', 'name of the camera in the topics of its driver; none: the usual'),
    ('image_topic', 'auto', 'colour images, raw or compressed; auto: /camera/image, or sensor'),
    ('camera_info_topic', 'auto', 'calibration; auto: /camera/camera_info, or that of sensor'),
    ('depth_topic', 'auto', 'depth registered to the colour; auto: that of sensor, else none'),
    ('pose_topic', 'none', 'poses, stamped, with covariance, as odometry or transform; none: TF'),
    ('image_transport', 'auto', 'auto, raw or compressed; the topics are named in full anyway'),
    ('depth_transport', 'auto', 'the same for depth'),
    ('depth_unit_m', '0.0', 'what 1 means in depth images, m; 0: millimetres, metres in floats'),
    ('images_rectified', 'false', 'whether images are rectified, whatever camera_info says'),
    ('camera_frame', 'none', 'optical frame of the images; none: as they say'),
    ('camera_extrinsic', 'none', 'x y z qx qy qz qw of the camera on the body; none: TF'),
    ('image_reliability', 'best_effort', 'best_effort, as drivers send, or reliable'),
    ('world_frame', 'map', 'frame in which the map lives; localisation has to provide it'),
    ('tf_namespace', 'none', 'namespace of tf and tf_static, on robots that have their own'),
    ('start_keyframe_node', 'true', 'false where it runs on another machine'),
    ('start_field_node', 'true', 'false where it runs on another machine'),
)


def make_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Returns the nodes for the arguments as they were given."""
    given = given_values({name: context.launch_configurations[name] for name, _, _ in ARGUMENTS})
    # Those of one of several cameras have names that no table can hold.
    every = given_values(context.launch_configurations)
    wrong = wrong_argument(given, has_package) or wrong_camera_argument(every)
    if wrong:
        raise RuntimeError(wrong)  # before anything starts: nothing is left running
    on = {name for name, value in given.items() if is_on(value)}
    cameras = launched_cameras(every | given)
    common = {
        'package': 'lerf_ros',
        'output': 'screen',
        'arguments': ['--ros-args', '--log-level', given['log_level']],
    }
    tf = tf_remappings(given['tf_namespace'])
    base = {'use_sim_time': 'use_sim_time' in on, 'node.world_frame': given['world_frame']}
    parameters = [given['params_file']] if given['params_file'] else []
    if given['place']:
        parameters.append(str(SHARE / 'config' / 'places' / f'{given["place"]}.yaml'))
    nodes: list[LaunchDescriptionEntity] = []
    for camera in cameras if 'start_keyframe_node' in on else ():
        sensor = [str(SHARE / 'config' / 'sensors' / f'{camera.sensor}.yaml')]
        nodes.append(
            Node(
                executable='keyframe_node',
                name='keyframe_node',
                namespace=camera.namespace,
                parameters=[*parameters, *sensor[: bool(camera.sensor)], base | camera.parameters],
                remappings=[*(camera.topics | camera.shared).items(), *tf],
                **common,
            )
        )
    if 'start_field_node' in on:
        page: dict[str, Any] = {'viewer.enabled': True} if 'view' in on else {}
        if given['encoder']:
            # The dense model of the GPU variants has weights of its own to fetch.
            page |= {'features.encoder': given['encoder'], 'features.dense': 'none'}
        nodes.append(
            Node(
                executable='field_node',
                name='field_node',
                namespace=given['namespace'],
                parameters=[*parameters, base | page],
                remappings=tf,
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
                    ('/camera/image', cameras[0].topics['image']),
                    *tf,
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
