"""Boxes that people drew in the pictures of a recording, and what to ask about them.

A file of boxes is JSON: ``boxes`` is a list of ``image``, ``name`` and ``box`` (u0, v0, u1, v1 in
pixels); ``phrases`` may give, for a name, the phrases to ask, the canonical one first; ``absent``
may list phrases of what no picture shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lerf_ros.frames.image_files import read_rgb

BoxPx = tuple[int, int, int, int]
# Asked where a file names nothing absent: kinds of things that no kitchen of the test data holds.
ABSENT = (
    'bicycle', 'dog', 'guitar', 'banana', 'pizza', 'umbrella', 'hammer', 'bathtub', 'toilet',
    'piano', 'teddy bear', 'violin', 'tennis ball', 'shoe', 'elephant', 'candle', 'airplane',
    'drum', 'pineapple', 'tent',
)  # fmt: skip


@dataclass(frozen=True)
class BoxedPictures:
    """Boxes in pictures, and what to ask.

    Attributes:
        folder: Where the pictures lie.
        boxes: Of each picture: the boxes of each name.
        phrases: Of each name: what to ask, the canonical phrase first.
        absent: Phrases of what no picture shows.
    """

    folder: Path
    boxes: Mapping[str, Mapping[str, list[BoxPx]]]
    phrases: Mapping[str, list[str]]
    absent: tuple[str, ...] = field(default=ABSENT)

    @classmethod
    def read(cls, path: Path, folder: Path | None = None) -> BoxedPictures:
        """Reads a file of boxes; the pictures lie beside it or one folder below.

        Raises:
            ValueError: The file holds no boxes, or the pictures are not found.
        """
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            boxes: dict[str, dict[str, list[BoxPx]]] = {}
            for entry in content['boxes']:
                u0, v0, u1, v1 = (round(float(edge)) for edge in entry['box'])
                if not (u0 < u1 and v0 < v1):
                    raise ValueError(f'expected (u0, v0, u1, v1), got {entry["box"]}')
                of_picture = boxes.setdefault(str(entry['image']), {})
                of_picture.setdefault(str(entry['name']), []).append((u0, v0, u1, v1))
            names = sorted({name for of_picture in boxes.values() for name in of_picture})
            given = content.get('phrases', {})
            phrases = {name: [str(text) for text in given.get(name) or [name]] for name in names}
            absent = tuple(str(text) for text in content.get('absent') or ABSENT)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path}: expected boxes in pictures, got {error}') from error
        if not boxes:
            raise ValueError(f'{path}: expected boxes in pictures, got none')
        first = next(iter(boxes))
        near = [path.parent, *sorted(p for p in path.parent.iterdir() if p.is_dir())]
        for place in [folder] if folder else near:
            if (place / first).is_file():
                return cls(place, boxes, phrases, absent)
        raise ValueError(f'{path}: the picture {first} is neither beside it nor one folder below')

    def image(self, name: str) -> UInt8[np.ndarray, 'height width 3']:
        """Returns a picture."""
        return read_rgb(self.folder / name)
