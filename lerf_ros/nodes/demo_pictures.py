"""The demo's pictures: a view, its relevancy, and the map from above."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.bridge.clouds import cloud_array
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import inverse_transform, project, transform_points
from lerf_ros.nodes.demo_world import Verdict, World
from lerf_ros.nodes.map_client import MapClient

Picture = UInt8[np.ndarray, 'height width 3']

PANEL_HEIGHT_PX = 360
LABEL_HEIGHT_PX = 26
MARK_COLOUR = (255, 40, 220)
TEXT_COLOUR = (255, 255, 255)
PICTURES = 4
# Relevancy below 0.5 means "closer to a negative than to the phrase": it is not coloured.
RELEVANCY_RANGE = (0.5, 1.0)


def draw_pictures(
    client: MapClient, world: World, verdicts: list[Verdict], output: Path
) -> list[Path]:
    """Writes one picture a phrase, of the first few with an answer, and one of the whole map.

    Each shows a camera's view, the rendered relevancy of the phrase over the same view with the
    maximum marked, and the relevancy cloud from above.
    """
    frame = world.views(1)[0]
    answered = [verdict for verdict in verdicts if verdict.found is not None]
    paths = []
    for verdict in answered[:PICTURES]:
        _, _, relevancy = client.render(frame.camera, frame.camera_to_world, verdict.phrase)
        response = client.query([verdict.phrase], max_maxima=1, with_cloud=True)
        points = cloud_array(response.results[0].cloud)
        panels = [
            labelled(frame.image, f'camera: "{verdict.phrase}"'),
            labelled(
                marked(heat_map(frame.image, relevancy), frame, np.array(verdict.found)),
                f'relevancy {verdict.relevancy:.2f}',
            ),
            labelled(top_view(points, np.array(verdict.found)), 'cloud from above'),
        ]
        name = re.sub(r'[^\w]+', '_', verdict.phrase).strip('_') or 'phrase'
        paths.append(save(np.concatenate(panels, axis=1), output / f'{name}.png'))
    size = (frame.camera.width // 2, frame.camera.height // 2)
    image, depth_m, _ = client.render(frame.camera.resized(*size), frame.camera_to_world)
    panels = [
        labelled(frame.image, 'camera'),
        labelled(image, 'rendered map'),
        labelled(depth_picture(depth_m), 'rendered depth'),
    ]
    paths.append(save(np.concatenate(panels, axis=1), output / 'map.png'))
    return paths


def heat_map(image: Picture, relevancy: Float[np.ndarray, 'height width'] | None) -> Picture:
    """Lays the relevancy over a picture."""
    if relevancy is None:
        return image
    low, high = RELEVANCY_RANGE
    level = np.nan_to_num(np.clip((relevancy - low) / (high - low), 0, 1))
    colours = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    share = np.where(level > 0, 0.65, 0.0)[..., None]
    grey = image.mean(axis=-1, keepdims=True).repeat(3, axis=-1) * 0.7
    return (share * colours + (1 - share) * grey).astype(np.uint8)


def marked(image: Picture, frame: PosedFrame, position_m: Float[np.ndarray, '3']) -> Picture:
    """Marks a world position in a view."""
    points_camera = transform_points(inverse_transform(frame.camera_to_world), position_m[None])
    uv, depth_m = project(frame.camera, points_camera)
    result = np.ascontiguousarray(image)
    if depth_m[0] > 0 and np.abs(uv).max() < 1e4:
        at = tuple(np.round(uv[0]).astype(int).tolist())
        cv2.drawMarker(result, at, MARK_COLOUR, cv2.MARKER_CROSS, 16, 2, cv2.LINE_AA)
    return result


def top_view(points: np.ndarray, position_m: Float[np.ndarray, '3']) -> Picture:
    """Draws the relevancy cloud from above, x to the right and y upwards."""
    size = PANEL_HEIGHT_PX
    picture = np.full((size, size, 3), 24, np.uint8)
    xy = np.stack([points['x'], points['y']], axis=-1)
    low, high = np.percentile(xy, 1, axis=0), np.percentile(xy, 99, axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-3) * 1.05
    order = np.argsort(points['z'])
    columns, rows = (((xy[order] - middle) / half * [1, -1] + 1) * size / 2).astype(int).T
    rgb = points['rgb'].view(np.uint32)[order]
    colours = np.stack([rgb >> 16 & 255, rgb >> 8 & 255, rgb & 255], axis=-1).astype(np.uint8)
    heated = heat_map(colours[None], points['relevancy'][order][None])[0]
    inside = (columns >= 0) & (columns < size - 1) & (rows >= 0) & (rows < size - 1)
    for dr in (0, 1):
        for dc in (0, 1):
            picture[rows[inside] + dr, columns[inside] + dc] = heated[inside]
    at = ((position_m[:2] - middle) / half * [1, -1] + 1) * size / 2
    at_px = tuple(np.round(at).astype(int).tolist())
    cv2.drawMarker(picture, at_px, MARK_COLOUR, cv2.MARKER_CROSS, 16, 2, cv2.LINE_AA)
    return picture


def depth_picture(depth_m: Float[np.ndarray, 'height width']) -> Picture:
    """Colours depth, near red and far blue; black where there is none."""
    known = np.isfinite(depth_m)
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    low, high = np.percentile(depth_m[known], [2, 98])
    level = np.clip((high - np.nan_to_num(depth_m, nan=high)) / max(high - low, 1e-3), 0, 1)
    colours = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], colours, 0).astype(np.uint8)


def labelled(image: Picture, words: str) -> Picture:
    """Returns a panel of the common height with words in its corner."""
    width = round(image.shape[1] * PANEL_HEIGHT_PX / image.shape[0])
    panel = cv2.resize(np.ascontiguousarray(image), (width, PANEL_HEIGHT_PX))
    panel[:LABEL_HEIGHT_PX] = panel[:LABEL_HEIGHT_PX] // 3
    cv2.putText(panel, words, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, TEXT_COLOUR, 1, cv2.LINE_AA)
    return panel


def save(picture: Picture, path: Path) -> Path:
    """Writes a picture.

    Raises:
        OSError: It cannot be written.
    """
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f'{path}: the picture could not be written')
    return path
