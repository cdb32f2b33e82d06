"""nerfstudio folders: axes, distortion, splits and what is left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.geometry import look_at
from lerf_ros.sources.nerfstudio import NerfstudioFolder

FOX = Path(__file__).parents[3] / 'shared' / 'data' / 'fox'
DISTORTION = {'k1': -0.2, 'k2': 0.05, 'p1': 0.002, 'p2': -0.001}
CAMERA = {'fl_x': 100.0, 'fl_y': 100.0, 'cx': 80.0, 'cy': 60.0, 'w': 160, 'h': 120}


def write_folder(folder: Path, count: int = 4, **extra) -> dict:
    frames = []
    (folder / 'images').mkdir(exist_ok=True)
    for index in range(count):
        image = np.full((120, 160, 3), 20 * index, dtype=np.uint8)
        cv2.imwrite(str(folder / 'images' / f'{index}.png'), image)
        pose = look_at(np.array([2.0, index, 1.0]), np.zeros(3)) @ np.diag([1.0, -1, -1, 1])
        frames.append({'file_path': f'images/{index}.png', 'transform_matrix': pose.tolist()})
    content = {**CAMERA, 'frames': frames, **extra}
    (folder / 'transforms.json').write_text(json.dumps(content))
    return content


def test_axes_become_optical(tmp_path: Path) -> None:
    write_folder(tmp_path)
    frame = NerfstudioFolder(tmp_path)[2]
    assert frame.camera_to_world == pytest.approx(look_at(np.array([2.0, 2, 1]), np.zeros(3)))
    assert frame.image[0, 0, 0] == 40
    assert frame.depth is None


def test_distortion_is_taken_out(tmp_path: Path) -> None:
    # Dots are drawn where a distorted camera sees known points; after reading, the pinhole
    # camera must see them where it should.
    write_folder(tmp_path, count=1, **DISTORTION)
    points = np.array([[-0.5, -0.3, 1.0], [0.55, 0.4, 1.0], [0.0, 0.0, 1.0], [0.5, -0.35, 1.0]])
    matrix = np.array([[100.0, 0, 79.5], [0, 100.0, 59.5], [0, 0, 1]])
    pixels, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), matrix, np.array(list(DISTORTION.values()))
    )
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    v, u = np.mgrid[:120, :160]
    for x, y in pixels[:, 0]:
        spot = 255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 1.5**2))
        image = np.maximum(image, spot[..., None].astype(np.uint8))
    cv2.imwrite(str(tmp_path / 'images' / '0.png'), image)
    frame = NerfstudioFolder(tmp_path)[0]
    camera = frame.camera
    for point in points:
        u0 = camera.fx * point[0] + camera.cx
        v0 = camera.fy * point[1] + camera.cy
        near = (u + 0.5 - u0) ** 2 + (v + 0.5 - v0) ** 2 < 36
        weight = frame.image[..., 0] * near
        assert (weight * (u + 0.5)).sum() / weight.sum() == pytest.approx(u0, abs=0.3)
        assert (weight * (v + 0.5)).sum() / weight.sum() == pytest.approx(v0, abs=0.3)
    # Labels drawn on the stored picture move with its pixels.
    moved = NerfstudioFolder(tmp_path, downscale=2).to_frame_pixels(0, pixels[:, 0] + 0.5)
    expected = points[:, :2] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    assert moved == pytest.approx(expected / 2, abs=0.05)


def test_no_empty_border_after_undistortion(tmp_path: Path) -> None:
    write_folder(tmp_path, count=2, **DISTORTION)
    cv2.imwrite(str(tmp_path / 'images' / '0.png'), np.full((120, 160, 3), 200, dtype=np.uint8))
    assert NerfstudioFolder(tmp_path)[0].image.min() == 200


def test_missing_pictures_and_bent_poses_are_left_out(tmp_path: Path, caplog) -> None:
    content = write_folder(tmp_path)
    (tmp_path / 'images' / '1.png').unlink()
    content['frames'][3]['transform_matrix'][0][0] = float('nan')
    (tmp_path / 'transforms.json').write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        frames = NerfstudioFolder(tmp_path)
    assert [path.name for path in frames.paths] == ['0.png', '2.png']
    assert len(caplog.records) == 2
    assert 'images/1.png' in caplog.records[0].getMessage()


def test_splits_share_nothing_and_cover_all(tmp_path: Path) -> None:
    write_folder(tmp_path, count=9)
    train = NerfstudioFolder(tmp_path, split='train', hold_out_every=4)
    test = NerfstudioFolder(tmp_path, split='test', hold_out_every=4)
    assert [path.stem for path in test.paths] == ['0', '4', '8']
    assert len(train) + len(test) == 9
    assert test[1].image[0, 0, 0] == 80
    assert not set(train.paths) & set(test.paths)


def test_split_named_by_the_file(tmp_path: Path) -> None:
    write_folder(tmp_path, test_filenames=['images/3.png'])
    assert [path.stem for path in NerfstudioFolder(tmp_path, split='test').paths] == ['3']


def test_frame_intrinsics_go_before_the_files(tmp_path: Path) -> None:
    content = write_folder(tmp_path)
    content['frames'][1]['fl_x'] = 50.0
    (tmp_path / 'transforms.json').write_text(json.dumps(content))
    frames = NerfstudioFolder(tmp_path, downscale=2)
    assert [frame.camera.fx for frame in frames] == [50.0, 25.0, 50.0, 50.0]
    assert frames[0].image.shape == (60, 80, 3)


def test_depth_pictures(tmp_path: Path) -> None:
    content = write_folder(tmp_path)
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((120, 160), 2000, dtype=np.uint16))
    content['frames'][0]['depth_file_path'] = 'depth.png'
    (tmp_path / 'transforms.json').write_text(json.dumps(content))
    depth = NerfstudioFolder(tmp_path)[0].depth
    assert depth is not None
    assert depth == pytest.approx(2.0)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'frames': None}, 'frames'),
        ({'camera_model': 'EQUIRECTANGULAR'}, 'camera_model'),
        ({'frames': []}, 'no frame'),
        ({'fl_x': -1.0}, 'focal'),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, change: dict, words: str) -> None:
    content = write_folder(tmp_path)
    (tmp_path / 'transforms.json').write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=words):
        NerfstudioFolder(tmp_path)


def test_absent_file_and_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='transforms'):
        NerfstudioFolder(tmp_path)
    write_folder(tmp_path)
    with pytest.raises(ValueError, match='split'):
        NerfstudioFolder(tmp_path, split='validation')


def test_picture_of_another_size_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    cv2.imwrite(str(tmp_path / 'images' / '2.png'), np.zeros((10, 10, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r'2\.png: expected 160x120'):
        NerfstudioFolder(tmp_path)[2]


@pytest.mark.requires_data
@pytest.mark.skipif(not FOX.is_dir(), reason='../shared/data/fox is absent')
def test_real_fox(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        frames = NerfstudioFolder(FOX, downscale=4)
    assert len(frames) == 50
    assert len(caplog.records) == 17
    assert frames[0].image.shape == (240, 135, 3)
    # All cameras look at the fox: their optical axes nearly meet in one point.
    origins = np.array([frame.camera_to_world[:3, 3] for frame in frames])
    axes = np.array([frame.camera_to_world[:3, 2] for frame in frames])
    planes = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    meeting = np.linalg.solve(planes.sum(0), np.einsum('nij,nj->i', planes, origins))
    assert (np.einsum('ni,ni->n', meeting - origins, axes) > 0).all()
