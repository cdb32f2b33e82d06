"""Bags written here and read back: encodings, pairing, poses, keyframes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from bags import (
    KEYFRAME,
    compressed,
    header,
    image,
    info,
    make,
    pose_parts,
    stamped_pose,
    tf,
    unpacked,
    write,
)
from rosbags.rosbag2 import StoragePlugin

from lerf_ros.geometry import look_at
from lerf_ros.sources.bag import Bag
from lerf_ros.sources.bag_writer import message_store


def pose_at(x: float) -> np.ndarray:
    matrix = look_at(np.array([1.0, 0.5, 1.0]), np.zeros(3))
    matrix[0, 3] = x
    return matrix


COLOUR = np.zeros((12, 16, 3), np.uint8)
COLOUR[:] = (200, 100, 50)
DEPTH = np.full((12, 16), 1500, np.uint16)
DEPTH[0, 0] = 0


def recording(encoding: str = 'bgr8', count: int = 3):
    pixels = {'rgb8': COLOUR, 'bgr8': COLOUR[..., ::-1].copy()}[encoding]
    for index in range(count):
        stamp_ns = index * 10**8
        yield '/camera/camera_info', stamp_ns, info(stamp_ns)
        yield '/camera/image', stamp_ns, image(stamp_ns, pixels, encoding, pad=3)
        # Depth and pose come later than the picture they belong to.
        yield '/depth', stamp_ns + 2 * 10**7, image(stamp_ns + 5 * 10**6, DEPTH, '16UC1')
        yield '/pose', stamp_ns + 3 * 10**7, stamped_pose(stamp_ns, pose_at(index))


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8'])
@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_raw_topics(tmp_path: Path, encoding: str, plugin) -> None:
    path = write(tmp_path / 'bag', recording(encoding), plugin)
    frames = list(Bag(path, depth_topic='/depth', pose_topic='/pose'))
    assert [frame.stamp_ns for frame in frames] == [0, 10**8, 2 * 10**8]
    for index, frame in enumerate(frames):
        assert frame.image[3, 3].tolist() == [200, 100, 50]
        assert np.isnan(frame.depth[0, 0])
        assert frame.depth[5, 5] == pytest.approx(1.5)
        assert frame.camera_to_world == pytest.approx(pose_at(index))
        assert (frame.camera.fx, frame.camera.cx, frame.camera.cy) == (20.0, 8.0, 6.0)


def test_without_depth_and_with_depth_out_of_reach(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag', recording())
    assert all(frame.depth is None for frame in Bag(path, depth_topic=''))
    bag = Bag(path, pose_topic='/pose', depth_topic='/depth', slop_s=0.001)
    frames = list(bag)
    assert len(frames) == 3
    assert all(frame.depth is None for frame in frames)


def test_compressed_topics_and_distortion(tmp_path: Path) -> None:
    messages = [
        ('/c/camera_info', 0, info(0, distortion=(-0.3, 0.1, 0.0, 0.0, 0.0))),
        ('/c/image', 0, compressed(0, COLOUR[..., ::-1])),
        ('/depth', 0, compressed(0, DEPTH)),
        ('/pose', 0, stamped_pose(0, pose_at(0))),
    ]
    path = write(tmp_path / 'bag', messages)
    (frame,) = Bag(path, image_topic='/c/image', depth_topic='/depth', pose_topic='/pose')
    assert frame.image[6, 8].tolist() == [200, 100, 50]
    assert frame.depth[6, 8] == pytest.approx(1.5)


def test_frames_without_a_pose_are_left_out_with_a_warning_each(tmp_path: Path, caplog) -> None:
    messages = [m for m in recording(count=4) if m[0] != '/pose' or m[1] < 2 * 10**8]
    path = write(tmp_path / 'bag', messages)
    with caplog.at_level(logging.WARNING):
        bag = Bag(path, pose_topic='/pose')
        frames = list(bag)
    assert len(frames) == 2
    assert list(bag.ledger.left_out) == ['/camera/image at 0.200 s', '/camera/image at 0.300 s']
    assert 'no pose' in bag.ledger.left_out['/camera/image at 0.300 s']
    assert '2 of 4 frames left out' in caplog.text


def test_poses_from_tf_are_those_at_the_stamp(tmp_path: Path) -> None:
    fixed = np.eye(4)
    fixed[2, 3] = 0.25

    moving = [np.eye(4), np.eye(4)]
    moving[1][0, 3] = 1.0
    messages = [
        ('/tf_static', 0, tf(0, 'base', 'camera', fixed)),
        ('/tf', 0, tf(0, 'map', 'base', moving[0])),
        ('/camera/camera_info', 1, info()),
        ('/camera/image', 2, image(10**8, COLOUR, 'rgb8')),
        ('/tf', 3, tf(4 * 10**8, 'map', 'base', moving[1])),
    ]
    (frame,) = Bag(write(tmp_path / 'bag', messages))
    assert frame.camera_to_world[:3, 3] == pytest.approx([0.25, 0.0, 0.25])


@pytest.mark.parametrize('topic', ['/pose', '/tf'])
def test_pictures_in_a_gap_between_poses_are_left_out(topic: str, tmp_path: Path) -> None:
    messages = [message for message in recording(count=5) if message[0] != '/pose']
    for index in (0, 1, 4):  # two poses were lost
        stamp_ns, pose = index * 10**8, pose_at(index)
        told = (
            tf(stamp_ns, 'map', 'camera', pose) if topic == '/tf' else stamped_pose(stamp_ns, pose)
        )
        messages.append((topic, stamp_ns + 3 * 10**7, told))
    path = write(tmp_path / 'bag', messages)
    chosen = {'pose_topic': topic} if topic == '/pose' else {}
    bag = Bag(path, pose_gap_s=0.25, **chosen)  # type: ignore[arg-type]
    assert [frame.stamp_ns for frame in bag] == [0, 10**8, 4 * 10**8]
    (reason, _) = bag.ledger.left_out.values()
    assert '0.30 s apart, and it moved by 300 cm and 0 degrees' in reason
    assert '--pose-gap' in reason
    whole = list(Bag(path, pose_gap_s=0.0, **chosen))  # type: ignore[arg-type]
    assert whole[2].camera_to_world[:3, 3] == pytest.approx(pose_at(2)[:3, 3])


@pytest.mark.parametrize('hides', [False, True])
def test_keyframes_need_nothing_else(hides: bool, tmp_path: Path) -> None:
    mask = np.full((12, 16), 255, np.uint8)
    mask[4:8, 3:9] = 0
    message = make(
        'lerf_ros/msg/Keyframe',
        header=header(7 * 10**9, 'map'),
        source='',
        run='',
        index=0,
        camera_info=info(),
        pose=pose_parts(pose_at(0.5), 'Pose'),
        image=compressed(0, COLOUR[..., ::-1]),
        depth=compressed(0, DEPTH),
        mask=compressed(0, mask) if hides else unpacked(0, b'', ''),
    )
    (frame,) = Bag(write(tmp_path / 'bag', [('/lerf/keyframes', 0, message)]))
    assert frame.stamp_ns == 7 * 10**9
    assert frame.image[1, 1].tolist() == [200, 100, 50]
    assert frame.depth[1, 1] == pytest.approx(1.5)
    assert frame.camera_to_world == pytest.approx(pose_at(0.5))
    assert (frame.visible is not None) == hides
    if hides:
        np.testing.assert_array_equal(frame.visible, mask > 0)


def test_keyframes_of_before_there_were_masks(tmp_path: Path) -> None:
    """A bag carries the definitions of its messages."""
    text = KEYFRAME.read_text()
    store = message_store(Keyframe=text[: text.index('# 8-bit PNG')])
    old = store.types['lerf_ros/msg/Keyframe'](
        header=header(7, 'map'),
        source='',
        run='',
        index=0,
        camera_info=info(),
        pose=pose_parts(pose_at(0.5), 'Pose'),
        image=compressed(0, COLOUR),
        depth=compressed(0, DEPTH),
    )
    (frame,) = Bag(write(tmp_path / 'bag', [('/lerf/keyframes', 0, old)], store=store))
    assert frame.visible is None
    assert frame.depth[1, 1] == pytest.approx(1.5)


def test_bad_bags_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='expected a bag'):
        Bag(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='expected a bag'):
        Bag(tmp_path / 'empty')
    path = write(tmp_path / 'bag', recording())
    with pytest.raises(ValueError, match='expected the topic /colour, got /camera'):
        Bag(path, image_topic='/colour')
