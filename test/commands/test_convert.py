"""A recording as a bag: the same frames, also as far as a bag goes that was cut off."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.__main__ import main
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import look_at
from lerf_ros.sources.bag import Bag
from lerf_ros.sources.nerfstudio import NerfstudioFolder

COUNT = 12


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with depth from a camera that moves; the third picture is behind a mask."""
    path = tmp_path_factory.mktemp('recording')
    (path / 'images').mkdir()
    random = np.random.default_rng(0)
    frames = []
    for index in range(COUNT):
        picture = random.integers(0, 255, (48, 64, 3)).astype(np.uint8)
        depth = random.integers(500, 3000, (48, 64)).astype(np.uint16)
        depth[:3] = 0
        cv2.imwrite(str(path / f'images/{index}.png'), picture)
        cv2.imwrite(str(path / f'images/{index}_depth.png'), depth)
        pose = look_at(np.array([2.0, 0.2 * index, 1.0]), np.zeros(3)) @ np.diag([1.0, -1, -1, 1])
        entry = {
            'file_path': f'images/{index}.png',
            'depth_file_path': f'images/{index}_depth.png',
            'transform_matrix': pose.tolist(),
        }
        if index == 2:
            mask = np.full((48, 64), 255, np.uint8)
            mask[10:20, 30:40] = 0
            cv2.imwrite(str(path / 'images/mask.png'), mask)
            entry['mask_path'] = 'images/mask.png'
        frames.append(entry)
    camera = {'fl_x': 60.0, 'fl_y': 61.0, 'cx': 32.0, 'cy': 24.0, 'w': 64, 'h': 48}
    (path / 'transforms.json').write_text(json.dumps({**camera, 'frames': frames}))
    return path


def assert_same(found: PosedFrame, wanted: PosedFrame) -> None:
    np.testing.assert_array_equal(found.image, wanted.image)
    assert found.depth is not None
    assert wanted.depth is not None
    np.testing.assert_allclose(found.depth, wanted.depth, rtol=0, atol=1e-6)
    assert found.camera == wanted.camera
    np.testing.assert_allclose(found.camera_to_world, wanted.camera_to_world, rtol=0, atol=1e-12)
    assert found.stamp_ns == wanted.stamp_ns
    assert (found.visible is None) == (wanted.visible is None)
    if found.visible is not None:
        np.testing.assert_array_equal(found.visible, wanted.visible)


def convert(folder: Path, bag: Path) -> int:
    return main(['convert', str(folder), '--output', str(bag)])


def test_a_recording_as_a_bag_holds_the_same_frames(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(folder, tmp_path / 'bag') == 0
    assert f'{COUNT} frames written' in capsys.readouterr().out
    bag = Bag(tmp_path / 'bag')
    for found, wanted in zip(bag, NerfstudioFolder(folder), strict=True):
        assert_same(found, wanted)
    assert not bag.ledger.warnings
    # A bag is a recording too.
    assert convert(tmp_path / 'bag', tmp_path / 'again') == 0
    for found, wanted in zip(Bag(tmp_path / 'again'), NerfstudioFolder(folder), strict=True):
        assert_same(found, wanted)


@pytest.mark.parametrize('share', [0.3, 0.7])
def test_a_bag_that_was_cut_off_is_read_as_far_as_it_goes(
    folder: Path, tmp_path: Path, share: float
) -> None:
    assert convert(folder, tmp_path / 'bag') == 0
    (file,) = (tmp_path / 'bag').glob('*.mcap')
    data = file.read_bytes()
    (tmp_path / 'cut').mkdir()
    (tmp_path / 'cut' / file.name).write_bytes(data[: int(share * len(data))])
    bag = Bag(tmp_path / 'cut')
    found = list(bag)
    assert share * COUNT - 3 < len(found) < COUNT
    for one, wanted in zip(found, NerfstudioFolder(folder), strict=False):
        assert_same(one, wanted)
    assert any('read what is whole' in sentence for sentence in bag.ledger.warnings)
    # What is left becomes a whole bag.
    assert convert(tmp_path / 'cut', tmp_path / 'mended') == 0
    mended = Bag(tmp_path / 'mended')
    assert len(list(mended)) == len(found)
    assert not mended.ledger.warnings


def test_what_cannot_be_written_is_said_before_work_begins(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(folder, tmp_path) == 2
    assert 'expected a new bag' in capsys.readouterr().err
    assert convert(folder, tmp_path / 'nowhere' / 'bag') == 2
    assert 'there is no folder' in capsys.readouterr().err
