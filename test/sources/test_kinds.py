"""What users met: each kind of trouble made anew from plain pictures, and what is right."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bags
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from lerf_ros.geometry import look_at
from lerf_ros.sources.bag import Bag
from lerf_ros.sources.detection import SourceOptions, kind_of, open_recording, open_stream
from lerf_ros.sources.inspection import inspect
from lerf_ros.sources.nerfstudio import NerfstudioFolder
from lerf_ros.sources.rgbd import RgbdFolder

OPENGL = np.diag([1.0, -1, -1, 1])
NUMBERS = {'fl_x': 30.0, 'fl_y': 31.0, 'cx': 16.0, 'cy': 12.0, 'w': 32, 'h': 24}


def pose(index: int) -> np.ndarray:
    return look_at(np.array([1.0 + 0.1 * index, 0.5, 1.0]), np.zeros(3))


def picture(index: int = 0, height: int = 24, width: int = 32) -> np.ndarray:
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([7 * u % 256, 9 * v % 256, (u + v + 40 * index) % 256], -1).astype(np.uint8)


def depth(height: int = 24, width: int = 32, value: int = 1500) -> np.ndarray:
    return np.full((height, width), value, np.uint16)


def nerfstudio(folder: Path, count: int = 3, **extra: Any) -> dict[str, Any]:
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    frames = []
    for index in range(count):
        cv2.imwrite(str(folder / 'images' / f'{index}.jpg'), picture(index))
        matrix = (pose(index) @ OPENGL).tolist()
        frames.append({'file_path': f'images/{index}.jpg', 'transform_matrix': matrix})
    content = {**NUMBERS, 'frames': frames, **extra}
    save(folder, content)
    return content


def save(folder: Path, content: dict[str, Any], encoding: str = 'utf-8') -> None:
    (folder / 'transforms.json').write_text(json.dumps(content), encoding=encoding)


def rgbd(folder: Path, count: int = 3, value: int = 1500) -> None:
    np.savetxt(folder / 'camera-intrinsics.txt', [[30.0, 0, 16], [0, 31.0, 12], [0, 0, 1]])
    for index in range(count):
        name = str(folder / f'frame-{index:06d}')
        cv2.imwrite(f'{name}.color.png', picture(index))
        cv2.imwrite(f'{name}.depth.png', depth(value=value))
        np.savetxt(f'{name}.pose.txt', pose(index))


# Depth of another size than the colour.


@pytest.mark.parametrize('distortion', [{}, {'k1': 0.06, 'k2': -0.08}])
@pytest.mark.parametrize('downscale', [1, 2, 4])
def test_small_depth_is_fitted_before_anything_else(
    tmp_path: Path, distortion: dict[str, float], downscale: int
) -> None:
    content = nerfstudio(tmp_path, **distortion)
    small = depth(12, 16)
    small[:, 8:] = 2500
    cv2.imwrite(str(tmp_path / 'depth.png'), small)
    for entry in content['frames']:
        entry['depth_file_path'] = 'depth.png'
    save(tmp_path, content)
    frame = NerfstudioFolder(tmp_path, downscale=downscale)[0]
    assert frame.depth is not None
    assert frame.depth.shape == (24 // downscale, 32 // downscale)
    known = frame.depth[np.isfinite(frame.depth)]
    assert {round(float(x), 4) for x in known} == {1.5, 2.5}
    middle = frame.depth.shape[1] // 2
    assert frame.depth[3, middle - 2] == pytest.approx(1.5)
    assert frame.depth[3, middle + 1] == pytest.approx(2.5)


def test_depth_that_is_no_multiple_costs_the_depth_only(tmp_path: Path) -> None:
    rgbd(tmp_path)
    cv2.imwrite(str(tmp_path / 'frame-000001.depth.png'), depth(20, 32))
    found = inspect(tmp_path)
    assert (found.frames, found.with_depth) == (3, 2)
    assert any('frame-000001' in w and 'multiple' in w for w in found.warnings)


def test_intrinsics_of_other_pictures_are_refused(tmp_path: Path) -> None:
    rgbd(tmp_path)
    np.savetxt(tmp_path / 'camera-intrinsics.txt', [[60.0, 0, 32], [0, 62.0, 24], [0, 0, 1]])
    with pytest.raises(ValueError, match='expected intrinsics of pictures of 32x24'):
        RgbdFolder(tmp_path)


# Keys that change the meaning of a file.


def test_is_fisheye_is_heeded(tmp_path: Path) -> None:
    nerfstudio(tmp_path, is_fisheye=True, k1=0.2, k2=0.05)
    plain = tmp_path / 'model'
    nerfstudio(plain, camera_model='OPENCV_FISHEYE', k1=0.2, k2=0.05)
    fisheye, named = NerfstudioFolder(tmp_path)[0], NerfstudioFolder(plain)[0]
    np.testing.assert_array_equal(fisheye.image, named.image)
    assert fisheye.camera == named.camera
    nerfstudio(tmp_path / 'other', k1=0.2, k2=0.05)
    assert NerfstudioFolder(tmp_path / 'other')[0].camera != fisheye.camera


def test_masks_hide(tmp_path: Path) -> None:
    content = nerfstudio(tmp_path, count=4)
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 16:] = 255
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)
    cv2.imwrite(str(tmp_path / 'depth.png'), depth())
    content['frames'][0] |= {'mask_path': 'mask.png', 'depth_file_path': 'depth.png'}
    # instant-ngp: what is white hides, and the picture is found by its name.
    cv2.imwrite(str(tmp_path / 'images' / 'dynamic_mask_1.png'), mask)
    clear = np.dstack([picture(2), mask])
    cv2.imwrite(str(tmp_path / 'images' / '2.png'), clear)
    content['frames'][2]['file_path'] = 'images/2.png'
    save(tmp_path, content)
    frames = NerfstudioFolder(tmp_path)
    for index, left, right in ((0, False, True), (1, True, False), (2, False, True)):
        visible = frames[index].visible
        assert visible is not None
        assert (visible[:, :16] == left).all()
        assert (visible[:, 16:] == right).all()
    assert frames[3].visible is None
    hidden = frames[0].depth
    assert hidden is not None
    assert np.isnan(hidden[:, :16]).all()
    assert np.isfinite(hidden[:, 16:]).all()
    small = NerfstudioFolder(tmp_path, downscale=2)[0].visible
    assert small is not None
    assert small[:, 8:].all()
    assert not small[:, :8].any()


def test_names_in_lists_are_those_of_the_frames_however_spelled(tmp_path: Path) -> None:
    nerfstudio(
        tmp_path,
        count=6,
        test_filenames=['./images/0.jpg', 'images\\4.jpg'],
        val_filenames=['images/5.jpg'],
    )
    stems = {
        split: [path.stem for path in NerfstudioFolder(tmp_path, split=split).paths]
        for split in ('train', 'val', 'test')
    }
    assert stems == {'train': ['1', '2', '3'], 'val': ['5'], 'test': ['0', '4']}


def test_keys_that_are_not_followed_are_named(tmp_path: Path) -> None:
    nerfstudio(tmp_path, aabb_scale=16, applied_scale=0.5, shutter_lines=3)
    warnings = inspect(tmp_path).warnings
    assert any('applied_scale' in w for w in warnings)
    assert any('shutter_lines' in w for w in warnings)
    assert not any('aabb_scale' in w for w in warnings)


# One bad item costs one frame.


def break_pose(folder: Path, content: dict[str, Any]) -> None:
    content['frames'][1]['transform_matrix'][0][3] = float('nan')


def drop_numbers(folder: Path, content: dict[str, Any]) -> None:
    for entry in content['frames']:
        entry |= {key: content[key] for key in NUMBERS}
    for key in NUMBERS:
        del content[key], content['frames'][1][key]


def empty_picture(folder: Path, content: dict[str, Any]) -> None:
    (folder / 'images' / '1.jpg').write_bytes(b'')


def cut_picture(folder: Path, content: dict[str, Any]) -> None:
    path = folder / 'images' / '1.jpg'
    path.write_bytes(path.read_bytes()[:300])


def no_name(folder: Path, content: dict[str, Any]) -> None:
    del content['frames'][1]['file_path']


def no_entry(folder: Path, content: dict[str, Any]) -> None:
    content['frames'][1] = None


@pytest.mark.parametrize(
    ('damage', 'words'),
    [
        (break_pose, 'finite'),
        (drop_numbers, 'fl_x'),
        (empty_picture, 'empty'),
        (cut_picture, 'cut off'),
        (no_name, 'file_path'),
        (no_entry, 'NoneType'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_one_bad_item_costs_one_frame(tmp_path: Path, damage: Callable, words: str) -> None:
    content = nerfstudio(tmp_path)
    damage(tmp_path, content)
    save(tmp_path, content)
    found = inspect(tmp_path)
    assert found.frames == 2
    ((name, reason),) = found.left_out.items()
    assert name in ('images/1.jpg', 'entry 1')
    assert words in reason


def test_null_is_as_if_it_were_not_said(tmp_path: Path) -> None:
    content = nerfstudio(tmp_path)
    content['frames'][1]['k1'] = None
    save(tmp_path, content)
    found = inspect(tmp_path)
    assert found.frames == 3
    assert any('k1' in warning and 'null' in warning for warning in found.warnings)


@pytest.mark.parametrize('damage', ['absent', 'cut', 'text'])
def test_broken_depth_keeps_the_colour(tmp_path: Path, damage: str) -> None:
    rgbd(tmp_path)
    path = tmp_path / 'frame-000001.depth.png'
    if damage == 'absent':
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:60] if damage == 'cut' else b'no picture')
    found = inspect(tmp_path)
    assert (found.frames, found.with_depth, found.left_out) == (3, 2, {})
    assert sum('frame-000001' in warning for warning in found.warnings) == 1


def test_a_mirrored_pose_is_named_first(tmp_path: Path) -> None:
    content = nerfstudio(tmp_path)
    for entry in content['frames']:
        matrix = np.array(entry['transform_matrix']) @ np.diag([-1.0, 1, 1, 1])
        entry['transform_matrix'] = matrix.tolist()
    save(tmp_path, content)
    found = inspect(tmp_path)
    assert found.frames == 0
    assert 'pose of frame images/0.jpg mirrors space' in found.left_out['images/0.jpg']
    with pytest.raises(ValueError, match='mirrors space'):
        NerfstudioFolder(tmp_path)


# Names and paths.


def test_both_separators_a_mark_and_any_case_of_an_ending(tmp_path: Path) -> None:
    content = nerfstudio(tmp_path)
    (tmp_path / 'images' / '1.jpg').rename(tmp_path / 'images' / '1.JPG')
    (tmp_path / 'images' / '2.jpg').rename(tmp_path / 'images' / '2.JPEG')
    for entry, name in zip(
        content['frames'], ('images\\0.jpg', 'images/1.jpg', 'images/2'), strict=True
    ):
        entry['file_path'] = name
    save(tmp_path, content, 'utf-8-sig')
    assert inspect(tmp_path).frames == 3


# Metadata believed without a look.


def test_a_wrong_depth_unit_is_told_and_can_be_given(tmp_path: Path) -> None:
    rgbd(tmp_path, value=9000)
    found = inspect(tmp_path)
    assert any('depth unit' in warning and '0.0002' in warning for warning in found.warnings)
    mended = inspect(tmp_path, SourceOptions(depth_unit_m=1 / 5000))
    assert mended.figures()['depth_median_m'] == pytest.approx(1.8)
    assert not mended.warnings


def test_a_principal_point_far_from_the_middle_is_told(tmp_path: Path) -> None:
    nerfstudio(tmp_path, cx=25.0)
    assert any('principal point' in warning for warning in inspect(tmp_path).warnings)


# The layouts of RGB-D data sets.


def test_the_layout_of_tum(tmp_path: Path) -> None:
    lines: dict[str, list[str]] = {'rgb': [], 'depth': [], 'groundtruth': ['# t x y z ...']}
    for kind in ('rgb', 'depth'):
        (tmp_path / kind).mkdir()
    for index in range(3):
        time_s = 100 + index / 30
        cv2.imwrite(str(tmp_path / 'rgb' / f'{index}.png'), picture(index))
        cv2.imwrite(str(tmp_path / 'depth' / f'{index}.png'), depth(value=5000))
        lines['rgb'].append(f'{time_s:.6f} rgb/{index}.png')
        lines['depth'].append(f'{time_s + 0.006:.6f} depth/{index}.png')
        lines['groundtruth'].append(f'{time_s + 0.003:.6f} {index} 0 0 0 0 0 1')
    lines['rgb'].append('200.0 rgb/0.png')
    for kind, text in lines.items():
        (tmp_path / f'{kind}.txt').write_text('\n'.join(text) + '\n')
    found = inspect(tmp_path)
    figures = found.figures()
    assert (found.kind, found.frames) == ('rgbd', 3)
    assert figures['position_m'] == [0, 0, 0]
    assert figures['depth_median_m'] == pytest.approx(1.0)
    assert (figures['fx'], figures['cx']) == (pytest.approx(525 / 20), 16)
    assert list(found.left_out.values()) == ['no pose within 0.02 s in groundtruth.txt']
    given = inspect(tmp_path, SourceOptions(intrinsics=(30.0, 31.0, 16.0, 12.0)))
    assert given.figures()['fx'] == 30.0


def test_the_layout_of_scannet_resamples_colour_to_depth(tmp_path: Path) -> None:
    for name in ('color', 'depth', 'pose', 'intrinsic'):
        (tmp_path / name).mkdir()
    # The colour camera sees the same with 2.5 times the focal length and another middle.
    cameras = {'color': (75.0, 40.0, 30.0), 'depth': (30.0, 15.5, 11.5)}
    for camera, (focal, cx, cy) in cameras.items():
        matrix = np.eye(4)
        matrix[0, 0] = matrix[1, 1] = focal
        matrix[:2, 2] = cx, cy
        np.savetxt(tmp_path / 'intrinsic' / f'intrinsic_{camera}.txt', matrix)
    wide = np.zeros((60, 80, 3), np.uint8)
    wide[:, 40:] = 255
    for index in (0, 2, 10):
        cv2.imwrite(str(tmp_path / 'color' / f'{index}.jpg'), wide)
        cv2.imwrite(str(tmp_path / 'depth' / f'{index}.png'), depth())
        lost = np.full((4, 4), -np.inf)
        np.savetxt(tmp_path / 'pose' / f'{index}.txt', lost if index == 2 else pose(index))
    found = inspect(tmp_path)
    assert (found.frames, list(found.left_out)) == (2, ['2'])
    assert found.first is not None
    assert (found.first.camera.fx, found.first.camera.cx) == (30.0, 16.0)
    assert found.first.image[12, 14].max() < 20
    assert found.first.image[12, 17].min() > 235
    assert found.figures()['depth_median_m'] == pytest.approx(1.5)


def test_the_layout_of_replica(tmp_path: Path) -> None:
    (tmp_path / 'results').mkdir()
    camera = {'w': 32, 'h': 24, 'fx': 30.0, 'fy': 31.0, 'cx': 15.5, 'cy': 11.5, 'scale': 6553.5}
    (tmp_path / 'cam_params.json').write_text(json.dumps({'camera': camera}))
    for index in range(3):
        cv2.imwrite(str(tmp_path / 'results' / f'frame{index:06d}.jpg'), picture(index))
        cv2.imwrite(str(tmp_path / 'results' / f'depth{index:06d}.png'), depth(value=13107))
    lines = [' '.join(map(str, pose(index).reshape(-1))) for index in range(2)]
    (tmp_path / 'traj.txt').write_text('\n'.join(lines) + '\n')
    found = inspect(tmp_path)
    assert found.frames == 2
    assert 'traj.txt' in found.left_out['frame000002']
    figures = found.figures()
    assert figures['depth_median_m'] == pytest.approx(2.0)
    assert (figures['cx'], figures['cy']) == (16.0, 12.0)


# Bags: the same as what a node hears.

COLOUR = np.zeros((12, 16, 3), np.uint8)
COLOUR[:] = (200, 100, 50)
MM = np.full((12, 16), 1500, np.uint16)


def recorded(
    image: Callable = lambda stamp_ns: bags.image(stamp_ns, COLOUR, 'rgb8'),
    info: Callable = bags.info,
    pose_message: Callable = bags.stamped_pose,
    depth: Callable | None = None,
    count: int = 3,
) -> Iterator[tuple[str, int, Any]]:
    for index in range(count):
        stamp_ns = 10**9 + index * 10**8
        yield '/camera/camera_info', stamp_ns, info(stamp_ns)
        yield '/camera/image', stamp_ns, image(stamp_ns)
        if depth is not None:
            yield '/depth', stamp_ns + 10**7, depth(stamp_ns)
        yield '/pose', stamp_ns + 2 * 10**7, pose_message(stamp_ns, pose(index))


def bag_of(path: Path, messages: Any) -> Path:
    return bags.write(path / 'bag', list(messages), StoragePlugin.MCAP)


@pytest.mark.parametrize('message', [bags.odometry, bags.with_covariance, bags.stamped_pose])
def test_every_pose_topic(tmp_path: Path, message: Callable) -> None:
    found = inspect(bag_of(tmp_path, recorded(pose_message=message)))
    assert (found.kind, found.frames) == ('bag', 3)
    assert found.figures()['position_m'] == pytest.approx([1.0, 0.5, 1.0])
    assumed = [warning for warning in found.warnings if 'extrinsic' in warning]
    assert len(assumed) == (message is bags.odometry)


def test_odometry_with_the_cameras_mounting(tmp_path: Path) -> None:
    mounting = np.eye(4)
    mounting[:3, 3] = 0.1, 0.2, 0.3
    static = [('/tf_static', 2 * 10**9, bags.tf(0, 'base_link', 'camera', mounting))]
    path = bag_of(tmp_path, [*recorded(pose_message=bags.odometry), *static])
    expected = (pose(0) @ mounting)[:3, 3]
    np.testing.assert_allclose(next(iter(Bag(path))).camera_to_world[:3, 3], expected)
    folder = tmp_path / 'given'
    folder.mkdir()
    given = bag_of(folder, recorded(pose_message=bags.odometry))
    options = SourceOptions(extrinsic=(0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 1.0))
    np.testing.assert_allclose(inspect(given, options).figures()['position_m'], expected)


def test_a_refused_quaternion_costs_its_frame(tmp_path: Path) -> None:
    def bad(stamp_ns: int, matrix: np.ndarray) -> Any:
        message = bags.stamped_pose(stamp_ns, matrix)
        if stamp_ns == 11 * 10**8:
            message.pose.orientation.w = message.pose.orientation.x = 0.0
            message.pose.orientation.y = message.pose.orientation.z = 0.0
        return message

    found = inspect(bag_of(tmp_path, recorded(pose_message=bad)))
    assert found.frames == 2
    assert 'unit length' in found.left_out['/camera/image at 1.100 s']


def test_a_bad_transform_of_another_frame_costs_nothing(tmp_path: Path) -> None:
    bad = bags.tf(0, 'base', 'wheel', np.eye(4))
    bad.transforms[0].transform.rotation.w = 0.0
    messages = [m for m in recorded() if m[0] != '/pose']
    moving = [('/tf', 10**9, bags.tf(10**9, 'map', 'camera', pose(0))), ('/tf', 10**9, bad)]
    later = [('/tf', 2 * 10**9, bags.tf(13 * 10**8, 'map', 'camera', pose(1)))]
    found = inspect(bag_of(tmp_path, [*moving, *messages, *later]))
    assert found.frames == 3
    assert sum("'wheel'" in warning for warning in found.warnings) == 1


def test_an_uncalibrated_first_info_costs_the_first_frame(tmp_path: Path) -> None:
    def info(stamp_ns: int) -> Any:
        return bags.info(stamp_ns, k=np.zeros(9)) if stamp_ns == 10**9 else bags.info(stamp_ns)

    found = inspect(bag_of(tmp_path, recorded(info=info)))
    assert found.frames == 2
    assert 'uncalibrated' in found.left_out['/camera/image at 1.000 s']


def test_stamps_that_start_again(tmp_path: Path) -> None:
    messages = []
    for session, shift in enumerate((0.0, 5.0)):
        for topic, recorded_ns, message in recorded():
            if topic == '/pose':
                message.pose.position.x += shift
            messages.append((topic, recorded_ns + session * 10**10, message))
    frames = list(Bag(bag_of(tmp_path, messages)))
    found = [frame.camera_to_world[0, 3] for frame in frames]
    assert found == pytest.approx([1.0, 1.1, 1.2, 6.0, 6.1, 6.2])


def test_an_empty_picture_costs_its_frame(tmp_path: Path) -> None:
    def image(stamp_ns: int) -> Any:
        message = bags.compressed(stamp_ns, COLOUR, 'jpg')
        if stamp_ns == 12 * 10**8:
            message.data = np.zeros(0, np.uint8)
        return message

    found = inspect(bag_of(tmp_path, recorded(image=image)))
    assert (found.frames, list(found.left_out)) == (2, ['/camera/image at 1.200 s'])


def test_depth_of_a_wrong_type_keeps_the_colour(tmp_path: Path) -> None:
    def bad(stamp_ns: int) -> Any:
        return bags.image(stamp_ns, MM.astype(np.uint8), '8UC1')

    found = inspect(bag_of(tmp_path, recorded(depth=bad)))
    assert (found.frames, found.with_depth) == (3, 0)
    assert sum('8UC1' in warning for warning in found.warnings) == 3


def test_compressed_depth_in_a_bag(tmp_path: Path) -> None:
    def packed(stamp_ns: int) -> Any:
        message = bags.compressed(stamp_ns, MM)
        message.data = np.concatenate([np.zeros(12, np.uint8), message.data])
        message.format = '16UC1; compressedDepth png'
        return message

    figures = inspect(bag_of(tmp_path, recorded(depth=packed))).figures()
    assert figures['depth_median_m'] == pytest.approx(1.5)


def test_binning_and_window_in_a_bag(tmp_path: Path) -> None:
    roi = bags.make(
        'sensor_msgs/msg/RegionOfInterest',
        x_offset=8,
        y_offset=6,
        height=24,
        width=32,
        do_rectify=False,
    )
    k = np.array([40.0, 0, 23.5, 0, 42.0, 17.5, 0, 0, 1])
    p = np.array([40.0, 0, 23.5, 0, 0, 42.0, 17.5, 0, 0, 0, 1, 0])

    def info(stamp_ns: int) -> Any:
        changes = {'width': 48, 'height': 36, 'k': k, 'p': p, 'binning_x': 2, 'binning_y': 2}
        return bags.info(stamp_ns, roi=roi, **changes)

    figures = inspect(bag_of(tmp_path, recorded(info=info))).figures()
    assert (figures['width'], figures['height'], figures['fx']) == (16, 12, 20.0)
    assert (figures['cx'], figures['cy']) == (8.0, 6.0)


@pytest.mark.parametrize(
    ('encoding', 'values'),
    [
        ('yuv422_yuy2', np.tile(np.array([[81, 90], [81, 240]], np.uint8), (12, 8, 1))),
        ('uyvy', np.tile(np.array([[90, 81], [240, 81]], np.uint8), (12, 8, 1))),
        ('bayer_rggb8', np.tile(np.array([[254, 0], [0, 0]], np.uint8), (6, 8))),
    ],
)
def test_every_encoding_of_a_camera_is_read_from_a_bag(
    tmp_path: Path, encoding: str, values: np.ndarray
) -> None:
    path = bag_of(tmp_path, recorded(image=lambda ns: bags.image(ns, values, encoding)))
    image = next(iter(Bag(path))).image
    assert np.abs(image[4:8, 4:12].astype(int) - (254, 0, 0)).max() <= 3


def test_equidistant_in_a_bag(tmp_path: Path) -> None:
    def info(stamp_ns: int) -> Any:
        return bags.info(stamp_ns, (0.01, 0.002, 0, 0), distortion_model='equidistant')

    found = inspect(bag_of(tmp_path, recorded(info=info)))
    assert (found.frames, found.figures()['fx']) == (3, 20.0)


def test_one_lone_camera_info_holds_for_all(tmp_path: Path) -> None:
    messages = [m for m in recorded(count=4) if m[0] != '/camera/camera_info']
    lone = [('/camera/camera_info', 0, bags.info(0))]
    assert inspect(bag_of(tmp_path, [*lone, *messages])).frames == 4


# Recorders that died.


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_bag_without_metadata(tmp_path: Path, plugin: StoragePlugin) -> None:
    path = bags.write(tmp_path / 'bag', list(recorded()), plugin)
    (path / 'metadata.yaml').unlink()
    assert kind_of(path) == 'bag'
    found = inspect(path)
    assert found.frames == 3
    assert any('mends' in warning for warning in found.warnings)


def test_an_mcap_that_was_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    path = bag_of(tmp_path, recorded(count=8))
    (file,) = path.glob('*.mcap')
    whole = file.read_bytes()
    counts = []
    for share in (0.9, 0.6, 0.3):
        file.write_bytes(whole[: int(len(whole) * share)])
        counts.append(inspect(path).frames)
    assert 8 >= counts[0] > counts[1] > counts[2] >= 1


def test_a_bag_of_rubbish_says_so(tmp_path: Path) -> None:
    (tmp_path / 'a.mcap').write_bytes(b'no bag at all')
    with pytest.raises(ValueError, match='expected a bag'):
        inspect(tmp_path / 'a.mcap')


# Kinds.


def test_kinds_are_detected_and_can_be_forced(tmp_path: Path) -> None:
    for name, make in (('rgbd', rgbd), ('nerfstudio', nerfstudio)):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
        assert kind_of(tmp_path / name) == name
        assert len(open_recording(tmp_path / name, SourceOptions(kind=name))) == 3
    with pytest.raises(ValueError, match='COLMAP model'):
        open_recording(tmp_path / 'rgbd', SourceOptions(kind='colmap'))
    (tmp_path / 'empty').mkdir()
    for path, words in ((tmp_path / 'empty', 'an empty folder'), (tmp_path / 'no', 'nothing')):
        with pytest.raises(ValueError, match=words):
            kind_of(path)
    with pytest.raises(ValueError, match='format'):
        SourceOptions(kind='video')


def test_photographs_are_no_stream(tmp_path: Path) -> None:
    for name, make in (('rgbd', rgbd), ('nerfstudio', nerfstudio)):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    assert len(open_stream(tmp_path / 'rgbd').stamps_ns) == 3
    with pytest.raises(ValueError, match='expected an RGB-D folder or a bag'):
        open_stream(tmp_path / 'nerfstudio')


def test_a_bag_is_thinned_to_keyframes(tmp_path: Path) -> None:
    messages = list(itertools.chain(recorded(count=10)))
    frames = open_recording(bag_of(tmp_path, messages))
    assert 1 < len(frames) <= 10
    assert frames.stamps_ns == sorted(frames.stamps_ns)
