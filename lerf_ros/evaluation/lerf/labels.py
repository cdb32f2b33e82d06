"""Labels of test pictures for LERF's protocol and for that of LERF-OVS.

Two layouts are read, one JSON file a picture:

* labelme: ``imagePath``, and ``shapes`` with ``label``, ``points`` and ``shape_type`` ('rectangle'
  or 'polygon').
* LERF-OVS: ``info.name``, and ``objects`` with ``category``, ``segmentation`` (a polygon) and
  ``bbox``.

Beside them a file ``absent.json`` may list phrases for things that are nowhere in the scene.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from lerf_ros.sources.nerfstudio import NerfstudioFolder

logger = logging.getLogger(__name__)

Array = np.ndarray
ABSENT_FILE = 'absent.json'
_FORMAT = 'expected labels in the layout of labelme or LERF-OVS'


@dataclass(frozen=True, eq=False)
class Label:
    """One thing in one picture, in the frame's pixels.

    Attributes:
        phrase: Its name.
        outline_uv: Its outline.
        exact: Whether the outline is its silhouette, not a box around it.
    """

    phrase: str
    outline_uv: Float[Array, 'n 2']
    exact: bool

    @property
    def box_uv(self) -> tuple[float, float, float, float]:
        """The box around it, (u0, v0, u1, v1)."""
        low, high = self.outline_uv.min(axis=0), self.outline_uv.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def mask(self, height: int, width: int) -> Bool[Array, 'height width']:
        """Returns the pixels inside the outline."""
        picture = np.zeros((height, width), dtype=np.uint8)
        # Pixel centres are at 0.5 here and at 0 in OpenCV.
        corners = np.round(self.outline_uv - 0.5).astype(np.int32)
        cv2.fillPoly(picture, [corners], 1)
        return picture.astype(bool)


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """The labels of one picture.

    Attributes:
        index: Its frame in the folder.
        labels: What is in it.
    """

    index: int
    labels: tuple[Label, ...]

    def of(self, phrase: str) -> list[Label]:
        """Returns the labels of one phrase."""
        return [label for label in self.labels if label.phrase == phrase]

    @property
    def phrases(self) -> list[str]:
        """Returns the phrases, each once."""
        return list(dict.fromkeys(label.phrase for label in self.labels))


def read_labels(
    folder: Path | str,
    frames: NerfstudioFolder,
    warn: Callable[[str], object] = logger.warning,
) -> tuple[list[LabelledFrame], list[str]]:
    """Reads all labels of a data set and turns them to the frames' pixels.

    Args:
        folder: Folder with one JSON file a picture.
        frames: The pictures.
        warn: Hears of labels that were drawn at another size, or lie outside their picture.

    Returns:
        The labelled frames, and the phrases for absent things.

    Raises:
        ValueError: There are no labels, a file is malformed, or names a frame that is absent.
    """
    folder = Path(folder)
    files = sorted(path for path in folder.glob('*.json') if path.name != ABSENT_FILE)
    if not files:
        raise ValueError(f'{folder}: expected label files *.json, got none')
    indices = {path.name: index for index, path in enumerate(frames.paths)}
    stems = {path.stem: index for index, path in enumerate(frames.paths)}
    labelled = []
    for path in files:
        content = _read(path)
        name, labels = _parse(content, path)
        # labelme writes the separators of the system that it runs on.
        plain = PurePosixPath(name.replace('\\', '/'))
        index = indices.get(plain.name, stems.get(plain.stem))
        if index is None:
            raise ValueError(f'{path}: labels the frame {name!r}, which the folder does not have')
        labels = _fitted(labels, _size_said(content), frames.stored_size(index), path, warn)
        labelled.append(
            LabelledFrame(
                index,
                tuple(
                    replace(one, outline_uv=frames.to_frame_pixels(index, one.outline_uv))
                    for one in labels
                ),
            )
        )
    absent_path = folder / ABSENT_FILE
    absent = _read(absent_path) if absent_path.exists() else []
    if not isinstance(absent, list) or not all(isinstance(text, str) for text in absent):
        raise ValueError(f'{absent_path}: expected a list of phrases')
    return labelled, absent


def _size_said(content: Mapping[str, Any]) -> tuple[float, float] | None:
    """Returns the width and height of the picture that labels were drawn on, if the file says."""
    info = content.get('info')
    where = info if isinstance(info, Mapping) else content
    for width, height in (('width', 'height'), ('imageWidth', 'imageHeight')):
        if where.get(width) and where.get(height):
            return float(where[width]), float(where[height])
    return None


def _fitted(
    labels: list[Label],
    drawn: tuple[float, float] | None,
    stored: tuple[int, int],
    path: Path,
    warn: Callable[[str], object],
) -> list[Label]:
    """Returns labels in the pixels of the stored picture, whatever size they were drawn at."""
    if drawn is not None and drawn != stored:
        warn(
            f'{path.name}: labels were drawn on a picture of {drawn[0]:g}x{drawn[1]:g}, the '
            f'picture has {stored[0]}x{stored[1]}: they are scaled to it'
        )
        scale = np.array(stored) / np.array(drawn)
        labels = [replace(one, outline_uv=one.outline_uv * scale) for one in labels]
    for one in labels:
        if (one.outline_uv < -1).any() or (one.outline_uv > np.array(stored) + 1).any():
            warn(
                f'{path.name}: the label {one.phrase!r} lies outside the picture of '
                f'{stored[0]}x{stored[1]}: was it drawn at another size?'
            )
    return labels


def write_labelme(
    path: Path, picture: str, size: tuple[int, int], labels: Sequence[Label]
) -> None:
    """Writes labels as labelme does.

    Args:
        path: The JSON file.
        picture: Path of the picture, relative to the file.
        size: Width and height of the picture.
        labels: In pixels of the picture.
    """
    shapes = [
        {
            'label': label.phrase,
            'points': label.outline_uv.tolist(),
            'group_id': None,
            'shape_type': 'polygon' if label.exact else 'rectangle',
            'flags': {},
        }
        for label in labels
    ]
    content: dict[str, Any] = {
        'version': '5.0.1',
        'flags': {},
        'shapes': shapes,
        'imagePath': picture,
        'imageData': None,
        'imageWidth': size[0],
        'imageHeight': size[1],
    }
    path.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def _parse(content: Any, path: Path) -> tuple[str, list[Label]]:
    if not isinstance(content, Mapping):
        raise ValueError(f'{path}: {_FORMAT}, got a {type(content).__name__}')
    try:
        if 'shapes' in content:
            return str(content['imagePath']), [_labelme(shape) for shape in content['shapes']]
        if 'objects' in content:
            return str(content['info']['name']), [_ovs(obj) for obj in content['objects']]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: {_FORMAT}, got {error!r}') from error
    raise ValueError(f'{path}: {_FORMAT}, got neither "shapes" nor "objects"')


def _labelme(shape: Mapping[str, Any]) -> Label:
    points = _outline(shape['points'])
    exact = shape.get('shape_type', 'polygon') == 'polygon'
    if not exact:
        points = _corners(*points.min(axis=0), *points.max(axis=0))
    return Label(str(shape['label']), points, exact)


def _ovs(obj: Mapping[str, Any]) -> Label:
    if obj.get('segmentation'):
        return Label(str(obj['category']), _outline(obj['segmentation']), True)
    return Label(str(obj['category']), _corners(*(float(x) for x in obj['bbox'])), False)


def _outline(points: Any) -> Array:
    outline = np.asarray(points, dtype=np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 2:
        raise ValueError(f'expected points (u, v), got shape {outline.shape}')
    if not np.isfinite(outline).all():
        raise ValueError('expected finite points')
    return outline


def _corners(u0: float, v0: float, u1: float, v1: float) -> Array:
    return np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8-sig'))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: expected JSON, got {error}') from error
