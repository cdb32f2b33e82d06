"""The files of public benchmarks: what is written is read, and what is wrong is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from lerf_ros.evaluation.scorers.clouds import read_pcd, read_ply, write_pcd
from lerf_ros.evaluation.scorers.label_categories import ObjectLabels
from lerf_ros.evaluation.scorers.labelled_cloud import (
    INFO,
    MESH,
    read_labelled_cloud,
    write_replica,
)
from lerf_ros.evaluation.scorers.openlex_files import (
    CATEGORIES_FILE,
    VISIBLE_FILE,
    read_openlex,
    write_openlex,
)
from lerf_ros.evaluation.scorers.task_boxes import read_task_boxes, write_task_boxes

HEADER = """ply
format {order} 1.0
comment two triangles
element vertex 4
property float x
property float y
property double z
property uchar red
property uchar green
property uchar blue
element face 2
property list uchar int vertex_indices
property short object_id
end_header
"""
VERTICES = np.array(
    [(0, 0, 0, 1, 2, 3), (1, 0, 0, 4, 5, 6), (1, 1, 0.5, 7, 8, 9), (0, 1, 0.5, 250, 0, 0)]
)


def ply(path: Path, order: str) -> Path:
    text = HEADER.format(order=order).encode()
    if order == 'ascii':
        lines = [' '.join(f'{value:g}' for value in row) for row in VERTICES]
        path.write_bytes(text + '\n'.join([*lines, '3 0 1 2 7', '3 0 2 3 -1']).encode() + b'\n')
        return path
    sign = '<' if 'little' in order else '>'
    vertices = np.array(
        [tuple(row) for row in VERTICES], f'{sign}f4, {sign}f4, {sign}f8, u1, u1, u1'
    )
    faces = np.array([(3, (0, 1, 2), 7), (3, (0, 2, 3), -1)], f'u1, ({3},){sign}i4, {sign}i2')
    path.write_bytes(text + vertices.tobytes() + faces.tobytes())
    return path


@pytest.mark.parametrize('order', ['ascii', 'binary_little_endian', 'binary_big_endian'])
def test_ply(tmp_path: Path, order: str) -> None:
    found = read_ply(ply(tmp_path / 'a.ply', order))
    assert found['vertex']['z'].tolist() == [0, 0, 0.5, 0.5]
    assert found['vertex']['red'].tolist() == [1, 4, 7, 250]
    assert found['face']['vertex_indices'].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert found['face']['object_id'].tolist() == [7, -1]
    cut = (tmp_path / 'a.ply').read_bytes()[:-6]
    (tmp_path / 'a.ply').write_bytes(cut)
    with pytest.raises(ValueError, match='expected a whole PLY file'):
        read_ply(tmp_path / 'a.ply')


def test_ply_with_several_lengths_is_refused(tmp_path: Path) -> None:
    path = ply(tmp_path / 'a.ply', 'ascii')
    path.write_text(path.read_text().replace('3 0 2 3 -1', '4 0 1 2 3 -1'))
    with pytest.raises(ValueError, match='lists of several lengths'):
        read_ply(path)
    path.write_text('solid a\n')
    with pytest.raises(ValueError, match='got something else'):
        read_ply(path)


def test_pcd(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    path = tmp_path / 'a.pcd'
    write_pcd(path, points)
    assert read_pcd(path).tolist() == points.tolist()
    head = (
        '# .PCD\nVERSION .7\nFIELDS rgb normal x y z\nSIZE 4 4 4 4 4\nTYPE F F F F F\n'
        'COUNT 1 3 1 1 1\nWIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA '
    )
    path.write_text(head + 'ascii\n0 0 0 1 1.5 2 3\n0 0 0 1 4 5 6\n')
    assert read_pcd(path).tolist() == [[1.5, 2, 3], [4, 5, 6]]
    path.write_text(head + 'binary_compressed\n')
    with pytest.raises(ValueError, match='write it as binary'):
        read_pcd(path)
    path.write_text(head + 'binary\nshort')
    with pytest.raises(ValueError, match='expected a whole PCD cloud'):
        read_pcd(path)


QUADS = np.array([[[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]], float)


def scene(folder: Path) -> Path:
    corners = QUADS + np.arange(4)[:, None, None] * np.array([3.0, 0, 0])
    names = {4: 'wall-cabinet', 6: 'mug', 9: 'mug'}
    write_replica(folder, corners, np.array([4, 6, 9, 1]), names)
    return folder


def test_replica_has_a_class_at_each_corner(tmp_path: Path) -> None:
    cloud = read_labelled_cloud(scene(tmp_path))
    assert cloud.positions.shape == (16, 3)
    named = [cloud.classes[each] for each in cloud.class_ids[::4]]
    # Face 3 is of an object that the file does not describe.
    assert named == ['wall-cabinet', 'mug', 'mug', 'background']
    assert cloud.object_ids[::4].tolist() == [4, 6, 9, 0]
    mug = next(number for number, name in cloud.classes.items() if name == 'mug')
    assert cloud.ignored == {-1, *cloud.classes} - {mug}


def test_replica_of_an_unknown_class_or_without_points_is_refused(tmp_path: Path) -> None:
    path = scene(tmp_path) / INFO
    content = json.loads(path.read_text())
    content['objects'][1]['class_id'] = 77
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='object 6 is of the unknown class 77'):
        read_labelled_cloud(tmp_path)
    path.write_text('{}')
    with pytest.raises(ValueError, match='classes and objects of Replica'):
        read_labelled_cloud(tmp_path)
    write_replica(tmp_path, QUADS[:0], np.zeros(0, int), {1: 'mug'})
    with pytest.raises(ValueError, match='cloud is empty'):
        read_labelled_cloud(tmp_path)
    (tmp_path / MESH).unlink()
    with pytest.raises(FileNotFoundError, match=r'mesh_semantic\.ply'):
        read_labelled_cloud(tmp_path)


def test_scannet_has_classes_by_colour(tmp_path: Path) -> None:
    path = ply(tmp_path / 'scene0011_00_vh_clean_2.labels.ply', 'ascii')
    lines = path.read_text().replace('1 1 0.5 7 8 9', '1 1 0.5 188 188 35')
    path.write_text(lines.replace('0 1 0.5 250 0 0', '0 1 0.5 82 84 163'))
    cloud = read_labelled_cloud(tmp_path)
    named = [cloud.classes[each] for each in cloud.class_ids]
    assert named == ['background', 'background', 'chair', 'furniture']
    assert 20 in cloud.ignored


def test_openlex(tmp_path: Path) -> None:
    names = {'synonyms': ('red mug',), 'depictions': ('cat',), 'vis_sim': ()}
    visible = np.array([[3.0, 0.01, 0], [9.0, 0, 2.0]])
    folder = tmp_path / 'replica' / 'office0'
    write_openlex(scene(folder), visible, {6: ObjectLabels(names, (9,))}, ['red mug', 'sky'])
    truth = read_openlex(folder, folder)
    assert truth.ids.tolist() == [6, -1]  # the second one is 2 m from anything
    assert truth.objects[6].names['synonyms'] == ('redmug',)
    assert truth.objects[6].clutter == (9,)
    (folder / VISIBLE_FILE).unlink()
    (folder / 'prompt_list.txt').rename(folder.parent / 'prompt_list.txt')
    whole = read_openlex(folder, folder)
    assert whole.ids[::4].tolist() == [4, 6, 9, 0]
    assert whole.labels == ['red mug', 'sky']
    (folder.parent / 'prompt_list.txt').write_text('\n')
    with pytest.raises(ValueError, match='a label in each line'):
        read_openlex(folder, folder)
    (folder / CATEGORIES_FILE).write_text('{"dataset": {"samples": [{"object_id": 1}]}}')
    with pytest.raises(ValueError, match='labels of OpenLex3D'):
        read_openlex(folder, folder)


def test_tasks(tmp_path: Path) -> None:
    path = tmp_path / 'tasks_office.yaml'
    plain = {'center': [1, 2, 3], 'extents': [0.1, 0.2, 0.3]}
    turned = {'w': 2**-0.5, 'x': 0.0, 'y': 0.0, 'z': 2**-0.5}
    content = {
        'find a mug': [{**plain, 'rotation': turned}, {**plain, 'rotation': [1, 0, 0, 0]}],
        'clean the desk': [],
    }
    path.write_text(yaml.safe_dump(content))
    tasks = read_task_boxes(path)
    mug, other = tasks['find a mug']
    assert mug.box_to_world[:3, 0] == pytest.approx([0, 1, 0], abs=1e-12)
    assert other.box_to_world[:3, :3].tolist() == np.eye(3).tolist()
    assert mug.centre_m.tolist() == [1, 2, 3]
    write_task_boxes(path, tasks)
    again = read_task_boxes(path)['find a mug'][0]
    assert again.box_to_world == pytest.approx(mug.box_to_world)
    for wrong in ('a: [', 'a: 3', '- a', 'a: [{center: [1, 2, 3]}]', 'a: []'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match='expected') as error:
            read_task_boxes(path)
        assert '\n' not in str(error.value)
