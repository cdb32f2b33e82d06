"""How the nodes talk."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option

TRANSPORTS = ('auto', 'raw', 'compressed')


@dataclass(frozen=True)
class NodeOptions(Section):
    """How the nodes talk."""

    world_frame: str = option('map', 'TF frame in which the map lives.')
    odom_frame: str = option(
        'odom',
        'Frame that localisation moves in the world; keyframes follow its jumps. Empty: none do.',
    )
    jump_move_m: float = option(
        0.05, 'A shift of odom_frame that is a jump.', unit='m', low=0.001, high=1000.0
    )
    jump_turn_deg: float = option(
        2.0, 'A turn of odom_frame that is a jump.', unit='deg', low=0.01, high=180.0
    )
    reset_move_m: float = option(
        5.0,
        'A shift of it that is no correction but a reset: no keyframe follows.',
        unit='m',
        low=0.001,
        high=100_000.0,
    )
    reset_turn_deg: float = option(
        60.0, 'A turn of it that is a reset.', unit='deg', low=0.01, high=180.0
    )
    pose_source: str = option(
        'auto',
        "Where camera poses come from: 'tf', the topic 'pose', or auto: TF where it is installed.",
        choices=('auto', 'tf', 'topic'),
    )
    tf_timeout_s: float = option(
        0.5, 'An image waits this long for its pose.', unit='s', low=0.0, high=60.0, live=True
    )
    use_depth: bool = option(True, 'Whether to wait for a depth image beside each image.')
    depth_slop_s: float = option(
        0.03, 'Largest time between an image and its depth.', unit='s', low=0.0, high=1.0
    )
    depth_unit_m: float = option(
        0.0,
        'What 1 means in depth images; 0: millimetres in integers, metres in floats.',
        unit='m',
        low=0.0,
        high=1000.0,
    )
    image_transport: str = option(
        'auto', 'How images come in; auto: as they are published.', choices=TRANSPORTS
    )
    depth_transport: str = option(
        'auto', 'How depth comes in; auto: as it is published.', choices=TRANSPORTS
    )
    images_rectified: bool = option(
        False, 'Whether images are rectified already, whatever their camera_info says.'
    )
    camera_frame: str = option(
        '', 'Optical frame of the images, where they name that of a body; empty: as they say.'
    )
    camera_extrinsic: str = option(
        '',
        'Where the camera sits on the frame that poses are of: x y z qx qy qz qw; empty: TF says.',
    )
    corrected_poses_of: str = option(
        'camera',
        "What corrected_poses tells of: the 'camera' (optical frame), or the 'base' that "
        'camera_extrinsic says where the camera sits on.',
        choices=('camera', 'base'),
    )
    image_reliability: str = option(
        'best_effort',
        'Reliability asked of the cameras; a reliable subscriber hears no best-effort camera.',
        choices=('best_effort', 'reliable'),
    )
    pose_reliability: str = option(
        'best_effort',
        'Reliability asked of poses and TF: of a lost one the picture is placed between its '
        'neighbours or left out; reliable has it repeated, but hears no best-effort publisher.',
        choices=('best_effort', 'reliable'),
    )
    pose_gap_s: float = option(
        0.4,
        'Longest time between two poses that a picture between them is placed by while the camera '
        'moves; 0: any. tf2_ros, where it is installed, does so over any.',
        unit='s',
        low=0.0,
        high=60.0,
    )
    inbox_mb: int = option(
        128,
        'Camera messages that wait to be paired hold at most this much; the oldest are dropped.',
        unit='MB',
        low=1,
        high=100_000,
    )
    outbox_mb: int = option(
        128,
        'Keyframes that a map has not got yet, or may want again, are kept up to this much.',
        unit='MB',
        low=1,
        high=100_000,
    )
    keyframe_backlog: int = option(
        20,
        'Keyframes that may wait for intake; further ones are put off until there is room.',
        low=1,
        high=10_000,
    )
    query_timeout_s: float = option(
        30.0, 'A query is given up after this long.', unit='s', low=0.1, high=3600.0, live=True
    )
    max_waiting_questions: int = option(
        64,
        'Questions that may wait for their answer; further ones are refused at once.',
        low=1,
        high=10_000,
        live=True,
    )
    status_period_s: float = option(
        0.5, 'Time between two status messages.', unit='s', low=0.05, high=60.0
    )
    cloud_period_s: float = option(
        2.0,
        'Time between two surface clouds; none is made while nobody listens.',
        unit='s',
        low=0.1,
        high=3600.0,
    )
    relevancy_image_period_s: float = option(
        1.0,
        'Least time between two heat maps of keyframes; none is made while nobody listens.',
        unit='s',
        low=0.0,
        high=3600.0,
        live=True,
    )
    relevancy_image_colours: str = option(
        'centred',
        'Colours by relevancy: raw, above 0.5 (centred), or that up to the best (normalised).',
        choices=('raw', 'centred', 'normalised'),
        live=True,
    )

    def check_together(self) -> None:
        """Raises a ValueError where every jump would be a reset."""
        self.require_order('jump_move_m', 'reset_move_m', strictly=True)
        self.require_order('jump_turn_deg', 'reset_turn_deg', strictly=True)
