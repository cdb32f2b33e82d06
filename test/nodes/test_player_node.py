"""The player: a folder as live topics, in order, at a rate; loops; unknown sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lerf_ros.frames import PosedFrame
from lerf_ros.frames.compressed import alpha_mask
from lerf_ros.frames.encodings import depth_array, image_array
from lerf_ros.frames.messages import nanoseconds, pose_matrix_of
from lerf_ros.geometry import PinholeCamera
from lerf_ros.nodes import player_node
from lerf_ros.nodes.player_node import PlayerNode, colour_message, looped, open_source


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames; their red channel and their position tell the number."""
    path = tmp_path_factory.mktemp('recording')
    np.savetxt(path / 'camera-intrinsics.txt', [[60, 0, 32], [0, 60, 24], [0, 0, 1]])
    for number in range(4):
        name = path / f'frame-{number:06d}'
        picture = np.full((48, 64, 3), (10, 20, 50 * number), np.uint8)
        cv2.imwrite(f'{name}.color.png', picture)
        cv2.imwrite(f'{name}.depth.png', np.full((48, 64), 1000 + number, np.uint16))
        pose = np.eye(4)
        pose[0, 3] = number
        np.savetxt(f'{name}.pose.txt', pose)
    return path


def parameters(**values: object) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def test_a_folder_becomes_topics(folder: Path, spinner: object, wait_until: Callable) -> None:
    listener = Node('listener')
    heard: dict[str, list] = {'image': [], 'camera_info': [], 'depth': [], 'pose': []}
    for name, kind in (
        ('image', Image),
        ('camera_info', CameraInfo),
        ('depth', Image),
        ('pose', PoseStamped),
    ):
        listener.create_subscription(kind, f'/camera/{name}', heard[name].append, 20)
    spinner.add(listener)  # type: ignore[attr-defined]

    ended: list[bool] = []
    given = parameters(source=str(folder), rate_hz=20.0)
    spinner.add(PlayerNode(given, lambda: ended.append(True)))  # type: ignore[attr-defined]
    wait_until(lambda: min(map(len, heard.values())) >= 4, 'every part of every frame')
    reds = [int(image_array(message)[0, 0, 0]) for message in heard['image']]
    assert reds == [0, 50, 100, 150]
    depths = [float(depth_array(message)[0, 0]) for message in heard['depth']]
    assert depths == pytest.approx([1.0, 1.001, 1.002, 1.003])
    poses = [pose_matrix_of(message.pose)[0, 3] for message in heard['pose']]
    assert poses == [0, 1, 2, 3]
    stamps = [[nanoseconds(message.header.stamp) for message in part] for part in heard.values()]
    assert stamps[0] == stamps[1] == stamps[2] == stamps[3] == sorted(stamps[0])
    assert heard['camera_info'][0].k[0] == 60
    wait_until(lambda: ended, 'the end')


def test_what_a_mask_hides_is_transparent() -> None:
    visible = np.ones((8, 8), bool)
    visible[2:5, 3:] = False
    message = colour_message(replace(frames(1)[0], visible=visible), Header())
    found = alpha_mask(message)
    assert found is not None
    np.testing.assert_array_equal(found, visible)
    assert image_array(message).shape == (8, 8, 3)
    assert colour_message(frames(1)[0], Header()).encoding == 'rgb8'


def frames(count: int) -> list[PosedFrame]:
    camera = PinholeCamera(10.0, 10.0, 4.0, 4.0, 8, 8)
    image = np.zeros((8, 8, 3), np.uint8)
    return [PosedFrame(image, None, camera, np.eye(4), number) for number in range(count)]


def test_a_loop_makes_each_frame_once() -> None:
    made = []

    def opened() -> list[PosedFrame]:
        made.append(1)
        return frames(3)

    stream = looped(opened)
    assert [next(stream).stamp_ns for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert len(made) == 1


def test_a_loop_too_big_to_keep_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_node, 'KEEP_BYTES', 300)
    stream = looped(lambda: frames(3))
    assert [next(stream).stamp_ns for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize('source', ['/no/such/folder', 'tabeltop', ''])
def test_unknown_sources_are_one_sentence(source: str) -> None:
    with pytest.raises(ValueError, match='expected'):
        open_source(source, 0, 'orbit', 1.0, 10.0)
