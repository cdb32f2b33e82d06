"""Judging what comes in: the cause before its effects, and nothing where nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lerf_ros.frames.diagnosis import InputFacts, IntakeFacts, Publisher, findings, suspicions
from lerf_ros.frames.pose_track import PoseTrack, TransformError

IMAGE = 'sensor_msgs/msg/Image'
INFO = 'sensor_msgs/msg/CameraInfo'


def heard(name: str, kind: str, **changes: Any) -> InputFacts:
    facts = InputFacts(name, f'/camera/{name}', (kind,), (Publisher('/driver', kind),), 10, 10**9)
    return replace(facts, **changes)


WELL = IntakeFacts(
    image=heard('image', IMAGE), info=heard('camera_info', INFO), paired=10, keyframes=5
)


def told_of_a_gap() -> str:
    """What a track says of a stamp between two poses that are far apart."""
    track = PoseTrack(gap_ns=10**8)
    pose = np.eye(4)
    pose[0, 3] = 1.0
    track.add(0, np.eye(4))
    track.add(10**9, pose)
    with pytest.raises(TransformError) as told:
        track.at(10**8, 'camera')
    return str(told.value)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert findings(WELL) == suspicions(WELL) == []


@pytest.mark.parametrize(
    ('changes', 'kind', 'words'),
    [
        ({'image': heard('image', IMAGE, publishers=(), heard=0)}, 'image_no_publisher', 'image'),
        ({'image': heard('image', IMAGE, publishers=(), age_s=7.0)}, 'image_ended', '7.0 s ago'),
        ({'image': heard('image', IMAGE, heard=0)}, 'image_silent', '/driver'),
        (
            {'image': heard('image', IMAGE, publishers=(Publisher('/a', INFO),), heard=0)},
            'image_type',
            f'carries {INFO}, expected {IMAGE}',
        ),
        ({'paired': 0, 'info': heard('camera_info', INFO, stamp_ns=0)}, 'unpaired', '1.000 s'),
        ({'refused': 'camera_info: the camera is uncalibrated'}, 'uncalibrated', 'calibrate'),
        ({'no_pose': 'no pose of camera', 'pose_newest_ns': 10**9}, 'no_pose', 'no pose'),
        (
            {'no_pose': told_of_a_gap()},
            'pose_gap',
            'moved by 100 cm and 0 degrees between them',
        ),
        ({'no_pose': 'x', 'pose_newest_ns': 61 * 10**9}, 'clock_skew', '60.000 s behind'),
        ({'still': 40}, 'still', '40 frames'),
        ({'image': heard('image', IMAGE, stamp_ns=0)}, 'zero_stamps', 'at zero'),
        ({'sim_time': True, 'clock_ns': 0}, 'no_clock', '/clock'),
    ],
)
def test_the_first_finding_is_the_cause(changes: dict[str, Any], kind: str, words: str) -> None:
    first = findings(replace(WELL, **changes))[0]
    assert first.kind == kind
    assert words in str(first)


def test_a_camera_that_moves_where_it_has_been_is_neither_still_nor_wrong() -> None:
    assert findings(replace(WELL, still=3))
    assert not findings(replace(WELL, still=3, known=2))


def test_effects_are_not_told_beside_their_cause() -> None:
    facts = replace(
        WELL,
        info=heard('camera_info', INFO, publishers=(), heard=0),
        paired=0,
        no_pose='no pose',
        still=3,
    )
    assert [finding.kind for finding in findings(facts)] == ['camera_info_no_publisher']


@pytest.mark.parametrize(
    ('changes', 'kind'),
    [
        (
            {'image': heard('image', IMAGE, topic='/c/image_rect_color'), 'bends': True},
            'rectified_twice',
        ),
        ({'sharpness': 3.0}, 'blurred'),
        (
            {'depth': heard('depth', IMAGE), 'without_depth': 9, 'depth_gap_ns': 10**8},
            'depth_unpaired',
        ),
        ({'doubts': ('hardly any depth',)}, 'doubtful'),
    ],
)
def test_what_may_be_wrong_though_keyframes_come(changes: dict[str, Any], kind: str) -> None:
    assert [finding.kind for finding in suspicions(replace(WELL, **changes))] == [kind]
