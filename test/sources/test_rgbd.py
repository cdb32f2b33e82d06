"""RGB-D folders: what is read, what is left out and why."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.geometry import look_at
from lerf_ros.sources.rgbd import RgbdFolder

REDKITCHEN = Path(__file__).parents[3] / 'shared' / 'data' / 'redkitchen'


def write_frame(folder: Path, number: int, pose: np.ndarray, colour=(10, 120, 240)) -> None:
    image = np.empty((24, 32, 3), dtype=np.uint8)
    image[:] = colour
    depth = np.full((24, 32), 1500, dtype=np.uint16)
    depth[0, 0], depth[0, 1] = 0, 65535
    name = folder / f'frame-{number:06d}'
    cv2.imwrite(f'{name}.color.png', image[:, :, ::-1])
    cv2.imwrite(f'{name}.depth.png', depth)
    np.savetxt(f'{name}.pose.txt', pose)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savetxt(tmp_path / 'camera-intrinsics.txt', [[30.0, 0, 16], [0, 31.0, 12], [0, 0, 1]])
    for number in (0, 10, 20):
        write_frame(tmp_path, number, look_at(np.array([1.0, number / 10, 1.0]), np.zeros(3)))
    return tmp_path


def test_reads_colour_depth_pose_and_stamp(folder: Path) -> None:
    frames = RgbdFolder(folder, rate_hz=20.0)
    assert len(frames) == 3
    frame = frames[1]
    assert frame.image[5, 5].tolist() == [10, 120, 240]
    assert frame.depth is not None
    assert np.isnan(frame.depth[0, :2]).all()
    assert frame.depth[5, 5] == pytest.approx(1.5)
    assert frame.depth.dtype == np.float32
    assert (frame.camera.fx, frame.camera.fy, frame.camera.cx) == (30.0, 31.0, 16.0)
    assert frame.camera_to_world[:3, 3] == pytest.approx([1, 1, 1])
    assert [f.stamp_ns for f in frames] == [0, 500_000_000, 1_000_000_000]
    assert frames[-1].stamp_ns == frames[2].stamp_ns
    assert [f.stamp_ns for f in frames[::2]] == [0, 1_000_000_000]


def test_index_beyond_the_end(folder: Path) -> None:
    with pytest.raises(IndexError):
        RgbdFolder(folder)[3]


def test_missing_and_bent_poses_are_left_out_with_one_warning_each(folder: Path, caplog) -> None:
    (folder / 'frame-000000.pose.txt').unlink()
    np.savetxt(folder / 'frame-000010.pose.txt', np.diag([1.0, 1.2, 1.0, 1.0]))
    with caplog.at_level(logging.WARNING):
        frames = RgbdFolder(folder)
    assert frames.numbers == [20]
    assert len(caplog.records) == 2
    assert 'frame-000000' in caplog.records[0].getMessage()
    assert 'expected a rotation' in caplog.records[1].getMessage()


def test_frame_without_depth(folder: Path) -> None:
    (folder / 'frame-000010.depth.png').unlink()
    assert RgbdFolder(folder)[1].depth is None


def test_downscale_keeps_the_view(folder: Path) -> None:
    frame = RgbdFolder(folder, downscale=2)[0]
    assert frame.image.shape == (12, 16, 3)
    assert frame.depth.shape == (12, 16)
    assert (frame.camera.fx, frame.camera.cx) == (15.0, 8.0)


def test_colour_camera_of_another_focal_length(folder: Path) -> None:
    # A bar 10 px right of the principal point in a picture taken with fx = 20 is 15 px right of
    # it for the depth camera with fx = 30.
    picture = np.zeros((24, 32, 3), dtype=np.uint8)
    picture[:, 25:27] = 255
    cv2.imwrite(str(folder / 'frame-000000.color.png'), picture)
    row = RgbdFolder(folder, colour_focal_px=20.0)[0].image[12, :, 0].astype(float)
    centre = (row * (np.arange(32) + 0.5)).sum() / row.sum()
    assert centre == pytest.approx(16 + 15, abs=0.6)


@pytest.mark.parametrize('damage', ['absent', 'empty', 'intrinsics', 'poses'])
def test_bad_folders_say_what_is_wrong(folder: Path, damage: str) -> None:
    if damage == 'absent':
        folder = folder / 'nowhere'
    elif damage == 'empty':
        folder = folder / 'empty'
        folder.mkdir()
    elif damage == 'intrinsics':
        (folder / 'camera-intrinsics.txt').write_text('1 2 3')
    else:
        for path in folder.glob('*.pose.txt'):
            path.unlink()
    with pytest.raises(ValueError, match='expected'):
        RgbdFolder(folder)


def test_broken_picture_is_named(folder: Path) -> None:
    (folder / 'frame-000010.color.png').write_bytes(b'no picture')
    frames = RgbdFolder(folder)
    with pytest.raises(ValueError, match=r'frame-000010\.color\.png'):
        frames[1]


@pytest.mark.requires_data
@pytest.mark.skipif(not REDKITCHEN.is_dir(), reason='../shared/data/redkitchen is absent')
def test_real_kitchen() -> None:
    frames = RgbdFolder(REDKITCHEN, downscale=2)
    assert len(frames) == 100
    frame = frames[50]
    assert frame.image.shape == (240, 320, 3)
    assert 0.3 < np.isfinite(frame.depth).mean() <= 1.0
    assert 0.4 < np.nanmedian(frame.depth) < 5.0
    assert frame.stamp_ns == round(500 / 30 * 1e9)
