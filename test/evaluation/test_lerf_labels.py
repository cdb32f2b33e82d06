"""Labels: both layouts, and a labelled set that the simulator writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lerf_ros.evaluation.lerf.label_set import TEST_VIEWS, TRAIN_VIEWS, write_tabletop_set
from lerf_ros.evaluation.lerf.labels import Label, read_labels, write_labelme
from lerf_ros.evaluation.lerf.protocol import mask_iou
from lerf_ros.simulation import TabletopScene
from lerf_ros.sources.nerfstudio import NerfstudioFolder

SEED = 9003


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('lerf_set')
    write_tabletop_set(folder, SEED)
    return folder


def test_the_simulator_writes_a_set_that_is_read_back(folder: Path) -> None:
    frames = NerfstudioFolder(folder)
    labelled, absent = read_labels(folder / 'labels', frames)
    assert len(frames) == TRAIN_VIEWS + TEST_VIEWS
    assert [labels.index for labels in labelled] == list(range(TRAIN_VIEWS, len(frames)))
    with TabletopScene(SEED) as scene:
        names = [obj.name for obj in scene.objects]
        poses = scene.path('handheld', TEST_VIEWS, 1.0)
        for labels, pose in zip(labelled, poses, strict=True):
            frame = frames[labels.index]
            view = scene.render(pose)
            assert np.array_equal(frame.image, view.image)
            assert np.nanmax(np.abs(frame.depth - view.depth)) < 0.001
            assert frame.camera_to_world == pytest.approx(pose)
            assert labels.phrases
            for phrase in labels.phrases:
                truth = view.objects == names.index(phrase)
                masks = [label.mask(*truth.shape) for label in labels.of(phrase)]
                if truth.sum() > 400:
                    assert mask_iou(np.any(masks, axis=0), truth) > 0.6
                u0, v0, u1, v1 = labels.of(phrase)[0].box_uv
                rows, cols = np.nonzero(masks[0] & truth)
                assert u0 <= cols.min() + 0.5 <= cols.max() + 0.5 <= u1
                assert v0 <= rows.min() + 0.5 <= rows.max() + 0.5 <= v1
    assert absent
    assert not set(absent) & set(names)


def test_downscaled_labels_follow_the_pictures(folder: Path) -> None:
    full, _ = read_labels(folder / 'labels', NerfstudioFolder(folder))
    half, _ = read_labels(folder / 'labels', NerfstudioFolder(folder, downscale=2))
    assert half[0].labels[0].outline_uv == pytest.approx(full[0].labels[0].outline_uv / 2)


def test_layout_of_lerf_ovs(folder: Path, tmp_path: Path) -> None:
    content = {
        'info': {'name': 'frame_00050.jpg', 'width': 320, 'height': 240},
        'objects': [
            {'category': 'mug', 'segmentation': [[10, 10], [30, 10], [30, 40]], 'bbox': []},
            {'category': 'plate', 'segmentation': [], 'bbox': [5, 6, 50, 60]},
        ],
    }
    (tmp_path / 'frame_00050.json').write_text(json.dumps(content))
    (labels,), absent = read_labels(tmp_path, NerfstudioFolder(folder))
    assert labels.index == 50
    assert absent == []
    mug, plate = labels.labels
    assert mug.exact
    assert mug.box_uv == (10, 10, 30, 40)
    assert not plate.exact
    assert plate.box_uv == (5, 6, 50, 60)
    assert mug.mask(240, 320).sum() == pytest.approx(300, rel=0.15)


def test_rectangles_of_labelme(folder: Path, tmp_path: Path) -> None:
    corners = np.array([[40.0, 50.0], [20.0, 90.0]])
    write_labelme(
        tmp_path / 'a.json', 'frame_00001.png', (320, 240), [Label('cup', corners, False)]
    )
    (labels,), _ = read_labels(tmp_path, NerfstudioFolder(folder))
    assert labels.labels[0].box_uv == (20, 50, 40, 90)
    assert not labels.labels[0].exact


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (None, 'got none'),
        ('nonsense', 'expected JSON'),
        ('[]', 'layout of labelme'),
        ('{"shapes": [{"label": "a"}], "imagePath": "frame_00001.png"}', 'points'),
        ('{"shapes": [], "imagePath": "frame_77777.png"}', 'does not have'),
        ('{"pictures": []}', 'neither'),
    ],
)
def test_bad_labels_say_what_is_wrong(
    folder: Path, tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / 'a.json').write_text(content)
    with pytest.raises(ValueError, match=words):
        read_labels(tmp_path, NerfstudioFolder(folder))
