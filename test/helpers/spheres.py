"""A scene with known answers: coloured balls on a chequered floor, traced exactly."""

from __future__ import annotations

import numpy as np
import torch

from lerf_ros.features.pyramid import FeaturePyramid, PyramidLevel
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera, camera_directions, look_at, pixel_centres
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.trainer import Trainer

CENTRES = np.array([[-0.12, 0.0, 0.06], [0.12, 0.05, 0.06], [0.0, -0.15, 0.08]])
RADII = np.array([0.06, 0.06, 0.08])
COLOURS = np.array([[200, 40, 40], [40, 60, 200], [50, 180, 60]])
FLOOR = len(RADII)
CLASSES = FLOOR + 1
EMBEDDING_SIZE = 16
SOURCE = 'camera'


def class_embeddings() -> torch.Tensor:
    """One orthonormal embedding a class, the floor last."""
    generator = torch.Generator().manual_seed(7)
    return torch.linalg.qr(torch.randn(EMBEDDING_SIZE, CLASSES, generator=generator))[0].T


def trace(camera: PinholeCamera, camera_to_world: np.ndarray):
    """Returns image, depth (m) and class of every pixel."""
    directions = camera_directions(camera, pixel_centres(camera)) @ camera_to_world[:3, :3].T
    origin = camera_to_world[:3, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = np.where(directions[..., 2] < 0, -origin[2] / directions[..., 2], np.inf)
        points = origin + directions * depth[..., None]
        squares = np.floor(points[..., :2] / 0.08).sum(axis=-1) % 2
    labels = np.full(depth.shape, FLOOR)
    image = np.where(squares[..., None] > 0, 170, 110) * np.ones(3)
    for index, (centre, radius) in enumerate(zip(CENTRES, RADII, strict=True)):
        a = (directions**2).sum(axis=-1)
        b = directions @ (origin - centre)
        c = ((origin - centre) ** 2).sum() - radius**2
        root = b * b - a * c
        hit = (-b - np.sqrt(np.maximum(root, 0))) / a
        seen = (root > 0) & (hit > 0) & (hit < depth)
        depth = np.where(seen, hit, depth)
        labels = np.where(seen, index, labels)
        image = np.where(seen[..., None], COLOURS[index], image)
    return image.astype(np.uint8), depth.astype(np.float32), labels


def pyramid_of(labels: np.ndarray, tiles_px=(4.0, 8.0)) -> FeaturePyramid:
    """Returns tiles whose embedding is the mean of the classes they show."""
    height, width = labels.shape
    embeddings = class_embeddings()
    levels = []
    for tile in tiles_px:
        tile_px = int(tile)
        rows, cols = height // tile_px, width // tile_px
        cut = labels[: rows * tile_px, : cols * tile_px]
        cells = cut.reshape(rows, tile_px, cols, tile_px).transpose(0, 2, 1, 3)
        shares = np.stack([(cells == k).mean(axis=(2, 3)) for k in range(CLASSES)], axis=-1)
        mixed = torch.from_numpy(shares).float() @ embeddings
        levels.append(
            PyramidLevel(
                tile,
                (tile / 2, tile / 2),
                (tile, tile),
                torch.nn.functional.normalize(mixed, dim=-1),
            )
        )
    return FeaturePyramid(width, height, tuple(levels))


def pose(index: int, count: int) -> np.ndarray:
    angle = 2 * np.pi * index / count
    height = 0.45 + 0.1 * np.sin(3 * angle)
    return look_at(
        np.array([0.6 * np.cos(angle), 0.6 * np.sin(angle), height]), np.array([0, 0, 0.03])
    )


def keyframes(count: int = 12, width: int = 80, height: int = 60, *, depth: bool = True):
    """Yields (keyframe, pyramid, labels) of an orbit."""
    camera = PinholeCamera.from_vertical_fov(width, height, 45.0)
    for index in range(count):
        camera_to_world = pose(index, count)
        image, depth_m, labels = trace(camera, camera_to_world)
        depth_m = np.where(np.isfinite(depth_m), depth_m, np.nan)
        frame = PosedFrame(
            image, depth_m if depth else None, camera, camera_to_world, index * 100_000_000
        )
        yield Keyframe(KeyframeId(SOURCE, index), frame), pyramid_of(labels), labels


def learnt(config, steps: int) -> tuple[Trainer, SurfaceMap]:
    """Returns a trainer that learnt from an orbit for so many steps, and the surface."""
    trainer = Trainer(config, embedding_size=EMBEDDING_SIZE)
    surface = SurfaceMap(config.query)
    for keyframe, pyramid, _ in keyframes():
        trainer.add_keyframe(keyframe, pyramid)
        frame = keyframe.frame
        surface.integrate(
            keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
        )
    for _ in range(steps):
        trainer.step(surface)
    return trainer, surface
