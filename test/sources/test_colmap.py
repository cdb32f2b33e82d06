"""COLMAP models written here, as text and as binary, and read back."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerf_ros.geometry import inverse_transform, look_at, quaternion_from_rotation
from lerf_ros.sources.colmap import ColmapFolder

POSES = [look_at(np.array([2.0, i, 1.0]), np.zeros(3)) for i in range(3)]
CAMERA = (1, 4, 'OPENCV', 64, 48, (50.0, 52.0, 32.0, 24.0, 0.0, 0.0, 0.0, 0.0))
NAMES = ('b/1.png', 'b/2.png', 'a.png')


def entries():
    for number, (name, pose) in enumerate(zip(NAMES, POSES, strict=True), start=1):
        world_to_camera = inverse_transform(pose)
        x, y, z, w = quaternion_from_rotation(world_to_camera[:3, :3])
        yield number, (w, x, y, z, *world_to_camera[:3, 3]), name


def write_pictures(folder: Path) -> None:
    for value, name in enumerate(NAMES):
        path = folder / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((48, 64, 3), 40 * value, np.uint8))


def write_text(folder: Path, camera=CAMERA) -> None:
    model = folder / 'sparse' / '0'
    model.mkdir(parents=True)
    number, _, name, width, height, values = camera
    numbers = ' '.join(map(str, values))
    (model / 'cameras.txt').write_text(f'# note\n{number} {name} {width} {height} {numbers}\n')
    lines = ['# note']
    for image, pose, path in entries():
        lines += [f'{image} {" ".join(map(repr, map(float, pose)))} 1 {path}', '1.0 2.0 -1']
    (model / 'images.txt').write_text('\n'.join(lines) + '\n')


def write_binary(folder: Path, model_number: int = 4) -> None:
    model = folder / 'sparse' / '0'
    model.mkdir(parents=True)
    number, _, _, width, height, values = CAMERA
    head = struct.pack('<QiiQQ', 1, number, model_number, width, height)
    (model / 'cameras.bin').write_bytes(head + struct.pack('<8d', *values))
    data = struct.pack('<Q', len(NAMES))
    for image, pose, path in entries():
        data += struct.pack('<i7di', image, *pose, 1) + path.encode() + b'\0'
        data += struct.pack('<Qddq', 1, 3.0, 4.0, -1)
    (model / 'images.bin').write_bytes(data)


@pytest.mark.parametrize('write', [write_text, write_binary])
def test_models_are_read(tmp_path: Path, write) -> None:
    write_pictures(tmp_path)
    write(tmp_path)
    frames = ColmapFolder(tmp_path, downscale=2)
    assert [path.name for path in frames.paths] == ['a.png', '1.png', '2.png']
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [80, 0, 40]
    assert frames[1].camera_to_world == pytest.approx(POSES[0])
    assert frames[0].camera_to_world == pytest.approx(POSES[2])
    assert (frames[0].camera.fx, frames[0].camera.fy, frames[0].camera.cx) == (25.0, 26.0, 16.0)
    assert frames[0].image.shape == (24, 32, 3)
    assert [frame.stamp_ns for frame in frames[:2]] == [0, 10**8]


def test_radial_distortion_is_taken_out(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    write_text(tmp_path, (1, 2, 'SIMPLE_RADIAL', 64, 48, (50.0, 32.0, 24.0, -0.2)))
    frame = ColmapFolder(tmp_path)[0]
    # The left border lies at r (1 - 0.2 r^2) = 32 / 50, so at r = 0.704 once straightened.
    assert frame.camera.fx == pytest.approx(32 / 0.704, abs=0.6)
    assert frame.image.min() == frame.image.max() == 80


def test_absent_pictures_are_left_out(tmp_path: Path, caplog) -> None:
    write_pictures(tmp_path)
    write_text(tmp_path)
    (tmp_path / 'images' / 'a.png').unlink()
    with caplog.at_level(logging.WARNING):
        assert len(ColmapFolder(tmp_path)) == 2
    assert len(caplog.records) == 1


def test_bad_models_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='COLMAP model'):
        ColmapFolder(tmp_path)
    write_text(tmp_path / 'text')
    with pytest.raises(ValueError, match='no frame can be used: a'):
        ColmapFolder(tmp_path / 'text')
    write_binary(tmp_path / 'fov', model_number=7)
    with pytest.raises(ValueError, match='camera model'):
        ColmapFolder(tmp_path / 'fov')
    write_binary(tmp_path / 'cut')
    path = tmp_path / 'cut' / 'sparse' / '0' / 'images.bin'
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match='COLMAP model'):
        ColmapFolder(tmp_path / 'cut')
