"""The map of a recorded folder, played as live topics.

ros2 launch lerf_ros replay.launch.py data:=/path/to/rgbd_folder
"""

from launch import LaunchDescription

from lerf_ros.nodes.launching import played_map, typed

ARGUMENTS = (
    ('data', None, 'folder: RGB-D frames as in 7-Scenes, or pictures with transforms.json'),
    ('rate_hz', '10.0', 'frames a second'),
    ('loop', 'false', 'whether to start again at the end'),
)


def generate_launch_description() -> LaunchDescription:
    """Returns every argument with its default and meaning, the player and the map."""
    return played_map(
        ARGUMENTS,
        {
            'source': typed('data', str),
            'rate_hz': typed('rate_hz', float),
            'loop': typed('loop', bool),
        },
    )
