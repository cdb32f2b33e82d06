"""The map on a simulated table: player, keyframe node and field node.

ros2 launch lerf_ros demo.launch.py seed:=9003 rviz:=true
"""

from launch import LaunchDescription

from lerf_ros.nodes.launching import played_map, typed

ARGUMENTS = (
    ('seed', '9003', 'which simulated table'),
    ('path', 'orbit', 'camera path: orbit, handheld or wrist'),
    ('seconds', '20.0', 'duration of the camera path, s'),
    ('rate_hz', '10.0', 'frames a second'),
    ('loop', 'true', 'whether the camera goes round again'),
)


def generate_launch_description() -> LaunchDescription:
    """Returns every argument with its default and meaning, the player and the map."""
    return played_map(
        ARGUMENTS,
        {
            'source': 'tabletop',
            'seed': typed('seed', int),
            'path': typed('path', str),
            'seconds': typed('seconds', float),
            'rate_hz': typed('rate_hz', float),
            'loop': typed('loop', bool),
        },
    )
