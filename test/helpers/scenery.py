"""A made-up scene with known answers: balls on a table, and a field that knows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from lerf_ros.config import QueryOptions
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera, camera_directions, look_at, pixel_centres
from lerf_ros.query.phrase import CANONICAL_NEGATIVES
from lerf_ros.surface.cloud import SurfaceMap

CAMERA = PinholeCamera.from_vertical_fov(160, 120, 48.0)
CENTRES = np.array(
    [
        [0.0, 0.0, 0.05],
        [0.2, 0.1, 0.04],
        [-0.2, 0.1, 0.05],
        [0.15, -0.2, 0.03],
        [-0.1, -0.15, 0.05],
    ]
)
RADII = np.array([0.05, 0.04, 0.05, 0.03, 0.05])
COLOURS = np.array(
    [[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30], [30, 200, 200]], np.uint8
)
TABLE_COLOUR = 150
SIZE = 64
GENERATOR = torch.Generator().manual_seed(0)
DIRECTIONS = F.normalize(torch.randn(40, SIZE, generator=GENERATOR), dim=1)
TABLE = DIRECTIONS[5]


def orbit(count: int, radius_m: float = 0.6, height_m: float = 0.5) -> list[np.ndarray]:
    """Returns poses around the table."""
    angles = np.arange(count) / count * 2 * np.pi
    return [
        look_at(np.array([radius_m * np.cos(a), radius_m * np.sin(a), height_m]), np.zeros(3))
        for a in angles
    ]


def see(pose: np.ndarray, camera: PinholeCamera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Returns exact depth (NaN beyond the table) and the number of the ball at each pixel."""
    directions = camera_directions(camera, pixel_centres(camera)) @ pose[:3, :3].T
    origin = pose[:3, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = np.where(directions[..., 2] < 0, -origin[2] / directions[..., 2], np.inf)
    hits = origin + depth[..., None] * directions
    depth = np.where((np.abs(hits[..., :2]) < 0.5).all(axis=-1), depth, np.inf)
    balls = np.full(depth.shape, -1)
    for number, (centre, radius) in enumerate(zip(CENTRES, RADII, strict=True)):
        offset = origin - centre
        a = (directions**2).sum(axis=-1)
        b = directions @ offset
        discriminant = b * b - a * (offset @ offset - radius**2)
        near = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
        closer = (discriminant > 0) & (near < depth)
        depth, balls = np.where(closer, near, depth), np.where(closer, number, balls)
    return np.where(np.isfinite(depth), depth, np.nan).astype(np.float32), balls


def picture(balls: np.ndarray) -> np.ndarray:
    """Returns the RGB picture of what :func:`see` saw."""
    return np.where(balls[..., None] >= 0, COLOURS[balls], TABLE_COLOUR).astype(np.uint8)


def named(number: int) -> KeyframeId:
    return KeyframeId('camera', number)


def mapped(options: QueryOptions | None = None, views: int = 16, noise_m: float = 0.0):
    """Returns a surface map of the scene."""
    surface = SurfaceMap(options or QueryOptions())
    generator = np.random.default_rng(0)
    for number, pose in enumerate(orbit(views)):
        depth, balls = see(pose)
        depth = depth + generator.normal(0, noise_m, depth.shape).astype(np.float32)
        surface.integrate(named(number), depth, picture(balls), CAMERA, pose)
    return surface


class BallField:
    """A language field that knows the balls: near one it says its name, elsewhere 'table'."""

    def language_features(self, positions_world):
        return positions_world

    def embed(self, features, scale_m):
        centres = torch.tensor(CENTRES, dtype=features.dtype)
        radii = torch.tensor(RADII, dtype=features.dtype)
        outside = (torch.cdist(features, centres) - radii).clamp(min=0)
        near = torch.exp(-((outside / (0.3 * scale_m[:, None])) ** 2))
        # Crops much larger than a ball show mostly table.
        fit = torch.exp(-((torch.log(scale_m[:, None] / (2 * radii))) ** 2))
        return (near * fit) @ DIRECTIONS[:5] + 0.3 * TABLE


class WordEncoder:
    """Balls are called '0' to '4'; every other text gets a direction of its own."""

    name = 'words'
    fingerprint = 'words'
    embedding_size = SIZE
    input_size = 32
    temperature = 10.0
    existence = None

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_texts(self, texts: Sequence[str]):
        self.encoded += texts
        return torch.stack([self._direction(text) for text in texts])

    def encode_images(self, images):
        # A picture means the ball whose colour it shows most.
        colours = torch.from_numpy(COLOURS).float() / 255
        mean = images.mean(dim=(2, 3))
        return DIRECTIONS[torch.cdist(mean, colours).argmin(dim=1)]

    def _direction(self, text: str):
        if text.isdigit() and int(text) < 5:
            return DIRECTIONS[int(text)]
        if text == 'table':
            return TABLE
        own = DIRECTIONS[6 + sum(text.encode()) % 34]
        # The canonical negatives are closest to what is everywhere.
        return F.normalize(TABLE + 0.5 * own, dim=0) if text in CANONICAL_NEGATIVES else own
