"""A simulated scene as a data set with labels, in the format that `lerf_labels` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Int

from lerf_ros.evaluation.lerf.labels import ABSENT_FILE, Label, write_labelme
from lerf_ros.simulation import HELD_OUT_SEED, TabletopOptions, TabletopScene, absent_phrases
from lerf_ros.sources.nerfstudio import OPTICAL_FROM_OPENGL

TRAIN_VIEWS, TEST_VIEWS = 48, 6
MIN_LABEL_PX = 40


def write_tabletop_set(
    folder: Path | str,
    seed: int,
    *,
    train_views: int = TRAIN_VIEWS,
    test_views: int = TEST_VIEWS,
    options: TabletopOptions | None = None,
) -> None:
    """Writes a simulated scene as a data set with labels: pictures, depth, poses, outlines.

    Args:
        folder: Where to; made if absent.
        seed: The scene.
        train_views: Pictures without labels, from an orbit.
        test_views: Pictures with labels, from a hand-held path.
        options: How the scene is made and drawn.
    """
    folder = Path(folder)
    for name in ('images', 'depth', 'labels'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with TabletopScene(seed, options) as scene:
        train = scene.path('orbit', train_views, 1.0)
        test = scene.path('handheld', test_views, 1.0)
        entries = []
        for index, pose in enumerate([*train, *test]):
            view = scene.render(pose)
            name = f'frame_{index:05d}'
            cv2.imwrite(str(folder / 'images' / f'{name}.png'), view.image[..., ::-1])
            depth_mm = np.nan_to_num(np.round(view.depth * 1000), nan=0).clip(0, 65534)
            cv2.imwrite(str(folder / 'depth' / f'{name}.png'), depth_mm.astype(np.uint16))
            entries.append(
                {
                    'file_path': f'images/{name}.png',
                    'depth_file_path': f'depth/{name}.png',
                    'transform_matrix': (pose @ OPTICAL_FROM_OPENGL).tolist(),
                }
            )
            if index >= len(train):
                labels = _outlines(view.objects, [obj.name for obj in scene.objects])
                size = (scene.camera.width, scene.camera.height)
                path = folder / 'labels' / f'{name}.json'
                write_labelme(path, f'../images/{name}.png', size, labels)
        absent = absent_phrases(
            [(obj.colour, obj.category) for obj in scene.objects],
            len(scene.objects),
            np.random.default_rng([seed, 1]),
            with_excluded=seed >= HELD_OUT_SEED,
        )
        camera = scene.camera
    content = {
        'camera_model': 'PINHOLE',
        'fl_x': camera.fx,
        'fl_y': camera.fy,
        'cx': camera.cx,
        'cy': camera.cy,
        'w': camera.width,
        'h': camera.height,
        'frames': entries,
    }
    (folder / 'transforms.json').write_text(json.dumps(content, indent=1) + '\n', 'utf-8')
    texts = [phrase.text for phrase in absent]
    (folder / 'labels' / ABSENT_FILE).write_text(json.dumps(texts, indent=1) + '\n', 'utf-8')


def _outlines(objects: Int[np.ndarray, 'height width'], names: Sequence[str]) -> list[Label]:
    """Returns the outline of every visible piece of every object."""
    labels = []
    for index, name in enumerate(names):
        mask = (objects == index).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            if len(contour) >= 3 and cv2.contourArea(contour) >= MIN_LABEL_PX:
                labels.append(Label(name, contour[:, 0].astype(np.float64) + 0.5, True))
    return labels
