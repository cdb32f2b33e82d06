"""Which topics of a bag hold the colour, the calibration, the depth and the poses of a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lerf_ros.frames.encodings import encoding_of
from lerf_ros.frames.pose_source import POSE_TYPES
from lerf_ros.sources.bag_reader import BagReader

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
TF_TYPES = ('tf2_msgs/msg/TFMessage', 'tf/msg/tfMessage')
KEYFRAME_TYPE = 'lerf_ros/msg/Keyframe'

# Words in names of pictures that show no colours, or not those of the camera.
_NO_COLOUR = ('infra', '/ir/', 'disparity', 'confidence', 'mask', 'label', 'relevancy', 'theora')
_GOOD_COLOUR = ('color', 'colour', 'rgb', 'left', 'image')
_GOOD_DEPTH = ('aligned', 'registered', 'depth')
# Poses that people send to a robot, rather than those it has.
_NO_POSE = ('goal', 'initialpose', 'clicked', 'target')


@dataclass(frozen=True)
class BagTopics:
    """Names of topics; '' where there is none.

    Attributes:
        image: Colour, raw or compressed.
        info: Its calibration.
        depth: Depth that is registered to it.
        pose: Poses of the camera, of any type of `POSE_TYPES`; '' to use TF.
        tf: Topics of transforms.
    """

    image: str
    info: str
    depth: str
    pose: str
    tf: tuple[str, ...]

    @property
    def all(self) -> list[str]:
        """Every topic that has a name."""
        return [name for name in (self.image, self.info, self.depth, self.pose, *self.tf) if name]


def choose_topics(reader: BagReader, given: Mapping[str, str | None]) -> BagTopics:
    """Returns the topics to read.

    Args:
        reader: The bag.
        given: Names for ``image``, ``info``, ``depth`` and ``pose`` that people gave; None: look.

    Raises:
        ValueError: A given topic is not in the bag, or none fits.
    """
    topics = reader.topics
    for name in filter(None, given.values()):
        if name not in topics:
            raise ValueError(f'expected the topic {name}, got {", ".join(sorted(topics))}')
    pictures = sorted(name for name, kind in topics.items() if kind in IMAGE_TYPES)
    depths = [name for name in pictures if _is_depth(reader, name)]
    image = given.get('image')
    if image is None:
        image = _best([name for name in pictures if name not in depths], _GOOD_COLOUR, _NO_COLOUR)
    if not image:
        raise ValueError(f'expected a topic of colour images, got {", ".join(sorted(topics))}')
    info = given.get('info') or _info_of(image, topics)
    depth = given.get('depth')
    if depth is None:
        depth = _best(depths, _GOOD_DEPTH, ())
    tf = tuple(sorted(name for name, kind in topics.items() if kind in TF_TYPES))
    poses = sorted(name for name, kind in topics.items() if kind in POSE_TYPES)
    pose = given.get('pose')
    if pose is None:
        pose = '' if _moves(tf) else _best(poses, ('camera', 'pose', 'odom'), _NO_POSE)
    if not pose and not tf:
        raise ValueError(
            f'expected poses on /tf or on a topic of {", ".join(POSE_TYPES)}, got '
            f'{", ".join(sorted(topics))}'
        )
    return BagTopics(image, info, depth, pose, tf)


def _moves(tf: tuple[str, ...]) -> bool:
    return any(not name.endswith('static') for name in tf)


def _best(names: list[str], good: tuple[str, ...], bad: tuple[str, ...]) -> str:
    """Returns the name that looks best; raw pictures go before compressed ones."""

    def rank(name: str) -> tuple[int, int, int, str]:
        low = name.lower()
        likes = [place for place, word in enumerate(good) if word in low]
        return (
            sum(word in low for word in bad),
            min(likes, default=len(good)),
            low.endswith(('compressed', 'compresseddepth')),
            name,
        )

    return min(names, key=rank, default='')


def _info_of(image: str, topics: Mapping[str, str]) -> str:
    """Returns the camera info beside an image topic, or the only one there is."""
    infos = sorted(name for name, kind in topics.items() if kind == INFO_TYPE)
    folder = image
    while '/' in folder:
        folder = folder.rpartition('/')[0]
        if f'{folder}/camera_info' in infos:
            return f'{folder}/camera_info'
    if len(infos) == 1:
        return infos[0]
    raise ValueError(
        f'expected the calibration of {image} on {image.rpartition("/")[0]}/camera_info, got '
        f'{", ".join(infos) or "no camera_info at all"}'
    )


def _is_depth(reader: BagReader, name: str) -> bool:
    if 'depth' in name.lower():
        return True
    message: Any = next((m for _, _, m in reader.messages([name])), None)
    if message is None:
        return False
    if hasattr(message, 'format'):
        return 'compresseddepth' in str(message.format).lower()
    return encoding_of(message) in ('16UC1', '32FC1')
