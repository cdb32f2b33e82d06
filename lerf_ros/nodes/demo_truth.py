"""What people know of a recording: boxes drawn in some of its pictures, held against places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import inverse_transform, transform_points
from lerf_ros.query.request import Exemplar
from lerf_ros.sources.boxes import BoxedPictures, BoxPx
from lerf_ros.sources.rgbd import RgbdFolder

# A surface this much nearer than a place hides it.
HIDES_M = 0.3
# Of each name so many pictures are asked, of boxes that show enough.
PICTURES_OF_EACH = 3
MIN_PICTURE_PX = 24
# Half the side, as a share of the box's, of the middle whose depth is that of the thing.
_MIDDLE_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class _View:
    """A picture with boxes, and where it was taken.

    Attributes:
        frame: The frame as the map gets it, with depth.
        size_px: Width and height of the drawn picture.
        focal_px: Its focal length.
        boxes: The boxes of each name, pixels of the drawn picture.
    """

    frame: PosedFrame
    size_px: tuple[int, int]
    focal_px: float
    boxes: dict[str, list[BoxPx]]

    def pixel(self, point_world: Float[np.ndarray, '3']) -> tuple[float, float] | None:
        """Returns where the drawn picture shows a place; None where it does not."""
        world_to_camera = inverse_transform(self.frame.camera_to_world)
        x, y, z = transform_points(world_to_camera, point_world[None])[0]
        if z <= 0.05:
            return None
        camera, depth = self.frame.camera, self.frame.depth
        column = int(np.floor(camera.fx * x / z + camera.cx))
        row = int(np.floor(camera.fy * y / z + camera.cy))
        if not (0 <= column < camera.width and 0 <= row < camera.height):
            return None
        if depth is not None and depth[row, column] < z - HIDES_M:
            return None
        width, height = self.size_px
        u = self.focal_px * x / z + camera.cx * width / camera.width
        v = self.focal_px * y / z + camera.cy * height / camera.height
        return (u, v) if 0 <= u < width and 0 <= v < height else None

    def place(self, box: BoxPx) -> Float[np.ndarray, '3'] | None:
        """Returns where the middle of a box is in the world; None where depth is unknown."""
        camera, depth = self.frame.camera, self.frame.depth
        if depth is None:
            return None
        width, height = self.size_px
        middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        centre = np.array([camera.cx * width / camera.width, camera.cy * height / camera.height])
        x, y = (middle - centre) / self.focal_px
        column, row = camera.fx * x + camera.cx, camera.fy * y + camera.cy
        reach_u = _MIDDLE_SHARE * (box[2] - box[0]) * camera.width / width
        reach_v = _MIDDLE_SHARE * (box[3] - box[1]) * camera.height / height
        rows = slice(max(int(row - reach_v), 0), max(int(row + reach_v) + 1, 1))
        columns = slice(max(int(column - reach_u), 0), max(int(column + reach_u) + 1, 1))
        known = depth[rows, columns]
        known = known[np.isfinite(known)]
        if not len(known):
            return None
        z = float(np.median(known))
        return transform_points(self.frame.camera_to_world, np.array([[x * z, y * z, z]]))[0]


class BoxTruth:
    """Where things are in a recording, as far as boxes say.

    Args:
        path: File of boxes: see :mod:`lerf_ros.sources.boxes`.
        frames: The recording, whose pictures they were drawn in.
        colour_focal_px: Focal length of the drawn pictures, where it is not that of the depth.

    Attributes:
        words: The canonical phrase of each name.
        absent: Phrases of what is not there.

    Raises:
        ValueError: The file holds no boxes, or no picture of the recording.
    """

    def __init__(self, path: Path, frames: RgbdFolder, colour_focal_px: float | None) -> None:
        pictures = BoxedPictures.read(path)
        indices = {frames.name(index): index for index in range(len(frames))}
        self._views, self._pictures = [], []
        for name, boxes in pictures.boxes.items():
            index = indices.get(name.split('.')[0])
            if index is None:
                continue
            image, frame = pictures.image(name), frames[index]
            height, width = image.shape[:2]
            focal_px = colour_focal_px or frame.camera.fx * width / frame.camera.width
            self._views.append(_View(frame, (width, height), focal_px, dict(boxes)))
            self._pictures.append(image)
        if not self._views:
            raise ValueError(f'{path}: expected pictures of the recording, got none of them')
        shown = {name for view in self._views for name in view.boxes}
        self.words = {name: pictures.phrases[name][0] for name in sorted(shown)}
        self.absent = pictures.absent

    def exemplars(self) -> list[tuple[str, Exemplar]]:
        """Returns names, each with a picture of it, a few of each from different frames."""
        found = []
        for name in self.words:
            own = [
                (name, Exemplar(image, box, f'picture of {name}'))
                for view, image in zip(self._views, self._pictures, strict=True)
                for box in view.boxes.get(name, [])
                if min(box[2] - box[0], box[3] - box[1]) >= MIN_PICTURE_PX
            ]
            found += own[:: max(1, -(-len(own) // PICTURES_OF_EACH))]
        return found

    def right(self, name: str, place_world: Float[np.ndarray, '3']) -> bool:
        """Tells whether a place lies in the boxes of a name, in most pictures that show it."""
        hits = misses = 0
        for view in self._views:
            pixel = view.pixel(place_world) if name in view.boxes else None
            if pixel is None:
                continue
            u, v = pixel
            inside = any(a <= u <= c and b <= v <= d for a, b, c, d in view.boxes[name])
            hits, misses = hits + inside, misses + (not inside)
        return hits > 0 and hits >= misses

    def nearest(
        self, name: str, place_world: Float[np.ndarray, '3'] | None
    ) -> Float[np.ndarray, '3'] | None:
        """Returns the nearest known place of a name; the first one where no place is given."""
        places = [
            place
            for view in self._views
            for box in view.boxes.get(name, [])
            if (place := view.place(box)) is not None
        ]
        if not places:
            return None
        if place_world is None:
            return places[0]
        return min(places, key=lambda place: float(np.linalg.norm(place - place_world)))
