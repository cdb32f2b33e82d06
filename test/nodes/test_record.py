"""Keyframes recorded and played again: the same messages, and the same map to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_encoder import ColourEncoder
from rclpy.node import Node
from safetensors.torch import load_file

from lerf_ros.bridge import qos
from lerf_ros.bridge.keyframes import frame_of, keyframe_message
from lerf_ros.config import LerfConfig
from lerf_ros.frames import PosedFrame
from lerf_ros.maps.submap import Submap
from lerf_ros.msg import Keyframe
from lerf_ros.nodes.keyframe_player import KeyframePlayerNode, has_keyframes
from lerf_ros.nodes.record import RecorderNode
from lerf_ros.simulation import TabletopOptions, TabletopScene
from lerf_ros.sources.bag import Bag

CONFIG = LerfConfig.from_flat(
    {
        'training.rays_per_step': 128,
        'training.language_rays_per_step': 64,
        'training.device': 'cpu',
        'field.table_log2': 12,
        'field.language_table_log2': 12,
        'features.pyramid_levels': 3,
        'query.voxel_m': 0.02,
    }
)
STEPS = 3


@pytest.fixture(scope='module')
def messages() -> list[Keyframe]:
    """Four keyframes of a table, one of them behind a mask, one without depth."""
    options = TabletopOptions(width=160, height=120, objects=(('red', 'mug'), ('blue', 'book')))
    with TabletopScene(seed=9050, options=options) as scene:
        frames = list(scene.frames('orbit', 20.0, 0.2))[:4]
    visible = np.ones((120, 160), bool)
    visible[:, :50] = False
    frames[1] = replace(frames[1], visible=visible)
    frames[2] = replace(frames[2], depth=None)
    return [
        keyframe_message(frame, index, 'map', 92, source='/robot/camera', run='abc')
        for index, frame in enumerate(frames)
    ]


def map_of(frames: Iterable[PosedFrame], path: Path) -> dict[str, torch.Tensor]:
    """Returns all numbers of the map of some keyframes, by a clock of training steps."""
    live_map = Submap(CONFIG, ColourEncoder())
    for frame in frames:
        live_map.ingest(frame)
        for _ in range(STEPS):
            live_map.step()
    live_map.save(path)
    return load_file(path)


def test_a_recording_of_keyframes_gives_the_same_map_to_the_bit(
    messages: list[Keyframe],
    tmp_path: Path,
    spinner: object,
    wait_until: Callable[..., None],
) -> None:
    sender = spinner.add(Node('sender'))  # type: ignore[attr-defined]
    publisher = sender.create_publisher(Keyframe, '/lerf/keyframes', qos.KEYFRAMES)
    recorder = spinner.add(RecorderNode(tmp_path / 'bag'))  # type: ignore[attr-defined]
    wait_until(lambda: publisher.get_subscription_count() > 0, 'the recorder listens')
    # One of them is sent again, as a sender does that is not sure who heard it.
    for message in [*messages, messages[1]]:
        publisher.publish(message)
    wait_until(lambda: recorder.count == 5, 'all are written')
    recorder.close()
    sender.destroy_publisher(publisher)

    assert has_keyframes(tmp_path / 'bag')
    live = [frame_of(message, 'map') for message in messages]
    recorded = list(Bag(tmp_path / 'bag'))
    assert len(recorded) == 4, 'what was sent twice counts once'
    mine, theirs = (
        map_of(frames, tmp_path / name) for frames, name in ((live, 'a'), (recorded, 'b'))
    )
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        # As bytes: unknown depth is NaN, which equals nothing.
        assert value.numpy().tobytes() == theirs[name].numpy().tobytes(), name

    # Played again, every message is as it was.
    heard: list[Keyframe] = []
    listener = spinner.add(Node('listener'))  # type: ignore[attr-defined]
    listener.create_subscription(Keyframe, '/lerf/keyframes', heard.append, qos.KEYFRAMES)
    ended: list[bool] = []
    player = KeyframePlayerNode(tmp_path / 'bag', 50.0, on_end=lambda: ended.append(True))
    spinner.add(player)  # type: ignore[attr-defined]
    wait_until(lambda: bool(ended) and len(heard) == 5, 'the end')
    assert heard == [*messages, messages[1]]


def test_where_something_is_nothing_is_recorded(tmp_path: Path) -> None:
    (tmp_path / 'bag').mkdir()
    with pytest.raises(ValueError, match='expected a new bag'):
        RecorderNode(tmp_path / 'bag')
    with pytest.raises(ValueError, match='there is no folder'):
        RecorderNode(tmp_path / 'nowhere' / 'bag')
